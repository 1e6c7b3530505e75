/**
 * Text that is not a contract manifest.
 *
 * @since 0.1.0
 */

/** `path` names the place (`methods[2].fields[0].kind`), empty for the whole. @since 0.1.0 */
export class ManifestError extends Error {
  readonly _tag = "ManifestError"
  override readonly name = "ManifestError"
  readonly path: string
  /** What is wrong there and what is expected instead. */
  readonly problem: string

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(path === "" ? problem : `${path}: ${problem}`, options)
    this.path = path
    this.problem = problem
  }
}
