/**
 * The error of a call, as it travels in a status trailer.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { nameOf, StatusCode, type StatusName } from "./Status.ts"

/** Largest status number. @since 0.1.0 */
export const MAX_CODE = 0x7fffffff

/** The name of a status that a call can fail with. @since 0.1.0 */
export type FailureName = Exclude<StatusName, "OK">

/**
 * A call ended with a status other than OK.
 *
 * - `code`: the status number (`StatusCode`), 1 to 2^31-1: 0 would say that the call succeeded. Numbers without a name
 *   are kept as they came;
 * - `message`: for people; never match on it;
 * - `details`: string pairs the server attached. The reference's servers never send any.
 *
 * @since 0.1.0
 */
export class RpcError extends Schema.TaggedError<RpcError>()("RpcError", {
  code: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: MAX_CODE })),
  message: Schema.String,
  details: Schema.Record(Schema.String, Schema.String).pipe(Schema.withConstructorDefault(Effect.succeed({})))
}) {
  /** An error with a named status. */
  static of(name: FailureName, message: string, details: { readonly [key: string]: string } = {}): RpcError {
    return new RpcError({ code: StatusCode[name], message, details })
  }

  /** The same error with more details: at most 32 entries travel. */
  with(details: { readonly [key: string]: string }): RpcError {
    return new RpcError({ code: this.code, message: this.message, details: { ...this.details, ...details } })
  }

  /** Name of the status, e.g. `NOT_FOUND`; `CODE_999` for a number without one. */
  get status(): string {
    return nameOf(this.code)
  }

  /** Whether this error has the named status. */
  is(name: FailureName): boolean {
    return this.code === StatusCode[name]
  }
}

/**
 * Whether a value is the error of a call. By its tag and not by its class: a process may hold two copies of this package.
 *
 * @since 0.1.0
 */
export const isRpcError = (value: unknown): value is RpcError =>
  typeof value === "object" &&
  value !== null &&
  "_tag" in value &&
  value._tag === "RpcError" &&
  "code" in value &&
  typeof value.code === "number" &&
  "message" in value &&
  typeof value.message === "string" &&
  "details" in value &&
  typeof value.details === "object" &&
  value.details !== null
