/**
 * Who called what, and how it ended.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Interceptor, statusOf } from "./Interceptor.ts"

/**
 * One call that has ended. Names, ids and times: no message, no metadata, no text of an error.
 *
 * @since 0.1.0
 */
export interface AuditEntry {
  /** Unix milliseconds of its beginning. */
  readonly at: number
  /** Milliseconds. */
  readonly took: number
  /** Endpoint id of the caller. */
  readonly peer: string
  readonly service: string
  readonly version: number
  readonly method: string
  readonly callId: string
  /** Name of the status, `OK` or `PERMISSION_DENIED` for example. */
  readonly status: string
}

/**
 * For servers, as the outermost interceptor: hands every call to a sink when it has ended, also those that inner
 * interceptors refuse. The end of a call waits for its sink, so that nothing is done that was not written down; a sink that
 * fails is logged and changes nothing for the caller.
 *
 * @param write default: a line of the log at level Info
 * @since 0.1.0
 */
export const make =
  <E = never>(write: (entry: AuditEntry) => Effect.Effect<void, E> = log): Interceptor =>
  (call, next) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) =>
      Effect.onExit(next(call), (exit) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.suspend(() =>
            write({
              at,
              took: now - at,
              peer: call.peer,
              service: call.service,
              version: call.version,
              method: call.method,
              callId: call.callId,
              status: statusOf(exit)
            })
          )
        ).pipe(Effect.catchCause((cause) => Effect.logError("an audit entry could not be written", cause)))
      )
    )

const log = ({ callId, method, peer, service, status, took, version }: AuditEntry): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logInfo("call"), { peer, service, version, method, callId, status, took })
