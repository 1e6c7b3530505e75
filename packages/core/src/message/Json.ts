/**
 * Messages as JSON, the way release 0.1.2 writes and reads them.
 *
 * Objects carry fields under their exact names. A missing key becomes the field's default, or null for an optional
 * field; an unknown key is refused. Where the reference has no JSON form ours is: bytes as standard base64, timestamps as
 * ISO 8601 with a zone, dates as YYYY-MM-DD, sets as arrays, 64-bit integers as plain JSON integers without loss.
 *
 * A value that XLANG refuses is refused here too, and a value comes back from JSON as it comes back from XLANG or has no
 * JSON form: NaN and infinities, and in untyped places byte strings, dates, sets and maps with keys that are not strings.
 *
 * @since 0.1.0
 */
import type { Writer } from "@aster-effect/fory/Writer"
import { CodecError } from "./CodecError.ts"
import {
  fillList,
  fillMembers,
  isPlainObject,
  listText,
  makeAny,
  type Members,
  membersText,
  opened
} from "./internal/jsonAny.ts"
import { JsonFault, malformed, within } from "./internal/jsonFault.ts"
import { type JsonPart, jsonScalars, wellFormed } from "./internal/jsonScalars.ts"
import { objectFactory } from "./internal/objectFactory.ts"
import * as JsonText from "./JsonText.ts"
import type { EnumType, StructType, WireType } from "./WireType.ts"

/**
 * A message type's JSON form, compiled once.
 *
 * @since 0.1.0
 */
export interface JsonCodec {
  /** UTF-8 JSON without white space. Throws `CodecError`. */
  readonly encode: (value: unknown) => Uint8Array
  /** Appends what `encode` answers. Throws `CodecError`. */
  readonly write: (writer: Writer, value: unknown) => void
  /** Throws `CodecError`. */
  readonly decode: (bytes: Uint8Array) => unknown
}

/** @since 0.1.0 */
export interface JsonOptions {
  /** Whether decoded messages are instances of their classes. Default true. */
  readonly prototypes?: boolean | undefined
  /** Classes whose instances may stand in untyped places. Default none. */
  readonly messages?: ReadonlyArray<StructType> | undefined
}

const utf8 = new TextEncoder()

/** @since 0.1.0 */
export const compile = (type: WireType, options?: JsonOptions): JsonCodec => {
  const compiler = new Compiler(options)
  const part = compiler.part(type)
  const root = type._tag === "Struct" ? type.name.name : ""
  const text = (value: unknown): string => {
    try {
      return part.text(value, 0)
    } catch (error) {
      throw codecError(error, root, "a value cannot be read: one of its getters threw")
    }
  }
  return {
    encode: (value) => utf8.encode(text(value)),
    write: (writer, value) => {
      const json = text(value)
      const start = writer.position
      // A UTF-16 unit is at most three bytes of UTF-8.
      writer.ensure(start, json.length * 3)
      writer.position = start + writer.buffer.write(json, start, "utf8")
    },
    decode: (bytes) => {
      const json = JsonText.parse(bytes, compiler.wide)
      try {
        return part.from(json)
      } catch (error) {
        throw codecError(error, root, "the constructor of a message class threw")
      }
    }
  }
}

const codecError = (error: unknown, root: string, otherwise: string): CodecError =>
  error instanceof JsonFault ? error.toCodecError(root) : new CodecError({ reason: "Invalid", detail: otherwise })

const ENUM_TEXT_LENGTH = 200

class Compiler {
  /** A 64-bit integer or an untyped value occurs, so that parsing has to keep wide integers. */
  wide = false
  readonly prototypes: boolean
  readonly messages: ReadonlyMap<object, StructType>
  readonly structs = new Map<StructType, JsonPart>()
  readonly any: JsonPart

  constructor(options: JsonOptions | undefined) {
    this.prototypes = options?.prototypes ?? true
    this.messages = new Map(
      options?.messages?.flatMap((type) => (type.prototype === undefined ? [] : [[type.prototype, type]]))
    )
    this.any = makeAny((prototype) => {
      const type = this.messages.get(prototype)
      return type === undefined ? undefined : this.struct(type)
    })
  }

