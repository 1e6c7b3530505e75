/**
 * What a handler and an interceptor may know about the call they are part of.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { Pattern } from "../message/WireType.ts"

/**
 * The method of a call.
 *
 * @since 0.1.0
 */
export interface CalledMethod {
  readonly service: string
  readonly version: number
  readonly method: string
  readonly pattern: Pattern
  /** Declared by the method; does not travel. */
  readonly idempotent: boolean
}

/**
 * One call, seen from either side.
 *
 * @since 0.1.0
 */
export interface Call extends CalledMethod {
  /** Trace id from the header; the empty string when the caller sent none. */
  readonly callId: string
  /** Endpoint id (64 hex digits) of the other side, or `local` within the process. */
  readonly peer: string
  /** Sent by the caller. Keys are case sensitive; the last of equal keys wins. */
  readonly metadata: ReadonlyMap<string, string>
  /** What the peer was admitted with; empty when the gate is open. */
  readonly attributes: ReadonlyMap<string, string>
  /** Unix time in milliseconds at which the call has to be over. */
  readonly deadline: number | undefined
}

/**
 * The running call, for handlers: `const call = yield* CallContext`.
 *
 * @since 0.1.0
 */
export class CallContext extends Context.Service<CallContext, Call>()("@aster-effect/core/CallContext") {}
