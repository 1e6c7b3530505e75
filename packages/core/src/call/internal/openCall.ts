import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Call, CalledMethod } from "../../interceptor/CallContext.ts"
import { CodecError } from "../../message/CodecError.ts"
import type * as MessageCodec from "../../message/MessageCodec.ts"
import { type CallChannel, type DirectChannel, isChannelError } from "../../wire/CallChannel.ts"
import { decompress, decompressWithin } from "../../wire/Compression.ts"
import {
  decodeStatus,
  encodeCallHeader,
  encodeHeader,
  errorOf,
  pairsOf,
  SERIALIZATION_MODE
} from "../../wire/Control.ts"
import * as Frame from "../../wire/Frame.ts"
import { FrameReader } from "../../wire/FrameReader.ts"
import { FrameWriter } from "../../wire/FrameWriter.ts"
import { isRpcError, RpcError } from "../../wire/RpcError.ts"
import { LARGE, weightOf } from "../DecodeBudget.ts"
import { WriteBuffer } from "./writeBuffer.ts"

/** A method of a server, ready to be called. */
export interface CompiledMethod {
  readonly called: CalledMethod
  readonly timeout: Duration.Duration | undefined
  readonly request: MessageCodec.MessageCodec<unknown>
  readonly response: MessageCodec.MessageCodec<unknown>
  readonly encoding: MessageCodec.Encoding
  /** Endpoint id of the server, or `local`. */
  readonly peer: string
  /** Opens a channel, given how many bytes leave at first. */
  readonly open: (size: number) => Effect.Effect<CallChannel, RpcError>
  /** A channel that is there already, for so many bytes and nothing behind them. */
  readonly openNow?: ((size: number) => DirectChannel | undefined) | undefined
  readonly declaredError: (error: RpcError) => unknown
  /** The frame that a call begins with. */
  readonly header: (call: Call) => Uint8Array
}

/** What one call sends: the frames that leave at once, and what follows them. */
export interface Input {
  readonly first: (frames: FrameWriter) => Effect.Effect<void, RpcError>
  readonly rest: ((writes: WriteBuffer) => Effect.Effect<void, unknown, unknown>) | undefined
}

/** A call on its channel. */
export interface OpenCall {
  readonly method: CompiledMethod
  /** As the interceptors left it. */
  readonly call: Call
  readonly channel: CallChannel
  readonly reader: FrameReader
  /** Sends all that the call has to say. */
  readonly sending: Effect.Effect<void, unknown, unknown>
  /** The trailer, once it has arrived. */
  trailer: Frame.Frame | undefined
  /** A response that was left for the next read. */
  next: Frame.Frame | undefined
  /** Response metadata, once the call has ended well. */
  metadata: ReadonlyMap<string, string>
}

/** The header frames of a method's calls; calls that set nothing for themselves share one. */
export const streamHeaders = (called: CalledMethod, encoding: MessageCodec.Encoding): CompiledMethod["header"] => {
  const frame = (callId: string, metadata: ReadonlyMap<string, string>, deadline: number) =>
    Frame.encode(
      encodeHeader(
        {
          service: called.service,
          method: called.method,
          version: called.version,
          callId,
          deadlineEpochMs: deadline,
          serializationMode: SERIALIZATION_MODE[encoding],
          metadataKeys: [...metadata.keys()],
          metadataValues: [...metadata.values()]
        },
        encoding
      ),
      Frame.HEADER
    )
  const plain = frame("", NO_METADATA, 0)
  return ({ callId, deadline, metadata }) =>
    deadline === undefined && callId === "" && metadata.size === 0 ? plain : frame(callId, metadata, deadline ?? 0)
}

/** The frame that a call in a session begins with. */
export const callHeader =
  (encoding: MessageCodec.Encoding): CompiledMethod["header"] =>
  ({ callId, deadline, metadata, method }) =>
    Frame.encode(
      encodeCallHeader(
        {
          method,
          callId,
          deadlineEpochMs: deadline ?? 0,
          metadataKeys: [...metadata.keys()],
          metadataValues: [...metadata.values()]
        },
        encoding
      ),
      Frame.CALL
    )

/** A writer that has the header of a call. */
export const begin = (method: CompiledMethod, call: Call): FrameWriter => {
  const frames = new FrameWriter(method.encoding, method.encoding === "xlang")
  frames.raw(method.header(call))
  return frames
}

