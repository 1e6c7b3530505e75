import * as Blake3 from "@aster-effect/iroh/Blake3"
import { blake3 } from "@noble/hashes/blake3.js"

/**
 * The BLAKE3 hash of a broadcast's content, which names it (iroh-gossip wire, Messages). Written as 32 characters of one
 * byte each: what a `Map` compares fast and a frame is filled with at no cost.
 */
export type MessageId = string & { readonly MessageId: unique symbol }

const LENGTH = 32

/** The id of some content. */
export const of = (content: Uint8Array): MessageId => fromBytes(Blake3.native()?.(content, 0, true) ?? blake3(content))

/** The id that is these 32 bytes. */
export const fromBytes = (bytes: Uint8Array): MessageId =>
  Buffer.from(bytes.buffer, bytes.byteOffset, LENGTH).toString("latin1") as MessageId

/** The 32 bytes. */
export const toBytes = (id: MessageId): Uint8Array => {
  const bytes = new Uint8Array(LENGTH)
  for (let i = 0; i < LENGTH; i++) bytes[i] = id.charCodeAt(i)
  return bytes
}