  part(type: WireType): JsonPart {
    switch (type._tag) {
      case "Scalar":
        if (type.scalar === "int64" || type.scalar === "uint64") this.wide = true
        return jsonScalars[type.scalar]
      case "Optional": {
        const of = this.part(type.of)
        return {
          text: (value, depth) => (value === null || value === undefined ? "null" : of.text(value, depth)),
          from: (json) => (json === null ? null : of.from(json))
        }
      }
      case "List": {
        const { from, text } = this.part(type.element)
        return {
          text: (value, depth) => listText(arrayOf(value), text, depth),
          from: (json) => fillList(arrayOf(json), from)
        }
      }
      case "Set": {
        const { from, text } = this.part(type.element)
        return {
          text: (value, depth) => {
            if (!(value instanceof Set)) throw malformed("not a Set")
            return listText([...(value as ReadonlySet<unknown>)], text, depth)
          },
          from: (json) => new Set(fillList(arrayOf(json), from))
        }
      }
      case "Map":
        return type.form === "record" ? this.record(type.value) : this.map(type.key, type.value)
      case "Enum":
        return enumeration(type)
      case "Struct":
        return this.struct(type)
      case "Any":
        this.wide = true
        return this.any
      case "AnyList":
        this.wide = true
        return {
          text: (value, depth) => listText(arrayOf(value), this.any.text, depth),
          from: (json) => fillList(arrayOf(json), this.any.from)
        }
      case "AnyRecord":
        this.wide = true
        return {
          text: (value, depth) => {
            if (!isPlainObject(value)) throw malformed("not an object")
            return membersText(Object.entries(value), this.any.text, depth)
          },
          from: (json) => fillMembers(objectOf(json), this.any.from)
        }
    }
  }

  record(value: WireType): JsonPart {
    const { from, text } = this.part(value)
    return {
      text: (input, depth) => membersText(Object.entries(objectOf(input)), text, depth),
      from: (json) => fillMembers(objectOf(json), from)
    }
  }

  map(key: WireType, value: WireType): JsonPart {
    const { from, text } = this.part(value)
    const keys = this.key(key)
    return {
      text: (input, depth) => {
        if (!(input instanceof Map)) throw malformed("not a Map")
        const entries = [...(input as ReadonlyMap<unknown, unknown>)]
        return membersText(
          entries.map(([k, item]) => [keys.text(k, depth), item] as const),
          text,
          depth
        )
      },
      from: (json) =>
        new Map(Object.entries(fillMembers(objectOf(json), from)).map(([k, item]) => [keys.from(k), item] as const))
    }
  }

  /** Keys as the strings that JSON has. */
  key(type: WireType): {
    readonly text: (key: unknown, depth: number) => string
    readonly from: (key: string) => unknown
  } {
    const part = this.part(type)
    const scalar = type._tag === "Scalar" ? type.scalar : undefined
    const quoted = scalar === "string" || scalar === "bytes" || scalar === "timestamp" || scalar === "date"
    if (quoted) return { text: (key, depth) => JSON.parse(part.text(key, depth)) as string, from: part.from }
    if (type._tag === "Enum") {
      const values = new Map<string, unknown>(type.members.map((member) => [String(member.value), member.value]))
      return {
        text: (key, depth) => {
          part.text(key, depth)
          return String(key)
        },
        from: (key) => values.get(key) ?? part.from(key)
      }
    }
    if (scalar !== undefined && scalar !== "float32" && scalar !== "float64") {
      const spelled = (key: string): unknown => {
        if (scalar === "bool") return key === "true" ? true : key === "false" ? false : key
        return /^(?:0|-?[1-9]\d{0,19})$/.test(key) ? wideOrNumber(key) : key
      }
      return { text: part.text, from: (key) => part.from(spelled(key)) }
    }
    const refuse = (): never => {
      throw malformed("keys of this type have no JSON form; use XLANG")
    }
    return { text: refuse, from: refuse }
  }

