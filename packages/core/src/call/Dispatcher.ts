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
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as CallMetrics from "../interceptor/CallMetrics.ts"
import * as Deadline from "../interceptor/Deadline.ts"
import type { Interceptor } from "../interceptor/Interceptor.ts"
import { DEFAULT_FRAME_READ_TIMEOUT_S, MAX_HANDLER_TIMEOUT_S } from "../Limits.ts"
import { CodecError } from "../message/CodecError.ts"
import type * as MessageCodec from "../message/MessageCodec.ts"
import type { Implementation } from "../service/Service.ts"
import type { CallChannel, DirectChannel } from "../wire/CallChannel.ts"
import {
  decodeHeader,
  encodingOf,
  metadataOf,
  SERIALIZATION_MODE,
  statusOf,
  type StreamHeader
} from "../wire/Control.ts"
import * as Frame from "../wire/Frame.ts"
import { FrameReader } from "../wire/FrameReader.ts"
import { FrameWriter } from "../wire/FrameWriter.ts"
import { isRpcError, type RpcError } from "../wire/RpcError.ts"
import { nameOf } from "../wire/Status.ts"
import { DecodeBudget, type PeerBudget } from "./DecodeBudget.ts"
import { IdleTimeout } from "./IdleTimeout.ts"
import { answer, failure, statusOfCause } from "./internal/callAnswer.ts"
import {
  completedCalls,
  counted,
  failedCalls,
  running,
  runningCalls,
  startedCalls,
  succeededCalls
} from "./internal/callCounts.ts"
import { CallInFlight, type CallLimits, fail, inFlight } from "./internal/callInFlight.ts"
import { compile, type CompiledService } from "./internal/compiledService.ts"
import { Handlers } from "./internal/handlers.ts"
import { serveSession, type SessionOptions } from "./internal/sessionServer.ts"

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
export interface DispatcherOptions {
  readonly implementations: ReadonlyArray<Implementation>
  /** Around every call, the first outermost. Default: `Deadline.make()`. */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
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
  /**
   * What requests may take in memory once they are decoded, of all peers together; a quarter may be one peer's. Requests
   * that find no room wait for it, as long as `requestTimeout`. Default 512 MiB.
   */
  readonly maxDecodedBytes?: number | undefined
  /** How long a session may be without a call before it is ended. Default 30 minutes. */
  readonly sessionIdleTimeout?: Duration.Input | undefined
}

/** Who is at the other end of a channel. @since 0.1.0 */
export interface CallPeer {
  /** Endpoint id, or `local`. */
  readonly id: string
  /** What the peer was admitted with. Read once per call, when its header has come, so it may be a getter. */
  readonly attributes: ReadonlyMap<string, string>
  /** What its requests may take in memory. Default: a share that all peers without one have in common. */
  readonly budget?: PeerBudget | undefined
  /** Completes when no more calls are to be taken: sessions end at the next moment without a call. Default never. */
  readonly draining?: Effect.Effect<void> | undefined
}

/** The process itself, for calls that do not cross a network. @since 0.1.0 */
export const LOCAL: CallPeer = { id: "local", attributes: new Map() }

/**
 * Takes over a channel by its first frame, or answers undefined when that is for a call.
 *
 * @since 0.1.0
 */
export type Upgrade = (first: Frame.Frame, reader: FrameReader) => Effect.Effect<void> | undefined

/** @since 0.1.0 */
export interface Dispatcher {
  readonly implementations: ReadonlyArray<Implementation>
  /** What requests may take in memory. */
  readonly budget: DecodeBudget
  /**
   * From now on no call waits for a handler that does not end when it is interrupted, for longer than a moment; each is
   * named in the log. For the end of a server, behind its grace period.
   */
  readonly abandon: Effect.Effect<void>
  /**
   * Serves one call. Succeeds when the call is over for the server, whatever its outcome; interrupting it interrupts the
   * handler and aborts the channel.
   *
   * @param upgrade asked about the first frame, for channels that may be used for something else than one call
   */
  readonly handle: (channel: CallChannel, peer: CallPeer, upgrade?: Upgrade) => Effect.Effect<void>
  /**
   * As `handle`, but does at once what can be, in `context`, and answers what is left: nothing for most small calls, whose
   * bytes are all there and whose handler does not wait.
   */
  readonly handleNow: (
    channel: DirectChannel,
    peer: CallPeer,
    context: Context.Context<never>
  ) => Effect.Effect<void> | undefined
  /** Answers a call with an error, whatever it is. */
  readonly refuse: (channel: CallChannel, error: RpcError) => Effect.Effect<void>
}

export { completedCalls, failedCalls, runningCalls, startedCalls, succeededCalls }

/** Calls for version 1 that were served by another version. @since 0.1.0 */
export const versionFallbacks = Metric.counter("aster_rpc_version_fallback_total", {
  description: "Calls for version 1 that were served by another version",
  incremental: true
})

