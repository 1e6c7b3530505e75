/**
 * Many calls on one channel. A channel of its own costs a call several crossings into the network on each side; calls
 * that share one share its reads and writes. Both sides have to be this implementation: a client asks with a call that
 * other servers answer with NOT_FOUND.
 *
 * Calls stay apart as far as one stream allows: each has a window of its own, so that one which is not read holds up no
 * other, and each can be given up alone.
 *
 * @since 0.1.0
 */
import type { CallPeer, Dispatcher } from "@aster-effect/core/call/Dispatcher"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import {
  type CallChannel,
  ChannelError,
  type DirectBytes,
  type DirectChannel
} from "@aster-effect/core/wire/CallChannel"
import { encodeHeader, SERIALIZATION_MODE } from "@aster-effect/core/wire/Control"
import * as Frame from "@aster-effect/core/wire/Frame"
import { IdleTimeout } from "@aster-effect/core/call/IdleTimeout"
import { MAX_CALLS, type MuxedCall, Multiplexer, MultiplexError } from "./proto/Multiplexer.ts"

/**
 * Payload of the header that asks for calls on this stream. It names a service that nobody has, in the encoding every
 * server understands.
 *
 * @since 0.1.0
 */
export const HEADER: Uint8Array = encodeHeader(
  {
    service: "aster-effect.multiplex",
    method: "calls",
    version: 1,
    callId: "",
    deadlineEpochMs: 0,
    serializationMode: SERIALIZATION_MODE.json,
    metadataKeys: [],
    metadataValues: []
  },
  "json"
)

/** What both sides begin with; the server's says that it agrees. */
const hello = Frame.encode(HEADER, Frame.HEADER)

/** Whether the first frame of a stream asks for calls on it. */
const isRequest = ({ flags, payload }: Frame.Frame): boolean =>
  (flags & Frame.HEADER) !== 0 && payload.length === HEADER.length && payload.every((byte, i) => byte === HEADER[i])

/**
 * Larger first writes are better off in a channel of their own: crossing into the network is not what they spend their
 * time on, and there they hold up nobody.
 *
 * @since 0.1.0
 */
export const MAX_REQUEST = 4 * 1024

/** Bytes of one call that leave at a time, so that others come in between. */
const PIECE = 16 * 1024
/** Bytes that may wait to leave before whoever has much to send has to wait. */
const HIGH_WATER = 256 * 1024
/** Bytes that may wait to leave before a server reads no further calls. */
const MAX_WAITING = 1024 * 1024
/** Calls that a server runs at a time for one peer: those that are open, and given up ones that are not over yet. */
const MAX_RUNNING = 2 * MAX_CALLS
/** Calls answered at once that leave together: the client has something to do while the next ones are served. */
const BATCH = 16
/** Bytes of a peer that are taken before others get their turn: calls that are answered at once hold the thread. */
const TURN = 32 * 1024
/** How long the peer may read nothing. */
const STALL = Duration.seconds(30)

/** The calls of a client on one channel. @since 0.1.0 */
export interface Multiplex {
  /** A channel for one more call; undefined while there are too many, and when no more are taken. */
  readonly open: () => DirectChannel | undefined
  /** Calls that are open. */
  readonly calls: () => number
  /** Waits until the stream is over. */
  readonly ended: Effect.Effect<void>
}

/**
 * Asks the server behind a channel for calls on it. Undefined when it does not know of such, as servers of release 0.1.2.
 * Calls that run when the scope closes fail, and so do those that run when the channel breaks.
 *
 * @since 0.1.0
 */
