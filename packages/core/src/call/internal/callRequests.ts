import * as Effect from "effect/Effect"
import { CodecError } from "../../message/CodecError.ts"
import { MAX_CLIENT_STREAM_ITEMS } from "../../Limits.ts"
import type { ChannelError } from "../../wire/CallChannel.ts"
import { decompress, decompressWithin } from "../../wire/Compression.ts"
import { decodeStatus } from "../../wire/Control.ts"
import * as Frame from "../../wire/Frame.ts"
import { isRpcError, RpcError } from "../../wire/RpcError.ts"
import { LARGE, sizeOf, weightOf } from "../DecodeBudget.ts"
import { type CallInFlight, fail } from "./callInFlight.ts"
import type { RequestBuffer } from "./requestBuffer.ts"

/** The one request of a call. */
export const singleRequest = (call: CallInFlight): Effect.Effect<unknown, RpcError | ChannelError> => {
  let frame: Frame.Frame | undefined
  try {
    frame = call.reader.poll()
  } catch (error) {
    return unreadable(error as Frame.FrameError)
  }
  // Clients send header and request together, so there is rarely anything to wait for.
  if (frame !== undefined && (frame.flags & Frame.CANCEL) === 0) return request(call, frame)
  return Effect.timeoutOrElse(nextRequest(call), {
    duration: call.limits.requestTimeout,
    orElse: () => fail("DEADLINE_EXCEEDED", "no request arrived in time")
  })
}

/** On a shared stream a CANCEL frame means nothing. */
const nextRequest = (call: CallInFlight): Effect.Effect<unknown, RpcError | ChannelError> =>
  Effect.matchEffect(call.reader.next, {
    onFailure: unreadable,
    onSuccess: (frame) =>
      frame !== undefined && (frame.flags & Frame.CANCEL) !== 0 ? nextRequest(call) : request(call, frame)
  })

const request = (call: CallInFlight, frame: Frame.Frame | undefined): Effect.Effect<unknown, RpcError> => {
  if (frame === undefined || (frame.flags & Frame.TRAILER) !== 0) {
    return fail("UNAVAILABLE", "the stream ended before the request")
  }
  try {
    const payload = smallPayload(frame)
    if (payload !== undefined && call.budget.hasRoom(weightOf(payload.length))) {
      return Effect.succeed(decode(call, payload))
    }
  } catch (error) {
    return Effect.fail(undecodable(error, "INVALID_ARGUMENT"))
  }
  return largeRequest(call, frame, "INVALID_ARGUMENT")
}

/** What is decoded at once: payloads, also decompressed ones, of less than `LARGE` bytes. Undefined for others. */
const smallPayload = (frame: Frame.Frame): Uint8Array | undefined => {
  const { payload } = frame
  if ((frame.flags & Frame.COMPRESSED) === 0) return payload.length < LARGE ? payload : undefined
  try {
    return payload.length < LARGE ? decompressWithin(payload, LARGE) : undefined
  } catch (error) {
    throw undecompressed(error)
  }
}

/** A payload that does not decompress is not a message at all. */
const undecompressed = (error: unknown): unknown =>
  error instanceof CodecError ? RpcError.of("INTERNAL", error.detail) : error

/** A request, which is held from now on. */
const decode = (call: CallInFlight, payload: Uint8Array): unknown => {
  const request = call.method.request.read(payload, call.frames.encoding)
  const weight = weightOf(payload.length)
  call.hold(payload.length <= MAX_UNMEASURED ? weight : sizeOf(request, weight))
  return request
}

const MAX_UNMEASURED = 4 * 1024

/**
 * A request that is large, or for which there is no room: decompressed off the thread, decoded when it is its peer's turn,
 * once there is room for it.
 */
