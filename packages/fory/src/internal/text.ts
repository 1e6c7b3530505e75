import { Buffer } from "node:buffer"
import type { Write } from "./valueCodec.ts"
import { invalid } from "./invalid.ts"
import { latin1Write, ucs2Write, utf8Write } from "./natives.ts"
import type { Writer } from "../Writer.ts"
import { ForyError } from "../ForyError.ts"

const notLatin1 = /[\u0100-\uffff]/
const surrogate = /[\ud800-\udfff]/

/** Up to this length a loop beats the calls into native code, and a Latin-1 header is one byte. */
const longestLoop = 31

/** Header of a string: its length in bytes and its encoding in the two lowest bits (Fory XLANG §4). */
const writeHeader = (writer: Writer, position: number, length: number, encoding: number): number => {
  const { buffer } = writer
  // Strings above 512 MiB do not exist in V8, so the header fits 32 bits.
  let header = ((length << 2) | encoding) >>> 0
  for (; header > 127; header >>>= 7) buffer[position++] = (header & 127) | 128
  buffer[position] = header
  return position + 1
}

/** Writes a string in the narrowest of the encodings as pyfory chooses it: Latin-1, else UTF-16, else UTF-8. */
export const writeString: Write = (writer, position, value) => {
  if (typeof value !== "string") return invalid("a string", value)
  const { length } = value
  if (length > longestLoop) return writeLongString(writer, position, value)
  writer.ensure(position, 2 + 2 * length)
  const { buffer } = writer
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i)
    if (unit > 0xff) return writeWideLoop(writer, position, value)
    buffer[position + 1 + i] = unit
  }
  buffer[position] = length << 2
  return position + 1 + length
}

const writeWideLoop = (writer: Writer, position: number, value: string): number => {
  const { buffer } = writer
  const { length } = value
  let at = writeHeader(writer, position, length * 2, 1)
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i)
    if ((unit & 0xf800) === 0xd800) return writeUtf8(writer, position, value)
    buffer[at++] = unit
    buffer[at++] = unit >> 8
  }
  return at
}

const writeLongString = (writer: Writer, position: number, value: string): number => {
  // On a string that V8 stores as Latin-1 the test is free.
  if (!notLatin1.test(value)) {
    writer.ensure(position, 5 + value.length)
    const start = writeHeader(writer, position, value.length, 0)
    return start + latin1Write.call(writer.buffer, value, start)
  }
  if (surrogate.test(value)) return writeUtf8(writer, position, value)
  writer.ensure(position, 5 + value.length * 2)
  const start = writeHeader(writer, position, value.length * 2, 1)
  return start + ucs2Write.call(writer.buffer, value, start)
}

const writeUtf8 = (writer: Writer, position: number, value: string): number => {
  if (!value.isWellFormed()) throw new ForyError("InvalidText", "The string has an unpaired surrogate")
  const length = Buffer.byteLength(value, "utf8")
  writer.ensure(position, 5 + length)
  const start = writeHeader(writer, position, length, 2)
  return start + utf8Write.call(writer.buffer, value, start)
}
