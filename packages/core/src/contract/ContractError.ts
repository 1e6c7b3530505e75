/**
 * Something that cannot be part of a contract: a service description that breaks a rule, or JSON that is not a contract
 * structure.
 *
 * @since 0.1.0
 */
import { PathError } from "./internal/pathError.ts"

/**
 * `path` names the place: `methods[2].default_timeout` in JSON, `tasks.models.Task.meta` in a description (the type's
 * qualified name and the field), empty for the whole.
 *
 * @since 0.1.0
 */
export class ContractError extends PathError {
  readonly _tag = "ContractError"
  override readonly name = "ContractError"
}
