import { TypeId } from "../proto/TypeId.ts"
import type { Compiler } from "./compile.ts"
import { makeArray, readElements, writeCount, writeUndeclaredElements, type UndeclaredSlot } from "./elements.ts"
import { readChunk, writeEntries, type EntrySide } from "./entries.ts"
import { invalid, tooDeep } from "./invalid.ts"
import { emitRead, emitWrite } from "./place.ts"
import type { Reader } from "./reader.ts"
import { scalars } from "./scalars.ts"
import { Source } from "./source.ts"
import { keySegment, type Part, type Slot, type ValueCodec, type Write } from "./valueCodec.ts"

/** Lists, sets, maps and records of declared types: generated loops for what pyfory writes for them. */

type Elements = ReadonlyArray<unknown>
type Entries = ReadonlyArray<readonly [unknown, unknown]>

const isUntyped = (slot: Slot): boolean => slot.codec.typeId === 0

const undeclared = (compiler: Compiler, slot: Slot): UndeclaredSlot =>
  isUntyped(slot)
    ? { nullable: true, codecOf: compiler.dynamic.codecOf }
    : { nullable: slot.nullable, codecOf: () => slot.codec }

const side = (compiler: Compiler, slot: Slot, declared: boolean): EntrySide => ({
  ...undeclared(compiler, slot),
  declared: declared && !isUntyped(slot) ? slot.codec : undefined
})

// --- lists and sets

export const compileList = (compiler: Compiler, element: Slot): ValueCodec => {
  const elementsOf = (value: unknown): Elements => (Array.isArray(value) ? value : invalid("an array", value))
  return {
    typeId: TypeId.list,
    label: "a list",
    named: undefined,
    plain: false,
    ...compileElements(compiler, element, elementsOf),
    parts: (value) => (Array.isArray(value) ? elementParts(value, element) : [])
  }
}

export const compileSet = (compiler: Compiler, element: Slot): ValueCodec => {
  const elementsOf = (value: unknown): Elements =>
    value instanceof Set ? Array.from<unknown>(value) : invalid("a Set", value)
  const { read, ...rest } = compileElements(compiler, element, elementsOf)
  return {
    typeId: TypeId.set,
    label: "a set",
    named: undefined,
    plain: false,
    ...rest,
    read: (reader, depth) => new Set(read(reader, depth)),
    parts: (value) => (value instanceof Set ? elementParts(Array.from<unknown>(value), element) : [])
  }
}

const elementParts = (elements: Elements, slot: Slot): Iterable<Part> =>
  elements.map((value, index) => ({ segment: `[${index}]`, value, slot }))

interface ElementsCodec {
  readonly write: Write
  readonly writeUndeclared: Write
  readonly read: (reader: Reader, depth: number) => Array<unknown>
}

const compileElements = (
  compiler: Compiler,
  element: Slot,
  elementsOf: (value: unknown) => Elements
): ElementsCodec => {
  const { maxDepth } = compiler.limits
  const undeclaredSlot = undeclared(compiler, element)
  const writeUndeclared: Write = (writer, position, value, depth) =>
    writeUndeclaredElements(writer, position, elementsOf(value), depth, undeclaredSlot)
  const readOther = (reader: Reader, header: number, count: number, depth: number): Array<unknown> =>
    readElements(reader, header, count, depth, element, compiler.dynamic.directory)
  if (isUntyped(element)) {
    return {
      write: writeUndeclared,
      writeUndeclared,
      read: (reader, depth) => {
        if (depth > maxDepth) reader.tooDeep()
        const count = reader.count()
        return count === 0 ? [] : readOther(reader, reader.uint8(), count, depth)
      }
    }
  }
  const source = new Source()
  const deep = source.bind(tooDeep)
  const write = emitWrite(source, element.codec, "x", "d + 2", false)
  const code = `return {
write(w, p, v, d) {
const a = ${source.bind(elementsOf)}(v)
const n = a.length
if (d > ${maxDepth}) ${deep}(${maxDepth})
p = ${source.bind(writeCount)}(w, p, n)
if (n === 0) return p
${element.codec.plain ? "" : `if (d + 2 > ${maxDepth}) ${deep}(${maxDepth})`}
${
  element.nullable
    ? `
let some = false
for (let i = 0; i < n && !some; i++) some = a[i] === null || a[i] === undefined
if (some) {
if (d + 2 > ${maxDepth}) ${deep}(${maxDepth})
w.buffer[p++] = 0x0e
for (let i = 0; i < n; i++) {
const x = a[i]
w.ensure(p, 1)
if (x === null || x === undefined) w.buffer[p++] = 0xfd
else {
w.buffer[p++] = 0xff
${write}}
}
return p
}`
    : ""
}
w.buffer[p++] = 0x0c
for (let i = 0; i < n; i++) {
const x = a[i]
${write}}
return p
},
read(r, d) {
if (d > ${maxDepth}) r.tooDeep()
const n = r.count()
if (n === 0) return []
const h = r.uint8()
if (h !== 0x0c) return ${source.bind(readOther)}(r, h, n, d)
const a = ${source.bind(makeArray)}(n)
for (let i = 0; i < n; i++) a[i] = ${emitRead(source, element.codec, "d + 2")}
return a
}
}`
  return { writeUndeclared, ...(source.build(code) as Pick<ElementsCodec, "write" | "read">) }
}