/**
 * Compiles the codecs of all services. The dispatcher watches over its calls until the scope closes.
 *
 * @throws Wire.WireTypeError for messages that cannot be encoded, as a defect
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: DispatcherOptions
): Effect.fn.Return<Dispatcher, DuplicateService, Scope.Scope> {
  const interceptors = options.interceptors ?? [Deadline.make()]
  const services = new Map<string, Map<number, CompiledService>>()
  for (const implementation of options.implementations) {
    const { name, version } = implementation.service
    const versions = services.get(name) ?? new Map<number, CompiledService>()
    if (versions.has(version)) return yield* new DuplicateService({ service: name, version })
    services.set(name, versions.set(version, compile(implementation, interceptors)))
  }
  const requestTimeout = Duration.fromInputUnsafe(
    options.requestTimeout ?? Duration.seconds(DEFAULT_FRAME_READ_TIMEOUT_S)
  )
  const handlers = new Handlers()
  const budget = new DecodeBudget(options.maxDecodedBytes)
  const silent = new IdleTimeout(requestTimeout)
  yield* Effect.forkScoped(silent.interrupt)
  const settings: Settings = {
    services,
    versionFallback: options.versionFallback ?? true,
    silent,
    sessionIdleTimeout: Duration.fromInputUnsafe(options.sessionIdleTimeout ?? "30 minutes"),
    budget: budget.join(""),
    limits: {
      handlers,
      requestTimeout: Duration.toMillis(requestTimeout),
      handlerTimeout: Duration.toMillis(
        Duration.fromInputUnsafe(options.handlerTimeout ?? Duration.seconds(MAX_HANDLER_TIMEOUT_S))
      ),
      answerTimeout: Duration.toMillis(Duration.fromInputUnsafe(options.answerTimeout ?? "30 seconds"))
    },
    warned: new Set()
  }
  return {
    implementations: options.implementations,
    budget,
    abandon: handlers.abandon,
    refuse: (channel, error) => Effect.onError(refuse(settings, channel, error), () => channel.abort),
    handle: (channel, peer, upgrade) =>
      Effect.onError(handle(settings, channel, new FrameReader(channel), peer, upgrade), () => channel.abort),
    handleNow: (channel, peer, context) => {
      let rest: Effect.Effect<void> | undefined
      try {
        rest = handleNow(settings, channel, peer, context)
      } catch (defect) {
        rest = Effect.die(defect)
      }
      return rest && Effect.onError(rest, () => channel.abort)
    }
  }
})

interface Settings {
  readonly services: ReadonlyMap<string, ReadonlyMap<number, CompiledService>>
  readonly versionFallback: boolean
  /** Calls whose peer has not sent its header yet. */
  readonly silent: IdleTimeout
  readonly sessionIdleTimeout: Duration.Duration
  readonly budget: PeerBudget
  readonly limits: CallLimits
  /** Services whose version fallback has been logged. */
  readonly warned: Set<string>
}

const refuse = Effect.fnUntraced(function* (settings: Settings, channel: CallChannel, error: RpcError) {
  const first = yield* Effect.exit(settings.silent.guard(new FrameReader(channel).next))
  if (Exit.isFailure(first) || first.value === undefined) return yield* channel.abort
  const frames = new FrameWriter(encodingOf(first.value.payload), false)
  yield* CallMetrics.refused(nameOf(error.code))
  yield* answer(settings.limits, channel, frames, statusOf(error))
})

const handle = Effect.fnUntraced(function* (
  settings: Settings,
  channel: CallChannel,
  reader: FrameReader,
  peer: CallPeer,
  upgrade: Upgrade | undefined
) {
  // A peer that opens a stream and stays silent gets a reset: the interruption ends in `channel.abort`.
  const first = yield* Effect.exit(settings.silent.guard(reader.next))
  if (Exit.isFailure(first)) {
    const error = Cause.squash(first.cause)
    if (!(error instanceof Frame.FrameError)) return yield* channel.abort
    if (!reader.begun) return yield* channel.release
    return yield* answer(settings.limits, channel, new FrameWriter("json", false), failure("INTERNAL", error.message))
  }
  const frame = first.value
  // A peer that finishes without a word gets nothing.
  if (frame === undefined) return yield* channel.release

  const upgraded = upgrade?.(frame, reader)
  if (upgraded !== undefined) return yield* upgraded

  yield* serve(
    settings,
    channel,
    frame,
    Effect.suspend(() => open(settings, channel, reader, frame, peer))
  )
})

