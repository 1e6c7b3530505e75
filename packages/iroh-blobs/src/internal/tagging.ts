import * as Effect from "effect/Effect"
import type { BlobStoreError } from "../BlobError.ts"
import type { HashAndFormat } from "../BlobHash.ts"
import type { AddOptions } from "../Blobs.ts"
import type { FinishOptions, Tags } from "../BlobStore.ts"

/** How a new blob is to be finished. */
export const finishOptions = ({ format, tag }: AddOptions = {}): FinishOptions => ({
  format,
  tag: tag === false ? undefined : (tag ?? true)
})

/** Tags what has been downloaded: by name, not at all, or with a new automatic tag. */
export const keep = (
  tags: Tags,
  tag: AddOptions["tag"],
  content: HashAndFormat
): Effect.Effect<void, BlobStoreError> => {
  if (tag === false) return Effect.void
  return tag === undefined ? Effect.asVoid(tags.create(content)) : tags.set(tag, content)
}
