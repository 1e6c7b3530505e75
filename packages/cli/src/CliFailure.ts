import * as Schema from "effect/Schema"

/**
 * A command cannot do what it was told. `Refused`: the arguments make sense, but not here and now; `Misused`: they do
 * not go together. The message says what to do instead.
 *
 * @since 0.1.0
 */
export class CliFailure extends Schema.TaggedError<CliFailure>()("CliFailure", {
  reason: Schema.Literals(["Refused", "Misused"]),
  message: Schema.String
}) {}

/** @since 0.1.0 */
export const refused = (message: string): CliFailure => new CliFailure({ reason: "Refused", message })

/** @since 0.1.0 */
export const misused = (message: string): CliFailure => new CliFailure({ reason: "Misused", message })