  struct(type: StructType): JsonPart {
    const known = this.structs.get(type)
    if (known !== undefined) return known
    const fields: Array<{
      readonly name: string
      readonly start: string
      readonly part: JsonPart
      readonly missing: { readonly value: unknown } | undefined
    }> = []
    const names = new Set<string>()
    const prototype = this.prototypes ? type.prototype : undefined
    const initialize = prototype === undefined ? undefined : type.initialize
    let create: ((values: ReadonlyArray<unknown>) => object) | undefined
    const part: JsonPart = {
      text: (value, depth) => {
        if (typeof value !== "object" || value === null) throw malformed("not an object")
        const inside = opened(depth)
        const source = value as { readonly [key: string]: unknown }
        let out = "{"
        let i = 0
        try {
          for (; i < fields.length; i++) {
            const field = fields[i]!
            out += field.start + field.part.text(source[field.name], inside)
          }
        } catch (error) {
          throw within(error, `.${fields[i]!.name}`)
        }
        return `${out}}`
      },
      from: (json) => {
        const source = objectOf(json)
        const keys = Object.keys(source)
        // Most messages have exactly the fields, in their order.
        let asDeclared = keys.length === fields.length
        for (let i = 0; asDeclared && i < keys.length; i++) asDeclared = keys[i] === fields[i]!.name
        if (!asDeclared && (keys.length > names.size || keys.some((key) => !names.has(key)))) {
          throw unexpected(keys, names)
        }
        const values: Array<unknown> = []
        for (let i = 0; i < fields.length; i++) {
          const { missing, name, part: fieldPart } = fields[i]!
          if (asDeclared || Object.hasOwn(source, name)) {
            try {
              values.push(fieldPart.from(source[name]))
            } catch (error) {
              throw within(error, `.${name}`)
            }
          } else if (missing !== undefined) values.push(missing.value)
          else throw malformed(`missing key ${JSON.stringify(name)}`)
        }
        create ??= objectFactory(
          fields.map(({ name }) => name),
          prototype
        )
        const out = create(values)
        return initialize === undefined ? out : initialize(out)
      }
    }
    this.structs.set(type, part)
    for (const field of type.fields()) {
      const start = `${fields.length === 0 ? "" : ","}${JSON.stringify(wellFormed(field.name))}:`
      names.add(field.name)
      fields.push({
        name: field.name,
        start,
        part: this.part(field.type),
        missing: field.defaultValue ?? (field.type._tag === "Optional" ? { value: null } : undefined)
      })
    }
    return part
  }
}

const enumeration = (type: EnumType): JsonPart => {
  const texts = new Map<unknown, string>(type.members.map(({ value }) => [value, JSON.stringify(value)]))
  const known = [...texts.values()].join(", ")
  const shown = known.length > ENUM_TEXT_LENGTH ? `${known.slice(0, ENUM_TEXT_LENGTH)}...` : known
  const textOf = (value: unknown): string => {
    const text = texts.get(value)
    if (text === undefined) throw malformed(`not one of ${shown}`)
    return text
  }
  return {
    text: textOf,
    from: (json) => {
      textOf(json)
      return json
    }
  }
}

const wideOrNumber = (digits: string): number | bigint => {
  const number = Number(digits)
  return Number.isSafeInteger(number) ? number : BigInt(digits)
}

const arrayOf = (value: unknown): Array<unknown> => {
  if (!Array.isArray(value)) throw malformed("not an array")
  return value
}

/** Objects that hold their contents in members. */
const objectOf = (value: unknown): Members => {
  if (
    typeof value !== "object" ||
    value === null ||
    Array.isArray(value) ||
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Date ||
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer
  ) {
    throw malformed("not an object")
  }
  return value as Members
}

const unexpected = (keys: ReadonlyArray<string>, allowed: ReadonlySet<string>): JsonFault => {
  const extra = keys.filter((key) => !allowed.has(key))
  const shown = extra.slice(0, 5).map((key) => JSON.stringify(key.slice(0, 80)))
  const more = extra.length > 5 ? ` and ${extra.length - 5} more` : ""
  return new JsonFault(
    "UnexpectedFields",
    ` has unexpected fields ${shown.join(", ")}${more}; allowed: ${[...allowed].sort().join(", ")}`,
    ""
  )
}
