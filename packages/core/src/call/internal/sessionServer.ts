import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as CallMetrics from "../../interceptor/CallMetrics.ts"
import { CodecError } from "../../message/CodecError.ts"
import type { Encoding } from "../../message/MessageCodec.ts"
import { type CallChannel, ChannelError } from "../../wire/CallChannel.ts"
import { decodeCallHeader, metadataOf, type RpcStatus, type StreamHeader } from "../../wire/Control.ts"
import * as Frame from "../../wire/Frame.ts"
import { FrameReader } from "../../wire/FrameReader.ts"
import { FrameWriter } from "../../wire/FrameWriter.ts"
import { isRpcError, RpcError } from "../../wire/RpcError.ts"
import { nameOf } from "../../wire/Status.ts"
import type { PeerBudget } from "../DecodeBudget.ts"
import { ServerSession } from "../proto/ServerSession.ts"
import { failure, sessionGoesOn, statusOfCause } from "./callAnswer.ts"
import { counted } from "./callCounts.ts"
import { type CallLimits, inFlight } from "./callInFlight.ts"
import type { CompiledMethod, CompiledService } from "./compiledService.ts"

/** What a session is opened with. */
export interface SessionOptions {
  readonly limits: CallLimits
  readonly channel: CallChannel
  readonly reader: FrameReader
  readonly service: CompiledService
  readonly header: StreamHeader
  readonly encoding: Encoding
  readonly peer: { readonly id: string; readonly attributes: ReadonlyMap<string, string> }
  readonly budget: PeerBudget
  /** How long a session may be without a call. */
  readonly idleTimeout: Duration.Duration
  /** Completes when no more calls are to be taken. */
  readonly draining: Effect.Effect<void>
}

/** Serves the calls of a session, one after another, until its client ends it, loses count or says nothing for long. */
export const serveSession = (options: SessionOptions): Effect.Effect<void> => {
  const { channel, encoding, service } = options
  const { context, session } = service.implementation
  if (session === undefined) return channel.abort
  return Effect.scoped(
    Effect.gen(function* () {
      // The scope of the session, not that of the layer.
      const within = Context.add(context, Scope.Scope, yield* Effect.scope)
      const built = yield* Effect.exit(Effect.provideContext(session, within))
      if (Exit.isFailure(built)) {
        yield* Effect.logError(`opening a session of ${service.implementation.service.name} failed`, built.cause)
        return yield* lastWord(channel, encoding, statusOfCause(built.cause))
      }
      const handlers = built.value
      const methods = new Map(
        [...service.methods].map(([name, method]): readonly [string, CompiledMethod] => [
          name,
          { ...method, handler: handlers[name]! }
        ])
      )
      yield* new Session(options, methods).run
    })
  )
}

const lastWord = (channel: CallChannel, encoding: Encoding, status: RpcStatus): Effect.Effect<void> => {
  const frames = new FrameWriter(encoding, false)
  frames.trailer(status)
  return Effect.andThen(Effect.ignore(frames.send(channel)), channel.release)
}

class Session {
  readonly #options: SessionOptions
  readonly #methods: ReadonlyMap<string, CompiledMethod>
  readonly #protocol = new ServerSession()
  #call: SessionCallChannel | undefined
  #running: Fiber.Fiber<void> | undefined

  constructor(options: SessionOptions, methods: ReadonlyMap<string, CompiledMethod>) {
    this.#options = options
    this.#methods = methods
  }

