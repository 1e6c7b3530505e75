/**
 * Compression of data frames: one standard zstd frame, no dictionary.
 *
 * @since 0.1.0
 */
import { constants, zstdCompressSync, zstdDecompress, zstdDecompressSync } from "node:zlib"
import * as Effect from "effect/Effect"
import { CodecError } from "../message/CodecError.ts"
import { MAX_DECOMPRESSED_SIZE } from "../Limits.ts"

/** zstd level 3, the default of release 0.1.2; the content size is recorded, which some of its readers need. */
const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_contentSizeFlag]: 1 }

/** Bytes that are looked at before compressing, in slices all over the message. */
const SAMPLE = 4_096
const SLICE = 256

const counts = new Uint16Array(256)

/**
 * Whether bytes look random, as compressed and encrypted ones do: every value as often as chance has it. The sum of the
 * squares of n counts is then about n + n^2 / 256; text has many times that, and a pattern of all values less.
 */
const looksRandom = (bytes: Uint8Array): boolean => {
  if (bytes.length < SAMPLE) return false
  counts.fill(0)
  const step = (bytes.length - SLICE) / (SAMPLE / SLICE - 1)
  for (let slice = 0; slice < SAMPLE / SLICE; slice++) {
    const start = Math.floor(slice * step)
    for (let i = start; i < start + SLICE; i++) counts[bytes[i]!]!++
  }
  let squares = 0
  for (const count of counts) squares += count * count
  return squares > 67_500 && squares < 74_000
}

/**
 * The compressed bytes, or undefined when they would not be fewer. Bytes that look random are not tried, which takes a
 * tenth of the time of finding out.
 *
 * @since 0.1.0
 */
export const compress = (bytes: Uint8Array): Uint8Array | undefined => {
  if (looksRandom(bytes)) return undefined
  const compressed = zstdCompressSync(bytes, { params, pledgedSrcSize: bytes.length } as never)
  return compressed.length < bytes.length ? compressed : undefined
}

/**
 * Decompresses what becomes at most `limit` bytes; undefined when it becomes more.
 *
 * @throws CodecError `Malformed`
 * @since 0.1.0
 */
export const decompressWithin = (bytes: Uint8Array, limit: number): Uint8Array | undefined => {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: limit })
  } catch (error) {
    if (isTooLarge(error)) return undefined
    throw malformed
  }
}

/** Each piece that is decompressed off the thread waits for the event loop once, which others may keep busy: so they are large. */
const PIECE = 512 * 1024

/**
 * Decompresses at most `MAX_DECOMPRESSED_SIZE` bytes, whatever size the sender recorded, off the thread. Fails with
 * `TooLarge` or `Malformed`.
 *
 * @since 0.1.0
 */
export const decompress = (bytes: Uint8Array): Effect.Effect<Uint8Array, CodecError> =>
  Effect.callback((resume) => {
    zstdDecompress(bytes, { chunkSize: PIECE, maxOutputLength: MAX_DECOMPRESSED_SIZE }, (error, decompressed) => {
      resume(error === null ? Effect.succeed(decompressed) : Effect.fail(isTooLarge(error) ? tooLarge : malformed))
    })
  })

const isTooLarge = (error: unknown): boolean => (error as { readonly code?: unknown }).code === "ERR_BUFFER_TOO_LARGE"

const tooLarge = new CodecError({
  reason: "TooLarge",
  detail: `decompresses to more than ${MAX_DECOMPRESSED_SIZE} bytes`
})

const malformed = new CodecError({ reason: "Malformed", detail: "not a zstd frame" })