/** Opens a channel for the header and what leaves with it. */
export const open = (method: CompiledMethod, call: Call, input: Input): Effect.Effect<OpenCall, RpcError> =>
  Effect.suspend(() => {
    const frames = begin(method, call)
    return openFor(method, call, input, frames, input.first(frames))
  })

/** The same, for what has been written, or will be by `first`. */
export const openFor = (
  method: CompiledMethod,
  call: Call,
  { rest }: Input,
  frames: FrameWriter,
  first: Effect.Effect<void, RpcError>
): Effect.Effect<OpenCall, RpcError> =>
  // A request that cannot be written must not cost a stream.
  Effect.andThen(
    first,
    Effect.map(
      Effect.suspend(() => method.open(frames.size)),
      (channel) =>
        openOn(method, call, channel, rest === undefined ? frames.send(channel) : sendAll(channel, frames, rest))
    )
  )

/** A call on a channel that is open. */
export const openOn = (
  method: CompiledMethod,
  call: Call,
  channel: CallChannel,
  sending: OpenCall["sending"]
): OpenCall => ({
  method,
  call,
  channel,
  reader: new FrameReader(channel),
  sending,
  trailer: undefined,
  next: undefined,
  metadata: NO_METADATA
})

const NO_METADATA: ReadonlyMap<string, string> = new Map()

/** Failing to send is no failure yet: the server may have answered before it stopped listening. */
const sendAll = (
  channel: CallChannel,
  frames: FrameWriter,
  rest: (writes: WriteBuffer) => Effect.Effect<void, unknown, unknown>
): Effect.Effect<void, unknown, unknown> => {
  const writes = new WriteBuffer(channel, frames)
  return Effect.catchIf(
    Effect.all([writes.run, rest(writes)], { concurrency: 2, discard: true }),
    isChannelError,
    () => Effect.void
  )
}

/** The one response, once the trailer behind it is there. */
export const response = (opened: OpenCall): Effect.Effect<unknown, RpcError> => reading(opened, responseIn(opened))

/** Finds the one response among the frames that are here, once the trailer is. It may throw. */
const responseIn = (opened: OpenCall): Look<unknown, RpcError> => {
  let message: Frame.Frame | undefined
  return (reader) => {
    for (let frame = reader.poll(); frame !== undefined; frame = reader.poll()) {
      if ((frame.flags & Frame.TRAILER) !== 0) {
        endWith(opened, frame)
        if (message === undefined) throw RpcError.of("INTERNAL", "the server answered OK without a response")
        return read(opened, message)
      }
      if (message !== undefined) {
        throw RpcError.of("INTERNAL", "the server sent more than one response; call the method as a stream")
      }
      message = frame
    }
    return undefined
  }
}

/**
 * The one response of a call whose requests have left, without a fiber or an effect until it is there. Answers what to do
 * when nobody waits for it any more.
 *
 * @param resume is given the response, when the channel has been given back
 */
export const responseNow = (
  opened: OpenCall,
  channel: DirectChannel,
  resume: (response: Effect.Effect<unknown, RpcError>) => void
): Effect.Effect<void> => {
  const look = responseIn(opened)
  const { reader } = opened
  const end = (response: Effect.Effect<unknown, RpcError>): void => {
    channel.listen(undefined)
    if (opened.trailer === undefined) return resume(Effect.andThen(channel.abort, response))
    channel.releaseNow()
    resume(response)
  }
  const readable = (): void => {
    try {
      for (let bytes = channel.poll(); bytes !== undefined; bytes = channel.poll()) {
        reader.push(bytes)
        const found = look(reader)
        if (found !== undefined) return end(found)
      }
      const { over } = channel
      if (over === undefined) return
      if (over !== "finished") throw over
      reader.end()
      end(Effect.fail(noTrailer))
    } catch (error) {
      end(Effect.suspend(() => Effect.fail(unreadable(error))))
    }
  }
  channel.listen(readable)
  readable()
  return Effect.andThen(
    Effect.sync(() => channel.listen(undefined)),
    channel.abort
  )
}

/**
 * Responses as they arrive: of what one read brought, as many as may be held at a time. The others stay as they came until
 * these have been taken.
 */
