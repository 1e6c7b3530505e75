import { TypeId } from "../proto/TypeId.ts"
import type { Compiler } from "./compile.ts"
import { isReadInBulk, makeArray, readElements, writeCount, writeUndeclaredElements } from "./elements.ts"
import { invalid, tooDeep } from "./invalid.ts"
import { elementParts } from "./parts.ts"
import { emitRead, emitWrite, undeclaredSlot } from "./place.ts"
import type { Reader } from "./reader.ts"
import { Source } from "./source.ts"
import { isUntyped, type Slot, type ValueCodec, type Write } from "./valueCodec.ts"

/** Lists and sets: a generated loop for elements of a declared type, `elements.ts` for the rest. */

type Elements = ReadonlyArray<unknown>

export const compileList = (compiler: Compiler, element: Slot): ValueCodec => {
  const elementsOf = (value: unknown): Elements => (Array.isArray(value) ? value : invalid("an array", value))
  return {
    typeId: TypeId.list,
    label: "a list",
    named: undefined,
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
    ...rest,
    read: (reader, depth) => new Set(read(reader, depth)),
    parts: (value) => (value instanceof Set ? elementParts(value, element) : [])
  }
}

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
  const undeclared = undeclaredSlot(element)
  const writeUndeclared: Write = (writer, position, value, depth) =>
    writeUndeclaredElements(writer, position, elementsOf(value), depth, undeclared)
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
${isReadInBulk(element.codec) ? "" : `if (d + 2 > ${maxDepth}) ${deep}(${maxDepth})`}
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
