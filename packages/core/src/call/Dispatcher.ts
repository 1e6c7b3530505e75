/**
 * A call arriving: from the bytes of a stream to a handler and back.
 *
 * The dispatcher knows streams of bytes, not networks: it serves whatever hands it a `CallChannel`. One `handle` is one
 * call. What a peer sends is bounded everywhere: sizes by the frame limit and the decompression limit, counts by the
 * metadata and stream limits, time by the first-frame, handler and answer time limits.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Call, CallContext } from "../service/CallContext.ts"
import { type CallChannel, ChannelError } from "../wire/CallChannel.ts"
import { CodecError } from "../message/CodecError.ts"
import { decompress } from "../wire/Compression.ts"
import {
  decodeHeader,
  decodeStatus,
  encodingOf,
  metadataOf,
  OK,
  type RpcStatus,
  type StreamHeader,
  statusOf
} from "../wire/Control.ts"
import * as DeclaredError from "../wire/DeclaredError.ts"
import * as Frame from "../wire/Frame.ts"
import * as Interceptor from "../interceptor/Interceptor.ts"
import { FrameReader } from "../wire/FrameReader.ts"
import { FrameWriter } from "../wire/FrameWriter.ts"
import { RequestBuffer } from "./internal/requestBuffer.ts"
import { WriteBuffer } from "./internal/writeBuffer.ts"
import { IdleTimeout } from "./IdleTimeout.ts"
import { DEFAULT_FRAME_READ_TIMEOUT_S, MAX_CLIENT_STREAM_ITEMS, MAX_HANDLER_TIMEOUT_S } from "../Limits.ts"
import * as MessageCodec from "../message/MessageCodec.ts"
import { RpcError } from "../wire/RpcError.ts"
import type { Implementation } from "../service/Service.ts"
import type { Pattern } from "../message/WireType.ts"

/**
 * Two implementations claim the same service name and version.
 *
 * @since 0.1.0
 */
export class DuplicateService extends Schema.TaggedError<DuplicateService>()("DuplicateService", {
  service: Schema.String,
  version: Schema.Int
}) {
  override get message(): string {
    return `service ${this.service} v${this.version} is provided twice; give one of them another version`
  }
}

/** @since 0.1.0 */
export interface Options {
  readonly implementations: ReadonlyArray<Implementation>
  /** Around every call, the first outermost. Default: `Interceptor.deadline()`. */
  readonly interceptors?: ReadonlyArray<Interceptor.Interceptor> | undefined
  /**
   * Serve a call for version 1 of a service with its only version when there is no version 1: the clients of release
   * 0.1.2 always ask for version 1. Default true.
   */
  readonly versionFallback?: boolean | undefined
  /** From the start of a stream to its header, and from there to the request of a single-request call. Default 30 seconds. */
  readonly requestTimeout?: Duration.Input | undefined
  /** Longest run of a handler, whatever the deadline. Default 300 seconds. */
  readonly handlerTimeout?: Duration.Input | undefined
  /** How long a peer may take to accept the end of an answer; large ends get a second more per 128 KiB. Default 30 seconds. */
  readonly answerTimeout?: Duration.Input | undefined
}

/** Who is at the other end of a channel. @since 0.1.0 */
export interface Peer {
  /** Endpoint id, or `local`. */
  readonly id: string
  /** What the peer was admitted with. Read once per call, when its header has come, so it may be a getter. */
  readonly attributes: ReadonlyMap<string, string>
}

/** The process itself, for calls that do not cross a network. @since 0.1.0 */
export const LOCAL: Peer = { id: "local", attributes: new Map() }

/**
 * Takes over a channel by its first frame, or answers undefined when that is for a call.
 *
 * @since 0.1.0
 */
export type Upgrade = (first: Frame.Frame, reader: FrameReader) => Effect.Effect<void> | undefined

/** @since 0.1.0 */
export interface Dispatcher {
  readonly implementations: ReadonlyArray<Implementation>
  /**
   * Serves one call. Succeeds when the call is over for the server, whatever its outcome; interrupting it interrupts the
   * handler and aborts the channel.
   *
   * @param upgrade asked about the first frame, for channels that may be used for something else than one call
   */
  readonly handle: (channel: CallChannel, peer: Peer, upgrade?: Upgrade) => Effect.Effect<void>
}

