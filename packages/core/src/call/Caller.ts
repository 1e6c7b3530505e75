/**
 * A call leaving: from a request to the bytes of a stream and back.
 *
 * Clients leave their half of the stream open until the answer is complete: an unfinished half can still be reset, which
 * is how an interrupted call reaches the server's handler at once. End of input is said with a trailer, which servers
 * take like a finished half.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Call } from "../service/CallContext.ts"
import { type CallChannel, ChannelError } from "../wire/CallChannel.ts"
import { CodecError } from "../message/CodecError.ts"
import { decompress } from "../wire/Compression.ts"
import { decodeStatus, encodeHeader, errorOf, metadataProblem, OK, SERIALIZATION_MODE } from "../wire/Control.ts"
import * as DeclaredError from "../wire/DeclaredError.ts"
import * as Frame from "../wire/Frame.ts"
import * as Interceptor from "../interceptor/Interceptor.ts"
import { FrameReader } from "../wire/FrameReader.ts"
import { FrameWriter } from "../wire/FrameWriter.ts"
import { WriteBuffer } from "./internal/writeBuffer.ts"
import * as MessageCodec from "../message/MessageCodec.ts"
import type * as Rpc from "../service/Rpc.ts"
import { RpcError } from "../wire/RpcError.ts"
import type * as Service from "../service/Service.ts"
import type { Pattern } from "../message/WireType.ts"

/** @since 0.1.0 */
export interface Options {
  /** Opens a channel for one call, given how many bytes it sends at first. */
  readonly open: (pattern: Pattern, size: number) => Effect.Effect<CallChannel, RpcError>
  /** Endpoint id of the server, or `local`. */
  readonly peer: string
  /** Default `xlang`. */
  readonly encoding?: MessageCodec.Encoding | undefined
  /** The version the header asks for. */
  readonly version: number
  /** Around every call, the first outermost. Default none. */
  readonly interceptors?: ReadonlyArray<Interceptor.Interceptor> | undefined
}

/** One function per method of a service. @since 0.1.0 */
export type Client<Methods extends Rpc.Any> = { readonly [M in Methods as M["name"]]: Rpc.Caller<M> }

/**
 * The client of a service.
 *
 * @throws Wire.WireTypeError for messages that cannot be encoded
 * @since 0.1.0
 */
export const make = <Name extends string, Methods extends Rpc.Any>(
  service: Service.Service<Name, Methods>,
  options: Options
): Client<Methods> => {
  const codecs = MessageCodec.compileAll(service.methods.flatMap((method) => [method.request, method.response]))
  const calls = service.methods.map((method, i): readonly [string, unknown] => [
    method.name,
    makeCall(service.name, method, codecs[2 * i]!, codecs[2 * i + 1]!, options)
  ])
  return Object.fromEntries(calls) as Client<Methods>
}

interface Target {
  readonly service: string
  readonly method: Rpc.Any
  readonly request: MessageCodec.MessageCodec<unknown>
  readonly response: MessageCodec.MessageCodec<unknown>
  readonly encoding: MessageCodec.Encoding
  readonly options: Options
  readonly intercept: Interceptor.Interceptor
  readonly declaredError: (error: RpcError) => unknown
  /** Header frame of a call that sets nothing for itself. */
  readonly plainHeader: Uint8Array
}

const NO_METADATA: ReadonlyMap<string, string> = new Map()
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map()

/**
 * One method by itself, for clients that know messages only at run time.
 *
 * @since 0.1.0
 */
