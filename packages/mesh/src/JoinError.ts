/**
 * Why a producer was not let into a mesh.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A contact did not let this producer in.
 *
 * | reason | meaning |
 * |---|---|
 * | `NoCredential` | this node has none to show |
 * | `Unreachable` | no answer; trying again may help |
 * | `Refused` | the answer is no |
 * | `Elsewhere` | the contact's mesh is another one, and this node has one with members |
 *
 * @since 0.1.0
 */
export class JoinError extends Schema.TaggedError<JoinError>()("JoinError", {
  /** The producer's endpoint id. */
  contact: Schema.String,
  reason: Schema.Literals(["NoCredential", "Unreachable", "Refused", "Elsewhere"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `the producer ${this.contact.slice(0, 10)} was not joined: ${this.detail}`
  }
}