export const responses = (opened: OpenCall): Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>, RpcError | Cause.Done> =>
  reading<Arr.NonEmptyReadonlyArray<unknown>, RpcError | Cause.Done>(opened, (reader) => {
    const batch: Array<unknown> = []
    let weight = 0
    let trailer = opened.trailer
    // Nothing is read behind the trailer.
    while (trailer === undefined && weight < BATCH) {
      const frame = opened.next ?? reader.poll()
      opened.next = undefined
      if (frame === undefined) break
      if ((frame.flags & Frame.TRAILER) !== 0) trailer = opened.trailer = frame
      else if ((frame.flags & Frame.ROW_SCHEMA) === 0) {
        const payload = smallPayload(frame)
        if (payload === undefined) {
          if (batch.length === 0) return Effect.map(largeResponse(opened, frame), (message) => [message] as const)
          opened.next = frame
          break
        }
        batch.push(decode(opened, payload))
        weight += weightOf(payload.length)
      }
    }
    if (Arr.isArrayNonEmpty(batch)) return Effect.succeed(batch)
    if (trailer === undefined) return undefined
    endWith(opened, trailer)
    return Cause.done()
  })

/** What the responses of a stream may take in memory that were decoded and not taken yet, in bytes. */
const BATCH = 4 * 1024 * 1024

/** What it makes of the frames that are here, if anything. It may throw. */
type Look<A, E> = (reader: FrameReader) => Effect.Effect<A, E> | undefined

/** What `look` makes of the frames that are here. When it has no answer yet, more are waited for. */
const reading = <A, E>(opened: OpenCall, look: Look<A, E>): Effect.Effect<A, E | RpcError> => {
  const { reader } = opened
  const attempt = (more: boolean): Effect.Effect<A, E | RpcError> => {
    if (!more) return Effect.fail(noTrailer)
    try {
      return look(reader) ?? wait
    } catch (error) {
      return Effect.fail(unreadable(error))
    }
  }
  const wait = Effect.matchEffect(reader.more, {
    onFailure: (error) => Effect.fail(unreadable(error)),
    onSuccess: attempt
  })
  return Effect.suspend(() => attempt(true))
}

const noTrailer = RpcError.of("UNAVAILABLE", "the stream ended without a status")

/** Throws the error that the trailer stands for, if it does. */
const endWith = (opened: OpenCall, trailer: Frame.Frame): void => {
  opened.trailer = trailer
  const status = decodeStatus(trailer.payload)
  if (status.code !== 0) throw errorOf(status)
  opened.metadata = pairsOf(status)
}

const read = (opened: OpenCall, frame: Frame.Frame): Effect.Effect<unknown, RpcError> => {
  const payload = smallPayload(frame)
  return payload === undefined ? largeResponse(opened, frame) : Effect.succeed(decode(opened, payload))
}

const decode = (opened: OpenCall, payload: Uint8Array): unknown =>
  opened.method.response.read(payload, opened.method.encoding)

/** What is decoded at once: payloads, also decompressed ones, of less than `LARGE` bytes. Undefined for others. */
const smallPayload = ({ flags, payload }: Frame.Frame): Uint8Array | undefined => {
  if (payload.length >= LARGE) return undefined
  return (flags & Frame.COMPRESSED) === 0 ? payload : decompressWithin(payload, LARGE)
}

/** A large response: decompressed off the thread, one of the process at a time, and the event loop in between. */
const largeResponse = (opened: OpenCall, frame: Frame.Frame): Effect.Effect<unknown, RpcError> => {
  const payload = (frame.flags & Frame.COMPRESSED) === 0 ? Effect.succeed(frame.payload) : decompress(frame.payload)
  return turn
    .withPermit(
      Effect.andThen(
        Effect.yieldNow,
        Effect.flatMap(payload, (bytes) => Effect.try({ try: () => decode(opened, bytes), catch: (error) => error }))
      )
    )
    .pipe(Effect.catch((error) => Effect.suspend(() => Effect.fail(unreadable(error)))))
}

const turn = Semaphore.makeUnsafe(1)

const unreadable = (error: unknown): RpcError => {
  if (isRpcError(error)) return error
  if (error instanceof CodecError) {
    const contract = error.reason === "UnexpectedFields" || error.reason === "SchemaMismatch"
    return RpcError.of(contract ? "CONTRACT_VIOLATION" : "INTERNAL", `the response: ${error.detail}`)
  }
  if (error instanceof Frame.FrameError) return RpcError.of("INTERNAL", `the answer: ${error.message}`)
  if (isChannelError(error)) return RpcError.of("UNAVAILABLE", error.detail)
  throw error
}

/** A call that ended with a status gives its stream back; one that was given up resets it. */
export const retire = (opened: OpenCall): Effect.Effect<void> =>
  opened.trailer === undefined ? opened.channel.abort : opened.channel.release