export const makeCall = (
  service: string,
  method: Rpc.Any,
  request: MessageCodec.MessageCodec<unknown>,
  response: MessageCodec.MessageCodec<unknown>,
  options: Options
): unknown => {
  const encoding = options.encoding ?? "xlang"
  const target: Target = {
    service,
    method,
    request,
    response,
    encoding,
    options,
    intercept: Interceptor.compose(options.interceptors ?? []),
    declaredError: DeclaredError.decoder(method.error),
    plainHeader: headerFrame(service, method.name, options.version, encoding, "", NO_METADATA, 0)
  }
  const calls: { readonly [P in Pattern]: unknown } = {
    unary: (message: unknown, call?: Rpc.CallOptions) => single(target, call, oneRequest(target, message)),
    server_stream: (message: unknown, call?: Rpc.CallOptions) => streaming(target, call, oneRequest(target, message)),
    client_stream: (messages: Stream.Stream<unknown, unknown, unknown>, call?: Rpc.CallOptions) =>
      single(target, call, manyRequests(target, messages)),
    bidi_stream: (messages: Stream.Stream<unknown, unknown, unknown>, call?: Rpc.CallOptions) =>
      streaming(target, call, manyRequests(target, messages))
  }
  return calls[method.pattern]
}

const headerFrame = (
  service: string,
  method: string,
  version: number,
  encoding: MessageCodec.Encoding,
  callId: string,
  metadata: ReadonlyMap<string, string>,
  deadline: number
): Uint8Array =>
  Frame.encode(
    encodeHeader(
      {
        service,
        method,
        version,
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

// ---------------------------------------------------------------------------------------------------------------------
// Opening
// ---------------------------------------------------------------------------------------------------------------------

/** What one call sends: the frames that leave at once, and what follows them. */
interface Input {
  readonly first: (frames: FrameWriter) => Effect.Effect<void, RpcError>
  readonly rest: ((writes: WriteBuffer) => Effect.Effect<void, unknown, unknown>) | undefined
}

const oneRequest = (target: Target, message: unknown): Input => ({
  first: (frames) => writeRequest(target, frames, message),
  rest: undefined
})

const manyRequests = (target: Target, messages: Stream.Stream<unknown, unknown, unknown>): Input => ({
  first: () => Effect.void,
  rest: (writes) =>
    Stream.runForEachArray(messages, (batch) =>
      Effect.andThen(
        Effect.forEach(batch, (message) => writeRequest(target, writes.frames, message), { discard: true }),
        writes.added
      )
    ).pipe(
      Effect.andThen(
        Effect.suspend(() => {
          writes.frames.trailer(OK)
          writes.close()
          return writes.added
        })
      )
    )
})

const writeRequest = (target: Target, frames: FrameWriter, message: unknown): Effect.Effect<void, RpcError> => {
  try {
    frames.message(target.request, message)
    return Effect.void
  } catch (error) {
    if (error instanceof CodecError) return Effect.fail(RpcError.of("INVALID_ARGUMENT", `the request: ${error.detail}`))
    if (error instanceof Frame.FrameError) return Effect.fail(RpcError.of("RESOURCE_EXHAUSTED", error.message))
    throw error
  }
}

interface Opened {
  readonly target: Target
  /** As the interceptors left it. */
  readonly call: Call
  readonly channel: CallChannel
  readonly reader: FrameReader
  /** Sends all that the call has to say. */
  readonly sending: Effect.Effect<void, unknown, unknown>
  /** The trailer, once it has arrived. */
  trailer: Frame.Frame | undefined
}

/** Opens a channel for the header and what leaves with it. */
const open = (target: Target, call: Call, input: Input): Effect.Effect<Opened, RpcError> =>
  Effect.suspend(() => {
    const plain = call.deadline === undefined && call.callId === "" && call.metadata.size === 0
    const frames = new FrameWriter(target.encoding, target.encoding === "xlang")
    frames.raw(
      plain
        ? target.plainHeader
        : headerFrame(
            target.service,
            target.method.name,
            target.options.version,
            target.encoding,
            call.callId,
            call.metadata,
            call.deadline ?? 0
          )
    )
    // A request that cannot be written must not cost a stream.
    return Effect.andThen(
      input.first(frames),
      Effect.map(
        Effect.suspend(() => target.options.open(target.method.pattern, frames.size)),
        (channel) => ({
          target,
          call,
          channel,
          reader: new FrameReader(channel),
          sending: input.rest === undefined ? channel.send(frames.take()) : sendAll(channel, frames, input.rest),
          trailer: undefined
        })
      )
    )
  })

/** Failing to send is no failure yet: the server may have answered before it stopped listening. */
const sendAll = (
  channel: CallChannel,
  frames: FrameWriter,
  rest: (writes: WriteBuffer) => Effect.Effect<void, unknown, unknown>
): Effect.Effect<void, unknown, unknown> => {
  const writes = new WriteBuffer(channel, frames)
  return Effect.catchIf(
    Effect.all([writes.run, rest(writes)], { concurrency: 2, discard: true }),
    (error) => error instanceof ChannelError,
    () => Effect.void
  )
}

/** The call as interceptors see it. */
const prepare = (target: Target, options: Rpc.CallOptions | undefined): Effect.Effect<Call, RpcError> => {
  const timeout = options?.timeout === undefined ? target.method.timeout : Duration.fromInputUnsafe(options.timeout)
  const metadata = options?.metadata === undefined ? NO_METADATA : new Map(Object.entries(options.metadata))
  const problem = metadataProblem(metadata)
  if (problem !== undefined)
    return Effect.fail(RpcError.of("RESOURCE_EXHAUSTED", `metadata exceeds limits: ${problem}`))
  const call = (deadline: number | undefined): Call => ({
    service: target.service,
    version: target.options.version,
    method: target.method.name,
    pattern: target.method.pattern,
    idempotent: target.method.idempotent,
    callId: options?.callId ?? "",
    peer: target.options.peer,
    metadata,
    attributes: NO_ATTRIBUTES,
    deadline
  })
  if (timeout === undefined || !Duration.isFinite(timeout)) return Effect.succeed(call(undefined))
  return Effect.map(Clock.currentTimeMillis, (now) => call(Math.trunc(now + Duration.toMillis(timeout))))
}

/** Bounds an effect by the call's deadline: locally, whatever the server does. */
const within = <A, E, R>(call: Call, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | RpcError, R> => {
  const { deadline } = call
  if (deadline === undefined) return effect
  return Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.timeoutOrElse(effect, { duration: Math.max(0, deadline - now), orElse: () => Effect.fail(expired) })
  )
}

const expired = RpcError.of("DEADLINE_EXCEEDED", "deadline exceeded")

// ---------------------------------------------------------------------------------------------------------------------
// Running
// ---------------------------------------------------------------------------------------------------------------------

const single = (
  target: Target,
  options: Rpc.CallOptions | undefined,
  input: Input
): Effect.Effect<unknown, unknown, unknown> =>
  Effect.flatMap(prepare(target, options), (call) =>
    Effect.catchCause(
      target.intercept(call, (seen) =>
        within(
          seen,
          Effect.uninterruptibleMask((restore) =>
            // Opening can take long, on a connection that is not there yet or has no stream left.
            Effect.flatMap(restore(open(target, seen, input)), (opened) =>
              Effect.onExit(restore(exchange(opened, input)), () => retire(opened))
            )
          )
        )
      ),
      (cause) => declared(target, cause)
    )
  )

/** Sends everything and waits for the answer, both at once. */
const exchange = (opened: Opened, input: Input): Effect.Effect<unknown, unknown, unknown> =>
  input.rest === undefined
    ? Effect.andThen(Effect.forkChild(opened.sending, { startImmediately: true }), response(opened))
    : Effect.raceFirst(response(opened), Effect.andThen(opened.sending, Effect.never))

/** The one response and the trailer behind it. */
const response = (opened: Opened): Effect.Effect<unknown, RpcError> => {
  let message: Frame.Frame | undefined
  return reading(opened, (reader) => {
    for (let frame = reader.poll(); frame !== undefined; frame = reader.poll()) {
      if ((frame.flags & Frame.TRAILER) !== 0) {
        opened.trailer = frame
        requireOk(frame)
        if (message === undefined) throw RpcError.of("INTERNAL", "the server answered OK without a response")
        return Effect.succeed(read(opened, message))
      }
      if (message !== undefined) {
        throw RpcError.of("INTERNAL", "the server sent more than one response; call the method as a stream")
      }
      message = frame
    }
    return undefined
  })
}

/** Responses as they arrive, every batch that one read brought. */
const streaming = (
  target: Target,
  options: Rpc.CallOptions | undefined,
  input: Input
): Stream.Stream<unknown, unknown, unknown> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const call = yield* prepare(target, options)
      const opened = yield* Effect.acquireRelease(
        target.intercept(call, (seen) => within(seen, open(target, seen, input))),
        retire,
        { interruptible: true }
      )
      const sending = yield* Effect.forkScoped(opened.sending, { startImmediately: true })
      const pull = within(
        opened.call,
        input.rest === undefined ? responses(opened) : Effect.raceFirst(responses(opened), failureOf(sending))
      )
      return Stream.fromPull(Effect.succeed(pull))
    })
  ).pipe(Stream.catch((error) => Stream.fromEffect(declared(target, Cause.fail(error)))))