/** Calls by outcome: the attribute `status` is `ok` or `error`. @since 0.1.0 */
export const completedCalls = Metric.counter("aster_rpc_completed_total", { incremental: true })
const succeededCalls = Metric.withAttributes(completedCalls, { status: "ok" })
const failedCalls = Metric.withAttributes(completedCalls, { status: "error" })

/** Calls whose header was read. @since 0.1.0 */
export const startedCalls = Metric.counter("aster_rpc_started_total", { incremental: true })

/** Calls for version 1 that were served by another version. @since 0.1.0 */
export const versionFallbacks = Metric.counter("aster_rpc_version_fallback_total", { incremental: true })

/**
 * Compiles the codecs of all services. The dispatcher watches over its calls until the scope closes.
 *
 * @throws Wire.WireTypeError for messages that cannot be encoded, as a defect
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Dispatcher, DuplicateService, Scope.Scope> {
  const services = new Map<string, Map<number, RunningService>>()
  for (const implementation of options.implementations) {
    const { name, version } = implementation.service
    const versions = services.get(name) ?? new Map<number, RunningService>()
    if (versions.has(version)) return yield* new DuplicateService({ service: name, version })
    services.set(name, versions.set(version, running(implementation)))
  }
  const requestTimeout = Duration.fromInputUnsafe(
    options.requestTimeout ?? Duration.seconds(DEFAULT_FRAME_READ_TIMEOUT_S)
  )
  const silent = new IdleTimeout(requestTimeout)
  yield* Effect.forkScoped(silent.interrupt)
  const settings: Settings = {
    services,
    intercept: Interceptor.compose(options.interceptors ?? [Interceptor.deadline()]),
    versionFallback: options.versionFallback ?? true,
    requestTimeout,
    silent,
    handlerTimeout: Duration.toMillis(
      Duration.fromInputUnsafe(options.handlerTimeout ?? Duration.seconds(MAX_HANDLER_TIMEOUT_S))
    ),
    answerTimeout: Duration.toMillis(Duration.fromInputUnsafe(options.answerTimeout ?? "30 seconds")),
    warned: new Set()
  }
  return {
    implementations: options.implementations,
    handle: (channel, peer, upgrade) => Effect.onError(handle(settings, channel, peer, upgrade), () => channel.abort)
  }
})

interface Settings {
  readonly services: ReadonlyMap<string, ReadonlyMap<number, RunningService>>
  readonly intercept: Interceptor.Interceptor
  readonly versionFallback: boolean
  readonly requestTimeout: Duration.Duration
  /** Calls whose peer has not sent its header yet. */
  readonly silent: IdleTimeout
  readonly handlerTimeout: number
  readonly answerTimeout: number
  /** Services whose version fallback has been logged. */
  readonly warned: Set<string>
}

interface RunningService {
  readonly implementation: Implementation
  readonly methods: ReadonlyMap<string, RunningMethod>
  readonly accepts: ReadonlySet<MessageCodec.Encoding>
}

interface RunningMethod {
  readonly name: string
  readonly pattern: Pattern
  readonly idempotent: boolean
  readonly request: MessageCodec.MessageCodec<unknown>
  readonly response: MessageCodec.MessageCodec<unknown>
  /** The handler with its context provided; an Effect for single responses, a Stream otherwise. */
  readonly handler: (request: never) => unknown
  readonly context: Context.Context<never>
  readonly declaredError: (error: unknown) => RpcError | undefined
}

const running = (implementation: Implementation): RunningService => {
  const { service } = implementation
  const codecs = MessageCodec.compileAll(service.methods.flatMap((method) => [method.request, method.response]))
  const methods = service.methods.map((method, i): readonly [string, RunningMethod] => [
    method.name,
    {
      name: method.name,
      pattern: method.pattern,
      idempotent: method.idempotent,
      request: codecs[2 * i]!,
      response: codecs[2 * i + 1]!,
      handler: implementation.handlers[method.name]!,
      context: implementation.context,
      declaredError: DeclaredError.encoder(method.error)
    }
  ])
  const xlang = service.description.serializationModes.includes("xlang")
  return {
    implementation,
    methods: new Map(methods),
    accepts: new Set<MessageCodec.Encoding>(xlang ? ["xlang", "json"] : ["json"])
  }
}

