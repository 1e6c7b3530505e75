import { Buffer } from "node:buffer"

interface Natives {
  latin1Slice(this: Uint8Array, start: number, end: number): string
  ucs2Slice(this: Uint8Array, start: number, end: number): string
  utf8Slice(this: Uint8Array, start: number, end: number): string
  latin1Write(this: Uint8Array, text: string, offset: number): number
  ucs2Write(this: Uint8Array, text: string, offset: number): number
  utf8Write(this: Uint8Array, text: string, offset: number): number
}

/**
 * What `Buffer`'s `toString` and `write` call in the end: undocumented, but as old as Node. They take any Uint8Array,
 * where the documented methods need a Buffer around it, and save a third of the time on short texts.
 */
export const { latin1Slice, ucs2Slice, utf8Slice, latin1Write, ucs2Write, utf8Write } =
  Buffer.prototype as unknown as Natives
