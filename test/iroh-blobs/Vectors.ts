/** Recorded vectors and what is needed to use them. */
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import { BaoDecoder, type BaoItem } from "../../packages/iroh-blobs/src/proto/BaoDecoder.ts"
import { BaoEncoder } from "../../packages/iroh-blobs/src/proto/BaoEncoder.ts"
import { hashBlob } from "../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"

interface Get {
  readonly n: number
  readonly k: number
  readonly ranges: ReadonlyArray<string>
  readonly requestHex: string
  readonly responseLength: number
  readonly responseSha256: string
  readonly parents: number
  readonly leafBytes: number
  readonly full?: string
}
interface Exchange {
  readonly note: string
  readonly requestHex: string
  readonly responseLength: number
  readonly responseSha256: string
}
interface SeqEntry {
  readonly offset: number
  readonly ranges: ReadonlyArray<string>
}
interface Vectors {
  readonly blobs: ReadonlyArray<{ readonly n: number; readonly k: number; readonly hash: string }>
  readonly get: ReadonlyArray<Get>
  readonly hashSeq: {
    readonly children: ReadonlyArray<{ readonly n: number; readonly k: number }>
    readonly bytesHex: string
    readonly hash: string
    readonly requests: ReadonlyArray<Exchange & { readonly rangesSeq: ReadonlyArray<SeqEntry> }>
  }
  readonly getMany: ReadonlyArray<Exchange>
  readonly observe: ReadonlyArray<{
    readonly note: string
    readonly requestHex?: string
    readonly firstMessageHex?: string
    readonly messagesHex?: ReadonlyArray<string>
  }>
  readonly push: ReadonlyArray<{
    readonly n: number
    readonly k: number
    readonly ranges: ReadonlyArray<string>
    readonly requestHex: string
    readonly streamSha256?: string
    readonly streamHex?: string
  }>
  readonly errors: ReadonlyArray<{ readonly note: string; readonly requestHex: string; readonly outcome: string }>
  readonly encodings: {
    readonly rangeSpec: ReadonlyArray<{ readonly ranges: ReadonlyArray<string>; readonly hex: string }>
    readonly rangesSeq: ReadonlyArray<{ readonly entries: ReadonlyArray<SeqEntry>; readonly hex: string }>
  }
  readonly collections: ReadonlyArray<{
    readonly entries: ReadonlyArray<readonly [string, string]>
    readonly metaHex: string
    readonly rootHex: string
    readonly rootHash: string
    readonly requestHex: string
    readonly responseLength?: number
    readonly responseSha256?: string
  }>
  readonly tree: {
    readonly groupCv: ReadonlyArray<string>
    readonly outboardPreOrderHex: string
    readonly firstChunkCv: string
  }
  readonly tickets: ReadonlyArray<{
    readonly endpointId: string
    readonly relayUrl: string | null
    readonly directAddresses: ReadonlyArray<string>
    readonly format: "raw" | "hashSeq"
    readonly hash: string
    readonly ticket: string
  }>
}

const url = new URL("vectors/iroh-blobs.json", import.meta.url)
export const vectors = JSON.parse(readFileSync(url, "utf8")) as Vectors

/** Byte i is (i + k) mod 251. */
export const blobOf = (n: number, k: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (i + k) % 251)

/** Content given by a rule: utf8:text or blob(n, k). */
export const contentOf = (rule: string): Uint8Array => {
  if (rule.startsWith("utf8:")) return new TextEncoder().encode(rule.slice(5))
  const [, n, k] = /^blob\((\d+),\s*(\d+)\)$/.exec(rule)!
  return blobOf(Number(n), Number(k))
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
export const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"))
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** Boundaries as numbers; those that no blob reaches as `BEYOND`. */
export const rangesOf = (boundaries: ReadonlyArray<string>): ChunkRanges.ChunkRanges =>
  boundaries.map((text) => Math.min(Number(text), ChunkRanges.BEYOND))

/** The response for a blob in memory, in the pieces the encoder made. */
export const respond = (blob: Uint8Array, ranges: ChunkRanges.ChunkRanges, present = ChunkRanges.all) => {
  const { hash, outboard } = hashBlob(blob)
  const encoder = new BaoEncoder(hash, Bitfield.make(blob.length, true, present), ranges)
  const parts = [encoder.header]
  for (let need = encoder.need; need !== undefined; need = encoder.need) {
    const from = need.from === "data" ? blob : outboard
    parts.push(encoder.supply(from.subarray(need.offset, need.offset + need.length)))
  }
  return { hash, parts, gap: encoder.gap, bytes: concat(parts) }
}

/** Feeds a response to a decoder. Throws what the decoder throws, and on a response that is too short. */
export const receive = (root: Uint8Array, ranges: ChunkRanges.ChunkRanges, response: Uint8Array) => {
  const decoder = new BaoDecoder(root, ranges)
  const items: Array<BaoItem> = []
  let at = 0
  while (decoder.wanted > 0) {
    const end = at + decoder.wanted
    if (end > response.length) throw new Error("response ends early")
    items.push(decoder.accept(response.subarray(at, end)))
    at = end
  }
  return { items, used: at }
}
