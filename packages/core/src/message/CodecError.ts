/**
 * A message that cannot be read or written.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * - `Malformed`: not the encoding it should be, or a value of the wrong type;
 * - `UnexpectedFields`: the sender's type has fields that ours does not have (CONTRACT_VIOLATION on the wire);
 * - `SchemaMismatch`: the sender's XLANG type has another shape than ours (CONTRACT_VIOLATION on the wire);
 * - `Invalid`: readable, but a check of the schema failed;
 * - `TooLarge`: over a limit.
 *
 * `detail` names the place and never quotes values.
 *
 * @since 0.1.0
 */
export class CodecError extends Schema.TaggedError<CodecError>()("CodecError", {
  reason: Schema.Literals(["Malformed", "UnexpectedFields", "SchemaMismatch", "Invalid", "TooLarge"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}
