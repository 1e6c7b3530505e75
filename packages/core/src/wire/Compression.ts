/**
 * Compression of data frames: one standard zstd frame, no dictionary.
 *
 * @since 0.1.0
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib"
import { CodecError } from "../message/CodecError.ts"
import { MAX_DECOMPRESSED_SIZE } from "../Limits.ts"

/** zstd level 3, the default of release 0.1.2; the content size is recorded, which some of its readers need. */
const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_contentSizeFlag]: 1 }

/**
 * The compressed bytes, or undefined when they would not be fewer.
 *
 * @since 0.1.0
 */
export const compress = (bytes: Uint8Array): Uint8Array | undefined => {
  const compressed = zstdCompressSync(bytes, { params, pledgedSrcSize: bytes.length } as never)
  return compressed.length < bytes.length ? compressed : undefined
}

/**
 * Decompresses at most `MAX_DECOMPRESSED_SIZE` bytes, whatever size the sender recorded.
 *
 * @throws CodecError `TooLarge` or `Malformed`
 * @since 0.1.0
 */
export const decompress = (bytes: Uint8Array): Uint8Array => {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: MAX_DECOMPRESSED_SIZE })
  } catch (error) {
    const code = (error as { readonly code?: unknown }).code
    throw code === "ERR_BUFFER_TOO_LARGE"
      ? new CodecError({ reason: "TooLarge", detail: `decompresses to more than ${MAX_DECOMPRESSED_SIZE} bytes` })
      : new CodecError({ reason: "Malformed", detail: "not a zstd frame" })
  }
}
