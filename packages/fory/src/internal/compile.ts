import { ForyError } from "../ForyError.ts"
import type { Limits } from "../Limits.ts"
import { TypeId } from "../proto/TypeId.ts"
import type { Enumeration, Struct, Type } from "../Type.ts"
import { compileList, compileSet } from "./list.ts"
import { compileMap, compileRecord } from "./map.ts"
import type { Dynamic } from "./dynamic.ts"
import { invalid, tooDeep } from "./invalid.ts"
import { noParts } from "./parts.ts"
import { labelOf, makeNamedType } from "./namedType.ts"
import { scalars, writeVaruint32 } from "./scalars.ts"
import { compileStruct } from "./struct.ts"
import type { Slot, ValueCodec, Write } from "./valueCodec.ts"

/** Turns descriptors into codecs, each once. */
export class Compiler {
  readonly limits: Limits
  readonly dynamic: Dynamic
  /** Null is an error where a struct is declared that is not optional. */
  readonly strictNulls: boolean
  readonly #codecs = new WeakMap<Type, ValueCodec>()

  constructor(limits: Limits, dynamic: Dynamic, strictNulls: boolean) {
    this.limits = limits
    this.dynamic = dynamic
    this.strictNulls = strictNulls
  }

  /** The place for values of `type`. */
  slot(type: Type): Slot {
    return type.kind === "optional"
      ? { codec: this.codec(type.of), nullable: true }
      : { codec: this.codec(type), nullable: false }
  }

  /** The codec of `type`, which is not optional. */
  codec(type: Type): ValueCodec {
    let codec = this.#codecs.get(type)
    if (codec !== undefined) return codec
    try {
      codec = this.#compile(type)
      this.#codecs.set(type, codec)
      return codec
    } catch (error) {
      this.#codecs.delete(type)
      throw error
    }
  }

  /** Called by the struct compiler before it looks at fields, which may mention the struct. */
  announce(type: Struct, codec: ValueCodec): void {
    this.#codecs.set(type, codec)
  }

  #compile(type: Type): ValueCodec {
    switch (type.kind) {
      case "any":
        return this.dynamic.any
      case "anyRecord":
        return this.dynamic.anyRecord
      case "anyList":
        return this.dynamic.anyList
      case "optional":
        throw new ForyError("InvalidDefinition", "An optional type cannot stand here")
      case "list":
        return compileList(this, this.slot(type.element))
      case "set":
        return compileSet(this, this.slot(type.element))
      case "map":
        return compileMap(this, this.slot(type.key), this.slot(type.value))
      case "record":
        return compileRecord(this, this.slot(type.value))
      case "enumeration":
        return compileEnumeration(type)
      case "struct":
        return compileStruct(this, type)
      default:
        return scalars[type.kind]
    }
  }
}

const compileEnumeration = (type: Enumeration): ValueCodec => {
  const label = labelOf(type)
  const { values } = type
  const ordinals = new Map(values.map((value, ordinal) => [value, ordinal]))
  if (values.length === 0 || ordinals.size !== values.length)
    throw new ForyError("InvalidDefinition", `The values of enum ${label} must be one or more, each once`)
  const write: Write = (writer, position, value, depth) => {
    const { maxDepth } = writer.limits
    if (depth > maxDepth) tooDeep(maxDepth)
    const ordinal = ordinals.get(value as string | number) ?? invalid(`a value of enum ${label}`, value)
    writer.ensure(position, 5)
    return writeVaruint32(writer, position, ordinal)
  }
  return {
    typeId: TypeId.namedEnum,
    label: `enum ${label}`,
    named: makeNamedType(TypeId.namedEnum, type.namespace, type.name),
    write,
    writeUndeclared: write,
    read: (reader, depth) => {
      if (depth > reader.limits.maxDepth) reader.tooDeep()
      const at = reader.position
      const ordinal = reader.varuint32()
      return values[ordinal] ?? reader.fail("OutOfRange", `Enum ${label} has no ordinal ${ordinal}`, at)
    },
    parts: noParts
  }
}
