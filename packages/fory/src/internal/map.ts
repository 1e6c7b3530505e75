import { TypeId } from "../proto/TypeId.ts"
import type { Writer } from "../Writer.ts"
import type { Compiler } from "./compile.ts"
import { writeCount } from "./elements.ts"
import {
  chunkSize,
  declaredChunk,
  maxChunk,
  readChunk,
  writeEntries,
  writeNullEntry,
  type EntrySide
} from "./entries.ts"
import { invalid, tooDeep } from "./invalid.ts"
import { entryParts } from "./parts.ts"
import { emitRead, emitWrite, undeclaredSlot } from "./place.ts"
import type { Reader } from "./reader.ts"
import { scalars } from "./scalars.ts"
import { Source } from "./source.ts"
import { isUntyped, type Slot, type ValueCodec, type Write } from "./valueCodec.ts"

/** Maps and records: a generated loop for entries of declared types, `entries.ts` for the rest. */

/** How a JavaScript value holds the entries. The code strings see it as `m`, a key as `k`, a value as `x`. */
interface Container {
  readonly entriesOf: (value: unknown) => ReadonlyArray<readonly [unknown, unknown]>
  readonly make: () => object
  readonly put: (container: object, key: unknown, value: unknown) => void
  /** Statement: the number of entries as `n`. */
  readonly count: string
  /** Head of a loop over the entries, and what stands first in its body. */
  readonly each: string
}

export const compileMap = (compiler: Compiler, key: Slot, value: Slot): ValueCodec => {
  const check = (map: unknown): Map<unknown, unknown> => (map instanceof Map ? map : invalid("a Map", map))
  return {
    typeId: TypeId.map,
    label: "a map",
    named: undefined,
    ...compileEntries(compiler, key, value, check, {
      entriesOf: (map) => Array.from(check(map)),
      make: () => new Map<unknown, unknown>(),
      put: (map, k, v) => void (map as Map<unknown, unknown>).set(k, v),
      count: "const n = m.size",
      each: "for (const [k, x] of m) {"
    }),
    parts: (map) => (map instanceof Map ? entryParts(map, key, value) : [])
  }
}

export const compileRecord = (compiler: Compiler, value: Slot): ValueCodec => {
  const key: Slot = { codec: scalars.string, nullable: false }
  const isRecord = (record: unknown): record is object =>
    typeof record === "object" && record !== null && !isOtherKind(record)
  const check = (record: unknown): object => (isRecord(record) ? record : invalid("an object", record))
  return {
    typeId: TypeId.map,
    label: "a map with string keys",
    named: undefined,
    ...compileEntries(compiler, key, value, check, {
      entriesOf: (record) => Object.entries(check(record)),
      make: () => ({}),
      put: putMember,
      count: "const keys = Object.keys(m), n = keys.length",
      each: "for (let i = 0; i < n; i++) {\nconst k = keys[i], x = m[k]"
    }),
    parts: (record) => (isRecord(record) ? entryParts(Object.entries(record), key, value) : [])
  }
}

/** Objects that hold their contents elsewhere than in members. */
const isOtherKind = (value: object): boolean =>
  Array.isArray(value) ||
  value instanceof Map ||
  value instanceof Set ||
  value instanceof Date ||
  ArrayBuffer.isView(value) ||
  value instanceof ArrayBuffer

const putMember = (record: object, key: unknown, value: unknown): void => {
  // Assignment to this one key would set the prototype.
  if (key === "__proto__")
    Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true })
  else (record as { [key: string]: unknown })[key as string] = value
}

/** A plain object until a key comes that is no string, then a `Map`. */
class PlainMap {
  value: object = {}

  put(key: unknown, value: unknown): void {
    if (this.value instanceof Map) this.value.set(key, value)
    else if (typeof key === "string") putMember(this.value, key, value)
    else this.value = new Map<unknown, unknown>(Object.entries(this.value)).set(key, value)
  }
}

