import { ForyError } from "../ForyError.ts"
import { compareFields, schemaHash, type LayoutField } from "../proto/StructLayout.ts"
import { TypeId } from "../proto/TypeId.ts"
import type { Struct } from "../Type.ts"
import type { Compiler } from "./compile.ts"
import { invalid, tooDeep } from "./invalid.ts"
import { labelOf, makeNamedType, type NamedType } from "./namedType.ts"
import { emitRead, emitWrite, sizeOf } from "./place.ts"
import type { Reader } from "./reader.ts"
import { Source } from "./source.ts"
import { expectTypeInfoOrNone, writeTypeInfo } from "./typeInfo.ts"
import type { Part, Slot, ValueCodec } from "./valueCodec.ts"

/** The codec of a struct: its schema hash, then the fields in wire order (Fory XLANG §8). */
export interface StructCodec extends ValueCodec {
  readonly named: NamedType
  readonly schemaHash: number
}

interface Field extends LayoutField, Slot {}

const notCompiled = (): never => {
  throw new ForyError("InvalidDefinition", "A struct is used while its fields are being defined")
}

export const compileStruct = (compiler: Compiler, type: Struct): StructCodec => {
  const label = labelOf(type)
  const fields: Array<Field> = []
  const codec: { -readonly [K in keyof StructCodec]: StructCodec[K] } = {
    typeId: TypeId.namedStruct,
    label: `struct ${label}`,
    named: makeNamedType(TypeId.namedStruct, type.namespace, type.name),
    schemaHash: 0,
    write: notCompiled,
    writeUndeclared: notCompiled,
    read: notCompiled,
    parts: (value) => fieldParts(fields, value)
  }
  compiler.announce(type, codec)
  const declared = Object.entries(type.fields())
  for (const [name, fieldType] of declared) {
    if (!name.isWellFormed())
      throw new ForyError("InvalidDefinition", `Field ${JSON.stringify(name)} of ${label} is not valid Unicode`)
    const slot = compiler.slot(fieldType)
    // Structs and enums count as 0 in the layout, like untyped fields.
    fields.push({ name, typeId: slot.codec.named === undefined ? slot.codec.typeId : 0, ...slot })
  }
  const names = fields.map((field) => field.name)
  fields.sort(compareFields)
  codec.schemaHash = schemaHash(fields)
  const source = new Source()
  const generated = source.build(`return {
${emitStructWrite(source, compiler, codec, fields)},
${emitStructRead(source, compiler, codec, fields, names, type)}
}`) as Pick<ValueCodec, "write" | "read">
  codec.write = codec.writeUndeclared = generated.write
  codec.read = generated.read
  return codec
}

// Lazily, as a field may be a getter that throws.
function* fieldParts(fields: ReadonlyArray<Field>, value: unknown): Iterable<Part> {
  if (typeof value !== "object" || value === null) return
  for (const slot of fields) {
    const segment = /^[\w$]+$/.test(slot.name) ? `.${slot.name}` : `[${JSON.stringify(slot.name)}]`
    yield { segment, value: (value as { readonly [name: string]: unknown })[slot.name], slot }
  }
}

/** Field-typed structs travel with their type info, unlike elements of that type. */
const isStruct = (codec: ValueCodec): boolean => codec.typeId === TypeId.namedStruct

const emitStructWrite = (
  source: Source,
  compiler: Compiler,
  codec: StructCodec,
  fields: ReadonlyArray<Field>
): string => {
  const { maxDepth } = compiler.limits
  let code = `write(w, p, v, d) {
if (d > ${maxDepth}) ${source.bind(tooDeep)}(${maxDepth})
if (typeof v !== "object" || v === null) ${source.bind(invalid)}(${JSON.stringify(`an object (${codec.label})`)}, v)
w.ensure(p, ${4 + boundedSize(fields, 0)})
w.view.setInt32(p, ${codec.schemaHash}, true)
p += 4
`
  fields.forEach((field, index) => {
    const bounded = sizeOf(field) !== undefined
    const info = isStruct(field.codec) ? `p = ${source.bind(writeTypeInfo)}(w, p, ${source.bind(field.codec)})\n` : ""
    const value = info + emitWrite(source, field.codec, "x", "d + 1", bounded)
    const statements = field.nullable
      ? `if (x === null || x === undefined) w.buffer[p++] = 0xfd\nelse {\nw.buffer[p++] = 0xff\n${value}}\n`
      : value
    code += `{\nconst x = v[${JSON.stringify(field.name)}]\n${statements}}\n`
    const following = bounded ? 0 : boundedSize(fields, index + 1)
    if (following > 0) code += `w.ensure(p, ${following})\n`
  })
  return code + "return p\n}"
}

