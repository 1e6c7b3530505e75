import * as Role from "@aster-effect/admission/Role"
import type { BlobsOptions } from "@aster-effect/server/ServerBlobs"

/** For the option `blobs` of a server. */
export const access: BlobsOptions = {
  // Default: whoever may come in may fetch.
  requires: Role.anyOf("trainer", "release"),
  // Default: nobody may write into this store.
  pushRequires: Role.role("release")
}