/** One call, from its header on. */
interface Running {
  readonly settings: Settings
  readonly channel: CallChannel
  readonly reader: FrameReader
  readonly frames: FrameWriter
  readonly service: RunningService
  readonly method: RunningMethod
  readonly call: Call
}

const handle = Effect.fnUntraced(function* (
  settings: Settings,
  channel: CallChannel,
  peer: Peer,
  upgrade: Upgrade | undefined
) {
  const reader = new FrameReader(channel)
  // A peer that opens a stream and stays silent gets a reset: the interruption ends in `channel.abort`.
  const first = yield* Effect.exit(settings.silent.guard(reader.next))
  if (Exit.isFailure(first)) {
    const error = Cause.squash(first.cause)
    if (!(error instanceof Frame.FrameError)) return yield* channel.abort
    if (!reader.begun) return yield* channel.release
    return yield* answer(settings, channel, new FrameWriter("json", false), failure("INTERNAL", error.message))
  }
  const frame = first.value
  // A peer that finishes without a word gets nothing.
  if (frame === undefined) return yield* channel.release

  const upgraded = upgrade?.(frame, reader)
  if (upgraded !== undefined) return yield* upgraded

  const opened = yield* Effect.exit(Effect.suspend(() => open(settings, channel, reader, frame, peer)))
  if (Exit.isFailure(opened)) {
    if (Cause.hasDies(opened.cause)) yield* Effect.logError("reading the header of a call failed", opened.cause)
    const frames = new FrameWriter(encodingOf(frame.payload), false)
    return yield* answer(settings, channel, frames, statusOfCause(opened.cause))
  }
  const call = opened.value
  yield* Metric.update(startedCalls, 1)
  const responds = call.method.pattern === "unary" || call.method.pattern === "client_stream"
  yield* responds ? single(call) : streaming(call)
})

const failure = (name: Parameters<typeof RpcError.of>[0], message: string): RpcStatus =>
  statusOf(RpcError.of(name, message))

/** Reads the header and finds the method. The order of the checks is observable and that of release 0.1.2. */
const open = (
  settings: Settings,
  channel: CallChannel,
  reader: FrameReader,
  frame: Frame.Frame,
  peer: Peer
): Effect.Effect<Running, RpcError> => {
  if ((frame.flags & Frame.HEADER) === 0) return fail("INTERNAL", "the first frame of a stream has to be a header")
  if (frame.payload.length > MAX_HEADER_SIZE) {
    return fail("RESOURCE_EXHAUSTED", `a header of ${frame.payload.length} bytes, at most ${MAX_HEADER_SIZE}`)
  }
  let header: StreamHeader
  try {
    header = decodeHeader(frame.payload)
  } catch (error) {
    if (!(error instanceof CodecError)) throw error
    const json = encodingOf(frame.payload) === "json"
    return fail(json ? "INTERNAL" : "INVALID_ARGUMENT", `invalid StreamHeader: ${error.detail}`)
  }
  if (header.service === "") return fail("INVALID_ARGUMENT", "the header names no service")
  const found = lookup(settings, header)
  if (found === undefined) return fail("NOT_FOUND", `service '${name(header.service)}' v${header.version} not found`)
  const { service, fallback } = found
  const { scope, version } = service.implementation.service
  if (scope === "session") {
    return header.method === ""
      ? fail("UNIMPLEMENTED", `service '${header.service}' has session scope, which this server does not serve`)
      : fail("FAILED_PRECONDITION", `service '${header.service}' has session scope; open a session to call it`)
  }
  if (header.method === "")
    return fail("FAILED_PRECONDITION", `service '${header.service}' is shared and has no sessions`)
  const method = service.methods.get(header.method)
  if (method === undefined) {
    return fail("UNIMPLEMENTED", `service '${header.service}' has no method '${name(header.method)}'`)
  }
  const encoding = encodingFor(service, frame.payload, header)
  if (encoding === undefined) {
    return fail(
      "INVALID_ARGUMENT",
      `serialization mode ${header.serializationMode} is not accepted by '${header.service}'`
    )
  }
  let metadata: ReadonlyMap<string, string>
  try {
    metadata = metadataOf(header)
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return Effect.fail(error)
  }
  const call: Running = {
    settings,
    channel,
    reader,
    // JSON clients of release 0.1.2 cannot read compressed answers unless they say they can.
    frames: new FrameWriter(
      encoding,
      encoding === "xlang" || metadata.get("accept-encoding")?.includes("zstd") === true
    ),
    service,
    method,
    call: {
      service: header.service,
      version,
      method: header.method,
      pattern: method.pattern,
      idempotent: method.idempotent,
      callId: header.callId,
      peer: peer.id,
      metadata,
      attributes: peer.attributes,
      deadline: header.deadlineEpochMs > 0 ? header.deadlineEpochMs : undefined
    }
  }
  if (!fallback) return Effect.succeed(call)
  const counted = Effect.as(Metric.update(versionFallbacks, 1), call)
  if (settings.warned.has(header.service)) return counted
  settings.warned.add(header.service)
  return Effect.andThen(
    Effect.logInfo(`calls for ${header.service} v1 are served by v${version}, its only version`),
    counted
  )
}

