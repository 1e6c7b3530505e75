import * as Capability from "@aster-effect/admission/Capability"
import type { BlobsOptions } from "@aster-effect/server/ServerBlobs"

/** For the option `blobs` of a server. */
export const access: BlobsOptions = {
  // Default: whoever may come in may fetch.
  requires: Capability.anyOf("trainer", "release"),
  // Default: nobody may write into this store.
  pushRequires: Capability.role("release")
}
