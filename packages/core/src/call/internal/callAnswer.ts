import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import { type CallChannel, isDirect } from "../../wire/CallChannel.ts"
import { OK, type RpcStatus, SESSION_ALIVE, statusOf } from "../../wire/Control.ts"
import * as Frame from "../../wire/Frame.ts"
import type { FrameWriter } from "../../wire/FrameWriter.ts"
import { type FailureName, isRpcError, RpcError } from "../../wire/RpcError.ts"
import { failedCalls, succeededCalls } from "./callCounts.ts"
import type { CallInFlight, CallLimits } from "./callInFlight.ts"

/** Sends what has been collected and the trailer, and gives the stream back. */
export const answer = Effect.fnUntraced(function* (
  limits: CallLimits,
  channel: CallChannel,
  frames: FrameWriter,
  status: RpcStatus,
  withoutTrailer = false
) {
  if (!withoutTrailer) frames.trailer(status)
  yield* count(status)
  yield* sendLast(limits, channel, frames)
})

/** Sends the last bytes of a call and gives the stream back. */
const sendLast = Effect.fnUntraced(function* (limits: CallLimits, channel: CallChannel, frames: FrameWriter) {
  const { size } = frames
  const send = frames.send(channel)
  // Small answers fit what the network buffers for a stream; only large ones can be held up by a peer that does not read.
  const sent = yield* Effect.exit(size <= 16_384 ? send : Effect.timeout(send, patience(limits, size)))
  yield* Exit.isSuccess(sent) ? channel.release : channel.abort
})

/** Ends a call well whose response has been written. Answers what cannot be done at once. */
export const answerNow = (
  { channel, frames, limits }: CallInFlight,
  context: Context.Context<never>
): Effect.Effect<void> | undefined => {
  frames.trailer(OK)
  succeededCalls.updateUnsafe(1, context)
  if (!isDirect(channel) || !frames.trySend(channel)) return sendLast(limits, channel, frames)
  channel.releaseNow()
  return undefined
}

/** Milliseconds that a peer gets to accept the last bytes of an answer: a slow link is still a link. */
export const patience = (limits: CallLimits, bytes: number): number => limits.answerTimeout + bytes / 131.072

export const count = (status: RpcStatus): Effect.Effect<void> =>
  Metric.update(status.code === 0 ? succeededCalls : failedCalls, 1)

export const failure = (name: FailureName, message: string): RpcStatus => statusOf(RpcError.of(name, message))

/** The status of a failed call. Undeclared errors and defects are logged here and never leave the process. */
export const outcome = (call: CallInFlight, cause: Cause.Cause<unknown>): Effect.Effect<RpcStatus> => {
  const error = declared(call, cause)
  const status = error === undefined ? failure("INTERNAL", "internal error") : statusOf(error)
  const said = call.inSession ? sessionGoesOn(status) : status
  return error === undefined ? Effect.as(logDefect(call, cause), said) : Effect.succeed(said)
}

/** The failure of a call after which its session goes on. */
export const sessionGoesOn = (status: RpcStatus): RpcStatus => ({
  ...status,
  detailKeys: [SESSION_ALIVE, ...status.detailKeys],
  detailValues: ["alive", ...status.detailValues]
})

/** A failure that callers may see; undefined for defects and what the method does not declare. */
export const declared = (call: CallInFlight, cause: Cause.Cause<unknown>): RpcError | undefined => {
  if (Cause.hasDies(cause)) return undefined
  const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
  return isRpcError(error) ? error : call.method.declaredError(error)
}

/** The status of a call that failed before its method was known. */
export const statusOfCause = (cause: Cause.Cause<unknown>): RpcStatus => {
  const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
  return isRpcError(error) && !Cause.hasDies(cause) ? statusOf(error) : failure("INTERNAL", "internal error")
}

export const logDefect = (call: CallInFlight, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logError(`call of ${call.call.service}.${call.call.method} failed`, cause)

/** Appends a response. Answers why it cannot be written, once that has been logged. */
export const write = (call: CallInFlight, response: unknown): Effect.Effect<never, RpcError> | undefined => {
  try {
    call.frames.message(call.method.response, response)
    return undefined
  } catch (error) {
    const reason =
      error instanceof Frame.FrameError
        ? "the response is larger than a frame can carry"
        : "the response does not fit its declared type"
    return Effect.andThen(logDefect(call, Cause.die(error)), Effect.fail(RpcError.of("INTERNAL", reason)))
  }
}