/** Metadata takes at most 8 KiB of a header; the rest are names and a trace id. */
const MAX_HEADER_SIZE = 65_536

const fail = (status: Parameters<typeof RpcError.of>[0], message: string): Effect.Effect<never, RpcError> =>
  Effect.fail(RpcError.of(status, message))

/** Names come from the peer and go into messages. */
const name = (text: string): string => (text.length <= 256 ? text : `${text.slice(0, 256).toWellFormed()}...`)

const lookup = (
  settings: Settings,
  header: StreamHeader
): { readonly service: RunningService; readonly fallback: boolean } | undefined => {
  const versions = settings.services.get(header.service)
  const exact = versions?.get(header.version)
  if (exact !== undefined) return { service: exact, fallback: false }
  if (!settings.versionFallback || header.version !== 1 || versions?.size !== 1) return undefined
  const [only] = versions.values()
  return only === undefined ? undefined : { service: only, fallback: true }
}

/** A JSON header makes the whole stream JSON, whatever mode it names. */
const encodingFor = (
  service: RunningService,
  payload: Uint8Array,
  header: StreamHeader
): MessageCodec.Encoding | undefined => {
  if (encodingOf(payload) === "json" || header.serializationMode === 3) return "json"
  return header.serializationMode === 0 && service.accepts.has("xlang") ? "xlang" : undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Running a call
// ---------------------------------------------------------------------------------------------------------------------

/** One response: it leaves in one write together with the trailer. */
const single = Effect.fnUntraced(function* (call: Running) {
  const exit = yield* Effect.exit(
    call.settings.intercept(call.call, (seen) =>
      call.method.pattern === "unary"
        ? Effect.flatMap(singleRequest(call), (request) =>
            run(call, seen, watch(call), call.method.handler(request as never))
          )
        : Effect.suspend(() => {
            const requests = new RequestBuffer()
            return run(call, seen, pump(call, requests), call.method.handler(requests.stream as never))
          })
    )
  )
  let status = OK
  if (Exit.isSuccess(exit)) {
    try {
      call.frames.message(call.method.response, exit.value)
    } catch (error) {
      yield* logDefect(call, Cause.die(error))
      status = failure("INTERNAL", unwritable(error))
    }
  } else {
    if (isGone(exit.cause)) return yield* call.channel.abort
    status = yield* outcome(call, exit.cause)
  }
  yield* answer(call.settings, call.channel, call.frames, status)
})

/** Any number of responses: they leave as the handler makes them, as many per write as there are. */
const streaming = Effect.fnUntraced(function* (call: Running) {
  const writes = new WriteBuffer(call.channel, call.frames)
  const writer = yield* Effect.forkChild(writes.run, { startImmediately: true })
  const send = (responses: ReadonlyArray<unknown>) =>
    Effect.suspend((): Effect.Effect<void, RpcError | ChannelError> => {
      for (const response of responses) {
        try {
          call.frames.message(call.method.response, response)
        } catch (error) {
          return Effect.andThen(logDefect(call, Cause.die(error)), fail("INTERNAL", unwritable(error)))
        }
      }
      return writes.added
    })
  const drain = (responses: unknown) => Stream.runForEachArray(responses as Stream.Stream<unknown, unknown>, send)
  const exit = yield* Effect.exit(
    call.settings.intercept(call.call, (seen) =>
      call.method.pattern === "server_stream"
        ? Effect.flatMap(singleRequest(call), (request) =>
            run(
              call,
              seen,
              watch(call),
              Effect.suspend(() => drain(call.method.handler(request as never)))
            )
          )
        : Effect.suspend(() => {
            const requests = new RequestBuffer()
            return run(
              call,
              seen,
              pump(call, requests),
              Effect.suspend(() => drain(call.method.handler(requests.stream as never)))
            )
          })
    )
  )
  if (Exit.isFailure(exit) && isGone(exit.cause)) {
    yield* Fiber.interrupt(writer)
    return yield* call.channel.abort
  }
  const status = Exit.isSuccess(exit) ? OK : yield* outcome(call, exit.cause)
  call.frames.trailer(status)
  writes.close()
  yield* count(status)
  const sent = yield* Effect.exit(Effect.timeout(Fiber.join(writer), patience(call.settings, writes.pending)))
  yield* Exit.isSuccess(sent) ? call.channel.release : call.channel.abort
})

/**
 * Runs a handler within its time limit, next to what watches the peer. One that is done before it first waits, as most
 * are, costs neither a timer nor a watch.
 */
const run = <A>(
  call: Running,
  seen: Call,
  peer: Effect.Effect<never, RpcError | ChannelError>,
  handler: unknown
): Effect.Effect<A, unknown> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const { handlerTimeout } = call.settings
    const limit = seen.deadline === undefined ? handlerTimeout : Math.min(handlerTimeout, seen.deadline - now)
    if (limit <= 0) return fail("DEADLINE_EXCEEDED", "deadline exceeded")
    const handling = Effect.provideContext(
      Effect.scoped(handler as Effect.Effect<A, unknown>),
      Context.add(call.method.context, CallContext, seen)
    )
    const late = () =>
      fail(
        "DEADLINE_EXCEEDED",
        limit < handlerTimeout ? "deadline exceeded" : `the handler ran for more than ${handlerTimeout / 1000} s`
      )
    return Effect.flatMap(
      Effect.forkChild(handling, { startImmediately: true }),
      (fiber): Effect.Effect<A, unknown> =>
        fiber.pollUnsafe() ??
        Effect.raceFirst(Fiber.join(fiber), peer).pipe(
          Effect.timeoutOrElse({ duration: limit, orElse: late }),
          Effect.ensuring(Fiber.interrupt(fiber))
        )
    )
  })