export const connect = Effect.fnUntraced(function* (
  channel: CallChannel,
  options?: {
    /** Run when a call was given up. */
    readonly givenUp?: Effect.Effect<void> | undefined
  }
): Effect.fn.Return<Multiplex | undefined, ChannelError, Scope.Scope> {
  yield* channel.send(hello)
  const rest = yield* agreement(channel)
  if (rest === undefined) {
    yield* channel.abort
    return undefined
  }
  const stream = new SharedStream(channel, yield* Effect.context<never>())
  const over = Effect.andThen(stream.lose, channel.abort)
  yield* Effect.addFinalizer(() => over)
  const running = yield* Effect.forkScoped(Effect.ensuring(stream.run(stream.reading(rest)), over), {
    startImmediately: true
  })
  return {
    calls: () => stream.mux.calls,
    ended: Effect.asVoid(Fiber.await(running)),
    open: () => {
      const call = stream.mux.open()
      return call === undefined ? undefined : new MuxedChannel(stream, call, options?.givenUp)
    }
  }
})

/** What comes behind the server's agreement; undefined when it answers something else. */
const agreement = Effect.fnUntraced(function* (
  channel: CallChannel
): Effect.fn.Return<Uint8Array | undefined, ChannelError> {
  let got = new Uint8Array(0)
  while (got.length < hello.length) {
    const bytes = yield* channel.receive
    if (bytes === undefined) return undefined
    got = Buffer.concat([got, bytes])
    if (!hello.subarray(0, got.length).every((byte, i) => byte === got[i])) return undefined
  }
  return got.subarray(hello.length)
})

/**
 * Serves the calls of a client that asked for them, those that take time in fibers of their own, until the client ends the stream, breaks
 * its rules or reads nothing for too long. When draining begins no more calls are taken, and those that run are waited
 * for.
 *
 * @param rest what came behind the client's header
 * @param handle serves one call as far as that can be done at once, and answers what is left
 */
const serve = (
  channel: CallChannel,
  rest: Uint8Array,
  handle: (call: DirectChannel, context: Context.Context<never>) => Effect.Effect<void> | undefined,
  draining: Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const calls = yield* FiberSet.make<void>()
    const run = yield* FiberSet.runtime(calls)()
    const running = () => sizeOf(calls)
    let opened = 0
    const stream: SharedStream = new SharedStream(channel, context, (call) => {
      const rest = handle(new MuxedChannel(stream, call), context)
      if (rest !== undefined) run(rest)
      if (++opened % BATCH === 0) stream.flushToNetwork()
    })
    // Waits until a peer that keeps too much waiting has caught up.
    const bounded = {
      isDue: () => stream.mux.size > MAX_WAITING || running() > MAX_RUNNING,
      wait: Effect.gen(function* () {
        while (stream.mux.size > MAX_WAITING) yield* stream.drained
        while (running() > MAX_RUNNING) yield* anyOf(calls)
      })
    }
    const drain = Effect.gen(function* () {
      yield* draining
      stream.mux.refuse()
      stream.wake()
      yield* FiberSet.awaitEmpty(calls)
      while (stream.mux.size > 0) yield* stream.drained
    })
    yield* channel.send(hello)
    yield* stream.run(Effect.raceFirst(stream.reading(rest, bounded), drain))
  }).pipe(
    Effect.scoped,
    Effect.exit,
    Effect.flatMap((exit) => (Exit.isSuccess(exit) ? channel.release : channel.abort))
  )

const sizeOf = ({ state }: FiberSet.FiberSet<unknown>): number => (state._tag === "Closed" ? 0 : state.backing.size)

/** Waits until one of the fibers has ended. */
const anyOf = (fibers: Iterable<Fiber.Fiber<unknown, unknown>>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const removals: Array<() => void> = []
    const forget = () => removals.splice(0).forEach((remove) => remove())
    for (const fiber of fibers) {
      removals.push(
        fiber.addObserver(() => {
          forget()
          resume(Effect.void)
        })
      )
    }
    return Effect.sync(forget)
  })

/**
 * Serves the channels of one connection: those that carry a call each, and one at a time that carries many. With more of
 * those a peer could multiply its limits.
 *
 * @param draining completes when no more calls are to be taken
 * @since 0.1.0
 */