const largeRequest = (
  call: CallInFlight,
  frame: Frame.Frame,
  malformed: "INVALID_ARGUMENT" | "INTERNAL"
): Effect.Effect<unknown, RpcError> => {
  const { budget } = call
  const compressed = (frame.flags & Frame.COMPRESSED) !== 0
  const payload = compressed
    ? Effect.mapError(decompress(frame.payload), undecompressed)
    : Effect.succeed(frame.payload)
  const attempt = (): Effect.Effect<unknown, RpcError> =>
    Effect.flatMap(
      budget.inTurn(
        Effect.flatMap(payload, (bytes) => {
          const weight = weightOf(bytes.length)
          if (!budget.hasRoom(weight)) return Effect.succeed({ weight })
          try {
            return Effect.succeed({ weight, request: decode(call, bytes) })
          } catch (error) {
            return Effect.fail(error)
          }
        })
      ),
      (done) => ("request" in done ? Effect.succeed(done.request) : Effect.flatMap(budget.room(done.weight), attempt))
    ).pipe(Effect.catch((error) => Effect.suspend(() => Effect.fail(undecodable(error, malformed)))))
  return Effect.timeoutOrElse(attempt(), {
    duration: call.limits.requestTimeout,
    orElse: () =>
      fail("RESOURCE_EXHAUSTED", "the server holds as many requests as it can; try again later, or smaller ones")
  })
}

const unreadable = (error: Frame.FrameError | ChannelError): Effect.Effect<never, RpcError | ChannelError> =>
  error instanceof Frame.FrameError ? fail("INTERNAL", error.message) : Effect.fail(error)

const undecodable = (error: unknown, malformed: "INVALID_ARGUMENT" | "INTERNAL"): RpcError => {
  if (isRpcError(error)) return error
  if (!(error instanceof CodecError)) throw error
  const contract = error.reason === "UnexpectedFields" || error.reason === "SchemaMismatch"
  return RpcError.of(contract && malformed === "INVALID_ARGUMENT" ? "CONTRACT_VIOLATION" : malformed, error.detail)
}

/** Waits for the peer to give up. What it sends after its request is not looked at, but neither is it endless. */
export const watch = (call: CallInFlight): Effect.Effect<never, RpcError | ChannelError> =>
  Effect.suspend(() => {
    let rest = MAX_IGNORED
    const step: Effect.Effect<never, RpcError | ChannelError> = Effect.flatMap(
      call.channel.receive,
      (bytes): Effect.Effect<never, RpcError | ChannelError> => {
        if (bytes === undefined) return Effect.never
        rest -= bytes.length
        return rest < 0 ? fail("RESOURCE_EXHAUSTED", "too much data after the request") : step
      }
    )
    return step
  })

const MAX_IGNORED = 1024 * 1024

/** Feeds the requests of a streaming client to the handler, then watches the peer. */
export const pump = Effect.fnUntraced(function* (
  call: CallInFlight,
  requests: RequestBuffer
): Effect.fn.Return<never, RpcError | ChannelError> {
  const { pattern } = call.method.called
  let items = 0
  while (true) {
    let frame = yield* Effect.catch(call.reader.next, unreadable)
    while (true) {
      if (frame === undefined || (frame.flags & Frame.TRAILER) !== 0) {
        if (frame !== undefined && pattern === "client_stream") yield* endOfInput(frame)
        requests.end()
        yield* requests.added
        return yield* watch(call)
      }
      if ((frame.flags & Frame.CANCEL) === 0) {
        if (pattern === "client_stream" && ++items > MAX_CLIENT_STREAM_ITEMS) {
          return yield* fail("RESOURCE_EXHAUSTED", `more than ${MAX_CLIENT_STREAM_ITEMS} items in one client stream`)
        }
        const malformed = pattern === "bidi_stream" ? "INTERNAL" : "INVALID_ARGUMENT"
        let payload: Uint8Array | undefined
        try {
          payload = smallPayload(frame)
          if (payload !== undefined && call.budget.hasRoom(weightOf(payload.length))) {
            requests.add(decode(call, payload), call.weight)
          } else payload = undefined
        } catch (error) {
          return yield* Effect.fail(undecodable(error, malformed))
        }
        if (payload === undefined) requests.add(yield* largeRequest(call, frame, malformed), call.weight)
      }
      if (requests.full) break
      try {
        const next = call.reader.poll()
        if (next === undefined) break
        frame = next
      } catch (error) {
        return yield* unreadable(error as Frame.FrameError)
      }
    }
    yield* requests.added
  }
})

/** A client may end its input with a trailer instead of finishing; it must not carry an error. */
const endOfInput = (frame: Frame.Frame): Effect.Effect<void, RpcError> => {
  if (frame.payload.length === 0) return Effect.void
  try {
    const { code } = decodeStatus(frame.payload)
    return code === 0 ? Effect.void : fail("INTERNAL", `the client ended its input with status ${code}`)
  } catch (error) {
    return Effect.fail(undecodable(error, "INTERNAL"))
  }
}