/** The one request of a call. */
const singleRequest = (call: Running): Effect.Effect<unknown, RpcError | ChannelError> => {
  let frame: Frame.Frame | undefined
  try {
    frame = call.reader.poll()
  } catch (error) {
    return unreadable(error as Frame.FrameError)
  }
  // Clients send header and request together, so there is rarely anything to wait for.
  if (frame !== undefined && (frame.flags & Frame.CANCEL) === 0) return request(call, frame)
  return Effect.timeoutOrElse(nextRequest(call), {
    duration: call.settings.requestTimeout,
    orElse: () => fail("DEADLINE_EXCEEDED", "no request arrived in time")
  })
}

/** On a shared stream a CANCEL frame means nothing. */
const nextRequest = (call: Running): Effect.Effect<unknown, RpcError | ChannelError> =>
  Effect.matchEffect(call.reader.next, {
    onFailure: unreadable,
    onSuccess: (frame) =>
      frame !== undefined && (frame.flags & Frame.CANCEL) !== 0 ? nextRequest(call) : request(call, frame)
  })

const request = (call: Running, frame: Frame.Frame | undefined): Effect.Effect<unknown, RpcError> => {
  if (frame === undefined || (frame.flags & Frame.TRAILER) !== 0) {
    return fail("UNAVAILABLE", "the stream ended before the request")
  }
  try {
    return Effect.succeed(call.method.request.read(payloadOf(frame), call.frames.encoding))
  } catch (error) {
    return Effect.fail(undecodable(error, "INVALID_ARGUMENT"))
  }
}