export const server = (
  dispatcher: Dispatcher,
  peer: CallPeer,
  draining: Effect.Effect<void>
): ((channel: CallChannel) => Effect.Effect<void>) => {
  let carrying = false
  return (channel) =>
    dispatcher.handle(channel, peer, (first, reader) => {
      if (carrying || !isRequest(first)) return undefined
      carrying = true
      return Effect.ensuring(
        serve(channel, reader.rest, (call, context) => dispatcher.handleNow(call, peer, context), draining),
        Effect.sync(() => (carrying = false))
      )
    })
}

/** What a server waits for before it reads on. */
interface Bound {
  readonly isDue: () => boolean
  readonly wait: Effect.Effect<void>
}

/**
 * A channel and the state of the calls on it. Where the channel below needs no effects, neither do the calls: what comes is
 * handed to them as it comes, and what they answer meanwhile leaves with the last of it.
 */
class SharedStream {
  readonly mux: Multiplexer
  readonly #channel: CallChannel
  readonly #direct: ReturnType<NonNullable<CallChannel["direct"]>> | undefined
  readonly #filled = Latch.makeUnsafe(false)
  /** What the channel did not take at once. */
  #unsent: Uint8Array | undefined
  /** Whether the writer sends, as the channel has to be waited for. */
  #writes = false
  /** Whether what there is to send leaves at the end of this turn of JavaScript. */
  #leaves = false
  /** Calls are being told what has come for them. */
  #receiving = false
  /** All of them have been told, and what they answered at once is there. */
  #complete = false
  #waiting: Array<() => void> = []

  constructor(channel: CallChannel, context: Context.Context<never>, opened?: (call: MuxedCall) => void) {
    this.#channel = channel
    this.#direct = channel.direct?.(context)
    this.mux = new Multiplexer(opened)
  }

  /** To be called when there may be something to send. */
  wake(): void {
    if (this.mux.size === 0 || this.#receiving) return
    if (this.#direct === undefined) {
      this.#filled.openUnsafe()
      return
    }
    if (this.#leaves || this.#writes) return
    this.#leaves = true
    queueMicrotask(this.#leave)
  }

  readonly #leave = (): void => {
    this.#leaves = false
    this.#flush()
  }

  /** Sends what there is to send, if that need not wait. */
  #flush(): void {
    const direct = this.#direct
    if (direct === undefined || this.#writes || this.mux.size === 0) return
    this.#unsent = this.mux.flush(direct.trySend)
    if (this.#unsent === undefined) return this.#resume()
    this.#writes = true
    this.#filled.openUnsafe()
  }

  /** The same, and puts it on the network. */
  flushToNetwork(): void {
    this.#flush()
    this.#direct?.flush()
  }

  /** Whether much waits to be sent. */
  get full(): boolean {
    return this.mux.size >= HIGH_WATER
  }

  /** Waits until what is waiting now has left. */
  readonly drained: Effect.Effect<void> = Effect.callback((resume) => {
    const done = () => resume(Effect.void)
    this.#waiting.push(done)
    return Effect.sync(() => {
      const index = this.#waiting.indexOf(done)
      if (index >= 0) this.#waiting.splice(index, 1)
    })
  })

  /** Takes what the peer sends, after `rest`, until it ends; `bound` is looked at before every read. */
  reading(rest: Uint8Array, bound?: Bound): Effect.Effect<void, ChannelError> {
    const direct = this.#direct
    return Effect.suspend(() => {
      const broken = this.#take(rest)
      if (broken !== undefined) return Effect.fail(broken)
      return direct === undefined ? this.#readingByEffect(bound) : this.#readingDirectly(direct, bound)
    })
  }

  /** Tells calls what these bytes bring, and sends what they answer at once. */
  #take(bytes: Uint8Array): ChannelError | undefined {
    this.#receiving = true
    try {
      this.mux.receive(bytes)
    } catch (error) {
      if (!(error instanceof MultiplexError)) throw error
      return new ChannelError({ reason: "Reset", detail: error.message })
    } finally {
      this.#receiving = false
      this.#complete = true
      if (this.#direct === undefined) this.wake()
      else this.#flush()
      this.#complete = false
    }
    return undefined
  }

  #readingDirectly(direct: DirectBytes, bound: Bound | undefined): Effect.Effect<void, ChannelError> {
    const reading: Effect.Effect<void, ChannelError> = Effect.callback((resume) => {
      /** What comes next, when there is nothing left for this to do. */
      const read = (): Effect.Effect<void, ChannelError> | undefined => {
        let taken = 0
        while (bound === undefined || !bound.isDue()) {
          if (taken >= TURN) return Effect.andThen(Effect.yieldNow, reading)
          const bytes = direct.poll()
          if (bytes === undefined) {
            const { over } = direct
            return over === undefined ? undefined : over === "finished" ? Effect.void : Effect.fail(over)
          }
          taken += bytes.length
          const broken = this.#take(bytes)
          if (broken !== undefined) return Effect.fail(broken)
        }
        return Effect.andThen(bound.wait, reading)
      }
      const readable = (): void => {
        let next: Effect.Effect<void, ChannelError> | undefined
        try {
          next = read()
        } catch (defect) {
          next = Effect.die(defect)
        }
        if (next === undefined) return
        direct.listen(undefined)
        resume(next)
      }
      direct.listen(readable)
      readable()
      return Effect.sync(() => direct.listen(undefined))
    })
    return reading
  }

  #readingByEffect(bound: Bound | undefined): Effect.Effect<void, ChannelError> {
    // Asking for more costs as much as sending, so what there is to answer leaves first.
    const more: Effect.Effect<boolean, ChannelError> = Effect.as(Effect.andThen(Effect.yieldNow, Effect.yieldNow), true)
    const next = Effect.flatMap(this.#channel.receive, (bytes) => {
      if (bytes === undefined) return Effect.succeed(false)
      const broken = this.#take(bytes)
      return broken === undefined ? more : Effect.fail(broken)
    })
    return Effect.andThen(
      more,
      loop(bound === undefined ? next : Effect.suspend(() => (bound.isDue() ? Effect.andThen(bound.wait, next) : next)))
    )
  }