/** Never answers, but fails when the requests of the caller do. */
const failureOf = <E>(sending: Fiber.Fiber<void, E>): Effect.Effect<never, E> =>
  Effect.andThen(Fiber.join(sending), Effect.never)

const responses = (opened: Opened): Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>, RpcError | Cause.Done> =>
  reading(opened, (reader) => {
    const batch: Array<unknown> = []
    // Nothing is read behind the trailer.
    while (opened.trailer === undefined) {
      const frame = reader.poll()
      if (frame === undefined) break
      if ((frame.flags & Frame.TRAILER) !== 0) opened.trailer = frame
      else if ((frame.flags & Frame.ROW_SCHEMA) === 0) batch.push(read(opened, frame))
    }
    if (Arr.isArrayNonEmpty(batch)) return Effect.succeed(batch)
    if (opened.trailer === undefined) return undefined
    requireOk(opened.trailer)
    return Cause.done()
  })

/** What `look` makes of the frames that are here. When it has no answer yet, more are waited for. It may throw. */
const reading = <A, E>(
  opened: Opened,
  look: (reader: FrameReader) => Effect.Effect<A, E> | undefined
): Effect.Effect<A, E | RpcError> => {
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

const requireOk = (trailer: Frame.Frame): void => {
  const status = decodeStatus(trailer.payload)
  if (status.code !== 0) throw errorOf(status)
}

const read = (opened: Opened, frame: Frame.Frame): unknown =>
  opened.target.response.read(
    (frame.flags & Frame.COMPRESSED) === 0 ? frame.payload : decompress(frame.payload),
    opened.target.encoding
  )

const unreadable = (error: unknown): RpcError => {
  if (error instanceof RpcError) return error
  if (error instanceof CodecError) {
    const contract = error.reason === "UnexpectedFields" || error.reason === "SchemaMismatch"
    return RpcError.of(contract ? "CONTRACT_VIOLATION" : "INTERNAL", `the response: ${error.detail}`)
  }
  if (error instanceof Frame.FrameError) return RpcError.of("INTERNAL", `the answer: ${error.message}`)
  if (error instanceof ChannelError) return RpcError.of("UNAVAILABLE", error.detail)
  throw error
}

/** A call that ended with a status gives its stream back; one that was given up resets it. */
const retire = (opened: Opened): Effect.Effect<void> =>
  opened.trailer === undefined ? opened.channel.abort : opened.channel.release

/** Turns a status that carries a declared error into that error. */
const declared = (target: Target, cause: Cause.Cause<unknown>): Effect.Effect<never, unknown> => {
  const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
  return error instanceof RpcError ? Effect.fail(target.declaredError(error)) : Effect.failCause(cause)
}
