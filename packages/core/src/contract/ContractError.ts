/**
 * Something that cannot be part of a contract: a service description that breaks a rule, or JSON that is not a contract
 * structure.
 *
 * @since 0.1.0
 */

/**
 * `path` names the place: `methods[2].default_timeout` in JSON, `tasks.models.Task.meta` in a description (the type's
 * qualified name and the field), empty for the whole.
 *
 * @since 0.1.0
 */
export class ContractError extends Error {
  readonly _tag = "ContractError"
  override readonly name = "ContractError"
  readonly path: string
  /** What is wrong there and what is expected instead. */
  readonly problem: string

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(path === "" ? problem : `${path}: ${problem}`, options)
    this.path = path
    this.problem = problem
  }
}