  /** Until the session ends. */
  get run(): Effect.Effect<void> {
    const { channel, encoding } = this.#options
    return Effect.gen({ self: this }, function* () {
      while (true) {
        const next = yield* Effect.exit(this.#next)
        if (Exit.isFailure(next)) {
          const error = Cause.squash(next.cause)
          if (error instanceof Frame.FrameError) {
            yield* this.#interrupt
            return yield* lastWord(channel, encoding, failure("INTERNAL", error.message))
          }
          // The client has gone: nobody is left to answer.
          yield* this.#interrupt
          return yield* channel.abort
        }
        const frame = next.value
        if (frame === undefined) {
          // The client wants nothing more, but what it asked for.
          this.#call?.end()
          yield* this.#over
          return yield* channel.release
        }
        if (!(yield* this.#receive(frame))) return
      }
    }).pipe(Effect.onInterrupt(() => Effect.andThen(this.#interrupt, channel.abort)))
  }

  /** The next frame; between calls no longer than the idle timeout, and not while draining. */
  get #next(): Effect.Effect<Frame.Frame | undefined, Frame.FrameError | ChannelError> {
    const { draining, idleTimeout, reader } = this.#options
    return Effect.suspend(() => {
      let frame: Frame.Frame | undefined
      try {
        frame = reader.poll()
      } catch (error) {
        return Effect.fail(error as Frame.FrameError)
      }
      if (frame !== undefined) return Effect.succeed(frame)
      const nobody = Effect.andThen(this.#over, Effect.raceFirst(Effect.sleep(idleTimeout), draining))
      return Effect.raceFirst(reader.next, Effect.as(nobody, undefined))
    })
  }

  /** Answers whether the session goes on. */
  #receive(frame: Frame.Frame): Effect.Effect<boolean> {
    const { channel, encoding } = this.#options
    const action = this.#protocol.receive(frame)
    switch (action._tag) {
      case "call":
        return Effect.as(this.#begin(action.header), true)
      case "input":
        return Effect.as(this.#call?.put(action.frame) ?? Effect.void, true)
      case "cancel":
        this.#call?.cancel()
        return Effect.as(Effect.andThen(this.#over, this.#say(failure("CANCELLED", "cancelled"))), true)
      case "cancelled":
        return Effect.as(this.#say(failure("CANCELLED", "cancelled")), true)
      case "wait":
        return Effect.andThen(
          this.#over,
          Effect.suspend(() => this.#receive(frame))
        )
      case "ignore":
        return Effect.succeed(true)
      case "broken": {
        const status = failure("FAILED_PRECONDITION", "a frame that belongs to no call; the session ends")
        return Effect.as(Effect.andThen(this.#interrupt, lastWord(channel, encoding, status)), false)
      }
    }
  }

  /** A call, or why there is none. */
  #begin(payload: Uint8Array): Effect.Effect<void> {
    const { budget, channel, encoding, limits, peer, service } = this.#options
    let method: CompiledMethod | undefined
    try {
      const header = decodeCallHeader(payload)
      method = this.#methods.get(header.method)
      if (method === undefined) {
        const { name } = service.implementation.service
        throw RpcError.of("UNIMPLEMENTED", `service '${name}' has no method '${header.method.slice(0, 256)}'`)
      }
      const metadata = metadataOf(header)
      this.#protocol.begin(method.called.pattern)
      const inner = new SessionCallChannel(channel)
      this.#call = inner
      const reader = new FrameReader(inner)
      const call = inFlight(header, { limits, channel: inner, reader, encoding, method, metadata, peer, budget })
      call.inSession = true
      const serving = counted(
        method.serve(call),
        Effect.suspend(() => {
          call.release()
          this.#protocol.end()
          return call.handler === undefined ? Effect.void : limits.handlers.leave(call.call, call.handler)
        })
      )
      return Effect.map(Effect.forkChild(serving), (fiber) => {
        this.#running = fiber
      })
    } catch (error) {
      this.#protocol.refuse(method?.called.pattern)
      if (isRpcError(error)) return this.#refuse(statusOfCause(Cause.fail(error)))
      if (!(error instanceof CodecError)) throw error
      return this.#refuse(failure("INTERNAL", `invalid CallHeader: ${error.detail}`))
    }
  }

  #refuse(status: RpcStatus): Effect.Effect<void> {
    return Effect.andThen(CallMetrics.refused(nameOf(status.code)), this.#say(sessionGoesOn(status)))
  }

  #say(status: RpcStatus): Effect.Effect<void> {
    const frames = new FrameWriter(this.#options.encoding, false)
    frames.trailer(status)
    return Effect.ignore(frames.send(this.#options.channel))
  }

  /** Waits for the running call. */
  readonly #over: Effect.Effect<void> = Effect.suspend(() =>
    this.#running === undefined ? Effect.void : Effect.asVoid(Fiber.await(this.#running))
  )

  readonly #interrupt: Effect.Effect<void> = Effect.suspend(() =>
    this.#running === undefined ? Effect.void : Fiber.interrupt(this.#running)
  )
}

/** One call of a session as a channel: what has come for it, and the stream of the session to answer on. */
class SessionCallChannel implements CallChannel {
  readonly #stream: CallChannel
  #incoming: Array<Uint8Array> = []
  #size = 0
  #ended = false
  #cancelled = false
  #over = false
  readonly #filled = Latch.makeUnsafe(false)
  readonly #room = Latch.makeUnsafe(true)

  constructor(stream: CallChannel) {
    this.#stream = stream
  }

  /** A frame for the call; waits while too much is waiting. */
  put({ flags, payload }: Frame.Frame): Effect.Effect<void> {
    const frame = Frame.encode(payload, payload.length === 0 && flags === 0 ? Frame.TRAILER : flags)
    this.#incoming.push(frame)
    this.#size += frame.length
    this.#filled.openUnsafe()
    if (this.#size < MAX_WAITING || this.#over) return Effect.void
    this.#room.closeUnsafe()
    return this.#room.await
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true
    this.#filled.openUnsafe()
  }

  /** The client wants no answer any more. */
  cancel(): void {
    this.#cancelled = true
    this.#filled.openUnsafe()
  }

  readonly receive: Effect.Effect<Uint8Array | undefined, ChannelError> = Effect.suspend(() => {
    if (this.#cancelled) return Effect.fail(cancelledByClient)
    const frame = this.#incoming.shift()
    if (frame !== undefined) {
      this.#size -= frame.length
      this.#room.openUnsafe()
      return Effect.succeed(frame)
    }
    if (this.#ended) return Effect.undefined
    this.#filled.closeUnsafe()
    return Effect.flatMap(this.#filled.await, () => this.receive)
  })

  /** Frames of the session stay whole, also when the call is interrupted meanwhile. */
  send(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return Effect.uninterruptible(this.#stream.send(bytes))
  }

  readonly finish: Effect.Effect<void> = Effect.void

  readonly #done: Effect.Effect<void> = Effect.sync(() => {
    this.#over = true
    this.#room.openUnsafe()
  })

  readonly abort: Effect.Effect<void> = this.#done
  readonly release: Effect.Effect<void> = this.#done
}

const MAX_WAITING = 256 * 1024

const cancelledByClient = new ChannelError({ reason: "Reset", detail: "the client cancelled the call" })