// --- maps and records

export const compileMap = (compiler: Compiler, key: Slot, value: Slot): ValueCodec => ({
  typeId: TypeId.map,
  label: "a map",
  named: undefined,
  plain: false,
  ...compileEntries(compiler, key, value, {
    entriesOf: (map) => (map instanceof Map ? Array.from<readonly [unknown, unknown]>(map) : invalid("a Map", map)),
    make: () => new Map<unknown, unknown>(),
    put: (map, k, v) => void (map as Map<unknown, unknown>).set(k, v)
  }),
  parts: (map) =>
    map instanceof Map
      ? Array.from(map as Map<unknown, unknown>).flatMap(([k, v]) => [
          { segment: "{key}", value: k, slot: key },
          { segment: keySegment(k), value: v, slot: value }
        ])
      : []
})

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map)

export const compileRecord = (compiler: Compiler, value: Slot): ValueCodec => ({
  typeId: TypeId.map,
  label: "a map with string keys",
  named: undefined,
  plain: false,
  ...compileEntries(compiler, { codec: scalars.string, nullable: false }, value, {
    entriesOf: (record) => (isObject(record) ? Object.entries(record) : invalid("an object", record)),
    make: () => ({}),
    put: putMember
  }),
  parts: (record) =>
    isObject(record)
      ? Object.entries(record).map(([k, v]) => ({ segment: keySegment(k), value: v as unknown, slot: value }))
      : []
})

const putMember = (record: object, key: unknown, value: unknown): void => {
  // Assignment to this one key would set the prototype.
  if (key === "__proto__")
    Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true })
  else (record as { [key: string]: unknown })[key as string] = value
}

interface Container {
  readonly entriesOf: (value: unknown) => Entries
  readonly make: () => object
  readonly put: (container: object, key: unknown, value: unknown) => void
}

const compileEntries = (
  compiler: Compiler,
  key: Slot,
  value: Slot,
  { entriesOf, make, put }: Container
): Pick<ValueCodec, "write" | "writeUndeclared" | "read"> => {
  const { maxDepth } = compiler.limits
  const { directory } = compiler.dynamic
  const writer = (declared: boolean): Write => {
    const keySide = side(compiler, key, declared)
    const valueSide = side(compiler, value, declared)
    return (target, position, map, depth) => writeEntries(target, position, entriesOf(map), depth, keySide, valueSide)
  }
  return {
    write: writer(true),
    writeUndeclared: writer(false),
    read: (reader, depth) => {
      if (depth + 1 > maxDepth) reader.tooDeep()
      const container = make()
      const putEntry = (k: unknown, v: unknown): void => put(container, k, v)
      for (let left = reader.count(); left > 0;)
        left -= readChunk(reader, reader.uint8(), left, depth, key, value, directory, putEntry)
      return container
    }
  }
}
