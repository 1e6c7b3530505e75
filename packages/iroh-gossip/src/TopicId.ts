/**
 * The name of a topic: 32 bytes, written as 64 lower-case hex digits.
 *
 * @since 0.1.0
 */
import { blake3 } from "@noble/hashes/blake3.js"
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import * as Brand from "effect/Brand"
import * as Data from "effect/Data"

/** 64 lower-case hex digits. Who knows a topic's id can join it: it is no secret and no protection. */
export type TopicId = Brand.Branded<string, "@aster-effect/iroh-gossip/TopicId">

/** A text or byte array that cannot be a topic id. */
export class TopicIdError extends Data.TaggedError("TopicIdError")<{ readonly problem: string }> {
  override get message(): string {
    return `Not a topic id: ${this.problem}. Pass 32 bytes or 64 hex digits; of any other text take \`TopicId.fromName\`.`
  }
}

const brand = Brand.nominal<TopicId>()

/** The topic of a name: the BLAKE3 hash of its UTF-8 form. */
export const fromName = (name: string): TopicId => brand(bytesToHex(blake3(new TextEncoder().encode(name))))

/** Whether `text` is 64 hex digits, in either case. */
export const isHex = (text: string): boolean => /^[0-9a-fA-F]{64}$/.test(text)

/**
 * Reads 64 hex digits in either case.
 *
 * @throws TopicIdError
 */
export const parse = (text: string): TopicId => {
  if (!isHex(text)) throw new TopicIdError({ problem: `${text.length} characters that are not 64 hex digits` })
  return brand(text.toLowerCase())
}

/**
 * The topic that is these 32 bytes.
 *
 * @throws TopicIdError
 */
export const fromBytes = (bytes: Uint8Array): TopicId => {
  if (bytes.length !== 32) throw new TopicIdError({ problem: `${bytes.length} bytes` })
  return brand(bytesToHex(bytes))
}

/** The 32 bytes. */
export const toBytes = (topic: TopicId): Uint8Array => hexToBytes(topic)
