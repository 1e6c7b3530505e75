/**
 * The error of a call, as it travels in a status trailer.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { nameOf, StatusCode, type StatusName } from "./Status.ts"

/**
 * A call ended with a status other than OK.
 *
 * - `code`: the status number (`StatusCode`); numbers that have no name are kept as they came;
 * - `message`: for people; never match on it;
 * - `details`: string pairs the server attached. The reference's servers never send any.
 *
 * @since 0.1.0
 */
export class RpcError extends Schema.TaggedError<RpcError>()("RpcError", {
  code: Schema.Int,
  message: Schema.String,
  details: Schema.Record(Schema.String, Schema.String).pipe(Schema.withConstructorDefault(Effect.succeed({})))
}) {
  /** An error with a named status. */
  static of(name: StatusName, message: string, details: { readonly [key: string]: string } = {}): RpcError {
    return new RpcError({ code: StatusCode[name], message, details })
  }

  /** Name of the status, e.g. `NOT_FOUND`; `CODE_999` for a number without one. */
  get status(): string {
    return nameOf(this.code)
  }

  /** Whether this error has the named status. */
  is(name: StatusName): boolean {
    return this.code === StatusCode[name]
  }
}