  /** Reads as told and sends what there is to send, until one of them ends. */
  run(reading: Effect.Effect<void, ChannelError>): Effect.Effect<void, ChannelError> {
    return Effect.raceAllFirst([reading, this.#writing, this.#stalled.interrupt])
  }

  /** Interrupts a write that the peer does not take. */
  readonly #stalled = new IdleTimeout(STALL)

  /** Waits for what else is said in this turn of the event loop. */
  readonly #gathered = Effect.suspend(() => (this.#complete ? Effect.void : Effect.yieldNow))

  /** The calls of one turn of the event loop leave together. */
  readonly #writing: Effect.Effect<never, ChannelError> = Effect.forever(
    Effect.suspend(() => {
      const { mux } = this
      const bytes = this.#unsent ?? (mux.size === 0 ? undefined : mux.take())
      this.#unsent = undefined
      if (bytes === undefined) {
        this.#writes = false
        this.#filled.closeUnsafe()
        return Effect.andThen(this.#filled.await, this.#gathered)
      }
      return Effect.andThen(this.#stalled.guard(this.#channel.send(bytes)), this.#left)
    }),
    { disableYield: true }
  )

  readonly #left = Effect.sync(() => this.#resume())

  #resume(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const resume of waiting) resume()
  }

  /** The stream is over: its calls are, too. */
  readonly lose: Effect.Effect<void> = Effect.sync(() => {
    this.mux.lose()
    this.#resume()
  })
}

/** Until the effect answers false. */
const loop = <E>(step: Effect.Effect<boolean, E>): Effect.Effect<void, E> =>
  Effect.flatMap(step, (again) => (again ? loop(step) : Effect.void))

const gone = {
  Reset: new ChannelError({ reason: "Reset", detail: "the peer gave up the call" }),
  Lost: new ChannelError({ reason: "Lost", detail: "the stream that the call shared with others is lost" })
}

/** One call among others. */
class MuxedChannel implements DirectChannel {
  readonly #stream: SharedStream
  readonly #call: MuxedCall
  readonly #givenUp: Effect.Effect<void> | undefined

  constructor(stream: SharedStream, call: MuxedCall, givenUp?: Effect.Effect<void>) {
    this.#stream = stream
    this.#call = call
    this.#givenUp = givenUp
  }

  poll(): Uint8Array | undefined {
    if (this.#call.failure !== undefined) return undefined
    const bytes = this.#stream.mux.read(this.#call)
    if (bytes !== undefined) this.#stream.wake() // credit
    return bytes
  }

  get over(): "finished" | ChannelError | undefined {
    const { ended, failure } = this.#call
    return failure === undefined ? (ended ? "finished" : undefined) : gone[failure]
  }

  listen(readable: (() => void) | undefined): void {
    this.#call.onReadable = readable ?? nothing
  }

  get receive(): Effect.Effect<Uint8Array | undefined, ChannelError> {
    return Effect.suspend(() => this.#taken() ?? this.#arrival)
  }

  /** What is there to be received; undefined when there is nothing yet. */
  #taken(): Effect.Effect<Uint8Array | undefined, ChannelError> | undefined {
    const bytes = this.poll()
    if (bytes !== undefined) return Effect.succeed(bytes)
    const { over } = this
    return over === undefined ? undefined : over === "finished" ? Effect.undefined : Effect.fail(over)
  }

  get #arrival(): Effect.Effect<Uint8Array | undefined, ChannelError> {
    return Effect.callback((resume) => {
      this.#call.onReadable = () => {
        const taken = this.#taken()
        if (taken === undefined) return
        this.#call.onReadable = nothing
        resume(taken)
      }
      return Effect.sync(() => (this.#call.onReadable = nothing))
    })
  }

  trySend(bytes: Uint8Array): boolean {
    const call = this.#call
    if (call.failure !== undefined || bytes.length > PIECE || bytes.length > call.window) return false
    this.#stream.mux.data(call, bytes)
    this.#stream.wake()
    return true
  }

  send(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => (this.trySend(bytes) ? Effect.void : this.#sendPieces(bytes, 0)))
  }

  #sendPieces(bytes: Uint8Array, start: number): Effect.Effect<void, ChannelError> {
    const { mux } = this.#stream
    const call = this.#call
    let at = start
    while (at < bytes.length) {
      if (call.failure !== undefined) return Effect.fail(gone[call.failure])
      if (this.#stream.full) {
        this.#stream.wake()
        return Effect.flatMap(this.#stream.drained, () => this.#sendPieces(bytes, at))
      }
      const size = Math.min(PIECE, call.window, bytes.length - at)
      if (size === 0) {
        this.#stream.wake()
        return Effect.flatMap(this.#writable, () => this.#sendPieces(bytes, at))
      }
      mux.data(call, bytes.subarray(at, at + size))
      at += size
    }
    this.#stream.wake()
    return Effect.void
  }

  get #writable(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.#call.onWritable = () => {
        this.#call.onWritable = nothing
        resume(Effect.void)
      }
      return Effect.sync(() => (this.#call.onWritable = nothing))
    })
  }

  get finish(): Effect.Effect<void, ChannelError> {
    return Effect.sync(() => this.#say("finish"))
  }

  get abort(): Effect.Effect<void> {
    const reset = Effect.sync(() => this.#say("reset"))
    return this.#givenUp === undefined ? reset : Effect.andThen(reset, this.#givenUp)
  }

  get release(): Effect.Effect<void> {
    return Effect.sync(() => this.releaseNow())
  }

  releaseNow(): void {
    this.#say("discard")
  }

  #say(what: "finish" | "reset" | "discard"): void {
    const { mux } = this.#stream
    mux[what](this.#call)
    this.#stream.wake()
  }
}

const nothing = (): void => {}