/** Maps of any keys and values, read as plain objects where all keys are strings. */
export const compilePlainMap = (compiler: Compiler): ValueCodec => {
  const any: Slot = { codec: compiler.dynamic.any, nullable: false }
  const { read, ...rest } = compileEntries(compiler, any, any, (map) => map as object, {
    entriesOf: (map) => Array.from(map as ReadonlyMap<unknown, unknown>),
    make: () => new PlainMap(),
    put: (map, k, v) => (map as PlainMap).put(k, v),
    count: "",
    each: ""
  })
  return {
    typeId: TypeId.map,
    label: "a map",
    named: undefined,
    ...rest,
    read: (reader, depth) => (read(reader, depth) as PlainMap).value,
    parts: (map) => (map instanceof Map ? entryParts(map, any, any) : [])
  }
}

const compileEntries = (
  compiler: Compiler,
  key: Slot,
  value: Slot,
  check: (value: unknown) => object,
  { entriesOf, make, put, count, each }: Container
): Pick<ValueCodec, "write" | "writeUndeclared" | "read"> => {
  const { maxDepth } = compiler.limits
  const { directory } = compiler.dynamic
  const side = (slot: Slot, declared: boolean): EntrySide => ({
    ...undeclaredSlot(slot),
    declared: declared && !isUntyped(slot) ? slot.codec : undefined
  })
  const writer = (declared: boolean): Write => {
    const [keys, values] = [side(key, declared), side(value, declared)]
    return (target, position, map, depth) => writeEntries(target, position, entriesOf(map), depth, keys, values)
  }
  const writeUndeclared = writer(false)
  const readOther = (reader: Reader, header: number, left: number, depth: number, container: object): number =>
    readChunk(reader, header, left, depth, key, value, directory, (k, v) => put(container, k, v))
  if (isUntyped(key) || isUntyped(value)) {
    return {
      write: writer(true),
      writeUndeclared,
      read: (reader, depth) => {
        if (depth + 1 > maxDepth) reader.tooDeep()
        const container = make()
        for (let left = reader.count(); left > 0;) left -= readOther(reader, reader.uint8(), left, depth, container)
        return container
      }
    }
  }
  const [keys, values] = [side(key, true), side(value, true)]
  const writeNull = (target: Writer, position: number, k: unknown, v: unknown, depth: number): number =>
    writeNullEntry(target, position, k, v, depth, keys, values)
  const source = new Source()
  const code = `return {
write(w, p, v, d) {
const m = ${source.bind(check)}(v)
${count}
if (d + (n > 0 ? 2 : 1) > ${maxDepth}) ${source.bind(tooDeep)}(${maxDepth})
p = ${source.bind(writeCount)}(w, p, n)
let at = 0, size = 0
${each}
if (k === null || k === undefined || x === null || x === undefined) {
p = ${source.bind(writeNull)}(w, p, k, x, d)
size = 0
continue
}
if (size === 0 || size === ${maxChunk}) {
w.ensure(p, 2)
w.buffer[p] = ${declaredChunk}
at = p + 1
p += 2
size = 0
}
w.buffer[at] = ++size
${emitWrite(source, key.codec, "k", "d + 2", false)}
${emitWrite(source, value.codec, "x", "d + 2", false)}
}
return p
},
read(r, d) {
if (d + 1 > ${maxDepth}) r.tooDeep()
const m = ${source.bind(make)}()
let left = r.count()
while (left > 0) {
const h = r.uint8()
if (h !== ${declaredChunk}) {
left -= ${source.bind(readOther)}(r, h, left, d, m)
continue
}
let size = ${source.bind(chunkSize)}(r, left)
left -= size
for (; size > 0; size--) {
const k = ${emitRead(source, key.codec, "d + 2")}
${source.bind(put)}(m, k, ${emitRead(source, value.codec, "d + 2")})
}
}
return m
}
}`
  return { writeUndeclared, ...(source.build(code) as Pick<ValueCodec, "write" | "read">) }
}
