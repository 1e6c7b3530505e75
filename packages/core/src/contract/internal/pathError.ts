/** Something wrong at a place within what was read or described. */
export abstract class PathError extends Error {
  /** The place; empty for the whole. */
  readonly path: string
  /** What is wrong there and what is expected instead. */
  readonly problem: string

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(path === "" ? problem : `${path}: ${problem}`, options)
    this.path = path
    this.problem = problem
  }
}