/** Most bytes that the fields from `index` on take, up to the first field whose value may be of any length. */
const boundedSize = (fields: ReadonlyArray<Field>, index: number): number => {
  let total = 0
  for (const field of fields.slice(index)) {
    const size = sizeOf(field)
    total += (field.nullable ? 1 : 0) + (size ?? 0)
    if (size === undefined) break
  }
  return total
}

const emitStructRead = (
  source: Source,
  compiler: Compiler,
  codec: StructCodec,
  fields: ReadonlyArray<Field>,
  names: ReadonlyArray<string>,
  { initialize, prototype }: Struct
): string => {
  const { maxDepth } = compiler.limits
  const mismatch = (reader: Reader): never =>
    reader.fail(
      "SchemaMismatch",
      `The peer's ${codec.label} has other fields, kinds or optionality than ours`,
      reader.position - 4
    )
  let code = `read(r, d) {
if (d > ${maxDepth}) r.tooDeep()
if (r.int32() !== ${codec.schemaHash}) ${source.bind(mismatch)}(r)
`
  fields.forEach((field, index) => {
    let value = emitRead(source, field.codec, "d + 1")
    // pyfory writes None in any struct field, optional or not, as the type "none".
    if (isStruct(field.codec)) {
      const ifNull =
        compiler.strictNulls && !field.nullable ? `${source.bind(noNull)}(r, ${source.bind(field.codec)})` : "null"
      value = `(${source.bind(expectTypeInfoOrNone)}(r, ${source.bind(field.codec)}) ? ${value} : ${ifNull})`
    }
    code += `const f${index} = ${field.nullable ? `r.present() ? ${value} : null` : value}\n`
  })
  const variables = new Map(fields.map((field, index) => [field.name, `f${index}`]))
  const ordered = names.map((name) => [name, variables.get(name)!] as const)
  if (prototype === undefined) {
    const members = ordered.map(([name, variable]) => {
      const key = JSON.stringify(name)
      // In a literal this one key would set the prototype, unless it is computed.
      return `${name === "__proto__" ? `[${key}]` : key}: ${variable}`
    })
    return `${code}return { ${members.join(", ")} }\n}`
  }
  const constructor = source.bind(makeConstructor(names, prototype))
  const created = `new ${constructor}(${ordered.map(([, variable]) => variable).join(", ")})`
  return `${code}return ${initialize === undefined ? created : `${source.bind(initialize)}(${created})`}\n}`
}

const noNull = (reader: Reader, codec: StructCodec): never =>
  reader.fail("UnexpectedNull", `Null where ${codec.label} is declared`, reader.position - 1)

/** A constructor of objects with `prototype` that takes the field values in order. */
const makeConstructor = (names: ReadonlyArray<string>, prototype: object): unknown => {
  const source = new Source()
  const define = source.bind((target: object, key: string, value: unknown) =>
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
  )
  const parameters = names.map((_, index) => `f${index}`)
  const assignments = names.map((name, index) => {
    const key = JSON.stringify(name)
    // Assignment would run a setter, or fail on a getter, that the prototype has under this name.
    return name in prototype ? `${define}(this, ${key}, f${index})` : `this[${key}] = f${index}`
  })
  return source.build(`function Struct(${parameters.join(", ")}) {
${assignments.join("\n")}
}
Struct.prototype = ${source.bind(prototype)}
return Struct`)
}