const handleNow = (
  settings: Settings,
  channel: DirectChannel,
  peer: CallPeer,
  context: Context.Context<never>
): Effect.Effect<void> | undefined => {
  const reader = new FrameReader(channel)
  const bytes = channel.poll()
  if (bytes !== undefined) reader.push(bytes)
  let frame: Frame.Frame | undefined
  try {
    frame = reader.poll()
  } catch {
    // Thrown again where it is answered.
  }
  if (frame === undefined) return handle(settings, channel, reader, peer, undefined)
  const opening = open(settings, channel, reader, frame, peer)
  if (!Exit.isExit(opening) || !Exit.isSuccess(opening) || !(opening.value instanceof CallInFlight)) {
    return serve(settings, channel, frame, opening)
  }
  const call = opening.value
  if (call.method.serveNow === undefined) return serve(settings, channel, frame, opening)
  startedCalls.updateUnsafe(1, context)
  const rest = call.method.serveNow(call, context)
  if (rest === undefined) {
    call.release()
    return undefined
  }
  return running(rest, leaving(settings, call))
}

/** Serves the call that a header has opened, if it has. */
const serve = Effect.fnUntraced(function* (
  settings: Settings,
  channel: CallChannel,
  frame: Frame.Frame,
  opening: Effect.Effect<CallInFlight | SessionOptions, RpcError>
) {
  const opened = yield* Effect.exit(opening)
  if (Exit.isFailure(opened)) {
    if (Cause.hasDies(opened.cause)) yield* Effect.logError("reading the header of a call failed", opened.cause)
    const frames = new FrameWriter(encodingOf(frame.payload), false)
    const status = statusOfCause(opened.cause)
    yield* CallMetrics.refused(nameOf(status.code))
    return yield* answer(settings.limits, channel, frames, status)
  }
  if (!(opened.value instanceof CallInFlight)) return yield* serveSession(opened.value)
  const call = opened.value
  yield* counted(call.method.serve(call), leaving(settings, call))
})

/** A call is over: nothing of it is held, and a handler that does not end is left to itself. */
const leaving = (settings: Settings, call: CallInFlight): Effect.Effect<void> =>
  Effect.suspend(() => {
    call.release()
    return call.handler === undefined ? Effect.void : settings.limits.handlers.leave(call.call, call.handler)
  })

/** Reads the header and finds the method. The order of the checks is observable and that of release 0.1.2. */
const open = (
  settings: Settings,
  channel: CallChannel,
  reader: FrameReader,
  frame: Frame.Frame,
  peer: CallPeer
): Effect.Effect<CallInFlight | SessionOptions, RpcError> => {
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
    if (header.method !== "") {
      return fail("FAILED_PRECONDITION", `service '${header.service}' has session scope; open a session to call it`)
    }
    // Sessions of the reference are opened in either encoding, whatever modes the service declares.
    const json = encodingOf(frame.payload) === "json" || header.serializationMode === SERIALIZATION_MODE.json
    return Effect.succeed({
      limits: settings.limits,
      channel,
      reader,
      service,
      header,
      encoding: json ? "json" : "xlang",
      peer,
      budget: peer.budget ?? settings.budget,
      idleTimeout: settings.sessionIdleTimeout,
      draining: peer.draining ?? Effect.never
    })
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
    if (!isRpcError(error)) throw error
    return Effect.fail(error)
  }
  const call = inFlight(header, {
    limits: settings.limits,
    channel,
    reader,
    encoding,
    method,
    metadata,
    peer,
    budget: peer.budget ?? settings.budget
  })
  if (!fallback) return Effect.succeed(call)
  const served = Effect.as(Metric.update(versionFallbacks, 1), call)
  if (settings.warned.has(header.service)) return served
  settings.warned.add(header.service)
  return Effect.andThen(
    Effect.logInfo(`calls for ${header.service} v1 are served by v${version}, its only version`),
    served
  )
}

/** Metadata takes at most 8 KiB of a header; the rest are names and a trace id. */
const MAX_HEADER_SIZE = 65_536

/** Names come from the peer and go into messages. */
const name = (text: string): string => (text.length <= 256 ? text : `${text.slice(0, 256).toWellFormed()}...`)

const lookup = (
  settings: Settings,
  header: StreamHeader
): { readonly service: CompiledService; readonly fallback: boolean } | undefined => {
  const versions = settings.services.get(header.service)
  const exact = versions?.get(header.version)
  if (exact !== undefined) return { service: exact, fallback: false }
  if (!settings.versionFallback || header.version !== 1 || versions?.size !== 1) return undefined
  const [only] = versions.values()
  return only === undefined ? undefined : { service: only, fallback: true }
}

/** A JSON header makes the whole stream JSON, whatever mode it names. */
const encodingFor = (
  service: CompiledService,
  payload: Uint8Array,
  header: StreamHeader
): MessageCodec.Encoding | undefined => {
  if (encodingOf(payload) === "json" || header.serializationMode === 3) return "json"
  return header.serializationMode === 0 && service.accepts.has("xlang") ? "xlang" : undefined
}