/** A payload that does not decompress is not a message at all. */
const payloadOf = (frame: Frame.Frame): Uint8Array => {
  if ((frame.flags & Frame.COMPRESSED) === 0) return frame.payload
  try {
    return decompress(frame.payload)
  } catch (error) {
    throw error instanceof CodecError ? RpcError.of("INTERNAL", error.detail) : error
  }
}

const unreadable = (error: Frame.FrameError | ChannelError): Effect.Effect<never, RpcError | ChannelError> =>
  error instanceof Frame.FrameError ? fail("INTERNAL", error.message) : Effect.fail(error)

const undecodable = (error: unknown, malformed: "INVALID_ARGUMENT" | "INTERNAL"): RpcError => {
  if (error instanceof RpcError) return error
  if (!(error instanceof CodecError)) throw error
  const contract = error.reason === "UnexpectedFields" || error.reason === "SchemaMismatch"
  return RpcError.of(contract && malformed === "INVALID_ARGUMENT" ? "CONTRACT_VIOLATION" : malformed, error.detail)
}

/** Waits for the peer to give up. What it sends after its request is not looked at, but neither is it endless. */
const watch = (call: Running): Effect.Effect<never, RpcError | ChannelError> =>
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
const pump = Effect.fnUntraced(function* (
  call: Running,
  requests: RequestBuffer
): Effect.fn.Return<never, RpcError | ChannelError> {
  const { pattern } = call.method
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
        try {
          const payload = payloadOf(frame)
          requests.add(call.method.request.read(payload, call.frames.encoding), payload.length)
        } catch (error) {
          return yield* Effect.fail(undecodable(error, pattern === "bidi_stream" ? "INTERNAL" : "INVALID_ARGUMENT"))
        }
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

// ---------------------------------------------------------------------------------------------------------------------
// Ending a call
// ---------------------------------------------------------------------------------------------------------------------

/** Sends what has been collected and the trailer, and gives the stream back. */
const answer = Effect.fnUntraced(function* (
  settings: Settings,
  channel: CallChannel,
  frames: FrameWriter,
  status: RpcStatus
) {
  frames.trailer(status)
  yield* count(status)
  const bytes = frames.take()
  // Small answers fit what the network buffers for a stream; only large ones can be held up by a peer that does not read.
  const send = channel.send(bytes)
  const sent = yield* Effect.exit(
    bytes.length <= 16_384 ? send : Effect.timeout(send, patience(settings, bytes.length))
  )
  yield* Exit.isSuccess(sent) ? channel.release : channel.abort
})

/** Milliseconds that a peer gets to accept the last bytes of an answer: a slow link is still a link. */
const patience = (settings: Settings, bytes: number): number => settings.answerTimeout + bytes / 131.072

const count = (status: RpcStatus): Effect.Effect<void> =>
  Metric.update(status.code === 0 ? succeededCalls : failedCalls, 1)

/** The peer gave up or is lost: there is nobody to answer. */
const isGone = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason._tag === "Fail" && reason.error instanceof ChannelError)

/** The status of a failed call. Undeclared errors and defects are logged here and never leave the process. */
const outcome = (call: Running, cause: Cause.Cause<unknown>): Effect.Effect<RpcStatus> => {
  const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
  if (error instanceof RpcError && !Cause.hasDies(cause)) return Effect.succeed(statusOf(error))
  const domain = error === undefined || Cause.hasDies(cause) ? undefined : call.method.declaredError(error)
  if (domain !== undefined) return Effect.succeed(statusOf(domain))
  return Effect.as(logDefect(call, cause), statusOfCause(cause))
}

const statusOfCause = (cause: Cause.Cause<unknown>): RpcStatus => {
  const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
  return error instanceof RpcError && !Cause.hasDies(cause) ? statusOf(error) : failure("INTERNAL", "internal error")
}

const logDefect = (call: Running, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logError(`call of ${call.call.service}.${call.call.method} failed`, cause)

const unwritable = (error: unknown): string =>
  error instanceof Frame.FrameError
    ? "the response is larger than a frame can carry"
    : "the response does not fit its declared type"
