/**
 * Text that is not a contract manifest.
 *
 * @since 0.1.0
 */
import { PathError } from "./internal/pathError.ts"

/** `path` names the place (`methods[2].fields[0].kind`), empty for the whole. @since 0.1.0 */
export class ManifestError extends PathError {
  readonly _tag = "ManifestError"
  override readonly name = "ManifestError"
}
