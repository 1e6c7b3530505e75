import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Call, CallContext } from "../../interceptor/CallContext.ts"
import { Answer, type Chain, mapMessages, type Messages } from "../../interceptor/Interceptor.ts"
import { CodecError } from "../../message/CodecError.ts"
import type * as Rpc from "../../service/Rpc.ts"
import { metadataProblem, OK } from "../../wire/Control.ts"
import * as Frame from "../../wire/Frame.ts"
import type { FrameWriter } from "../../wire/FrameWriter.ts"
import { isRpcError, RpcError } from "../../wire/RpcError.ts"
import { Attempts } from "./attempts.ts"
import {
  begin,
  type CompiledMethod,
  type Input,
  open,
  openFor,
  openOn,
  type OpenCall,
  response,
  responseNow,
  responses,
  retire
} from "./openCall.ts"

/** The function that calls a method, as its pattern and the interceptors have it. */
export const compile = (method: CompiledMethod, chain: Chain | undefined): unknown => {
  const requests =
    method.called.pattern === "unary" || method.called.pattern === "server_stream" ? oneRequest : manyRequests
  const run =
    method.called.pattern === "unary" || method.called.pattern === "client_stream"
      ? chain === undefined
        ? single(method)
        : interceptedSingle(method, chain)
      : chain === undefined
        ? streaming(method)
        : interceptedStreaming(method, chain)
  return (sent: unknown, options?: Rpc.CallOptions) =>
    run(options, (messages) => requests(method, sent as never, messages?.request))
}

/** What a call sends, given what becomes of its messages. */
type Sends = (messages: Messages | undefined) => Input

const oneRequest = (method: CompiledMethod, message: unknown, on: Messages["request"]): Input => ({
  first: (frames) =>
    on === undefined
      ? (writeRequest(method, frames, message) ?? Effect.void)
      : Effect.flatMap(on(message), (changed) => writeRequest(method, frames, changed) ?? Effect.void),
  rest: undefined
})

const manyRequests = (
  method: CompiledMethod,
  messages: Stream.Stream<unknown, unknown, unknown>,
  on: Messages["request"]
): Input => ({
  first: () => Effect.void,
  rest: (writes) => {
    // The caller may hand over any number of requests at once; no more of them are encoded than may wait.
    const write = (batch: ReadonlyArray<unknown>, start: number): Effect.Effect<void, unknown> => {
      for (let i = start; i < batch.length; i++) {
        const unwritten = writeRequest(method, writes.frames, batch[i])
        if (unwritten !== undefined) return unwritten
        if (writes.full) {
          return Effect.andThen(
            writes.added,
            Effect.suspend(() => write(batch, i + 1))
          )
        }
      }
      return writes.added
    }
    return Stream.runForEachArray(on === undefined ? messages : mapMessages(messages, on), (batch) =>
      write(batch, 0)
    ).pipe(
      Effect.andThen(
        Effect.suspend(() => {
          writes.frames.trailer(OK)
          writes.close()
          return writes.added
        })
      )
    )
  }
})

/** Appends a request. Answers why it cannot be written. */
const writeRequest = (
  method: CompiledMethod,
  frames: FrameWriter,
  message: unknown
): Effect.Effect<never, RpcError> | undefined => {
  try {
    frames.message(method.request, message)
    return undefined
  } catch (error) {
    if (error instanceof CodecError) return Effect.fail(RpcError.of("INVALID_ARGUMENT", `the request: ${error.detail}`))
    if (error instanceof Frame.FrameError) return Effect.fail(RpcError.of("RESOURCE_EXHAUSTED", error.message))
    throw error
  }
}

const NO_METADATA: ReadonlyMap<string, string> = new Map()
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map()

/**
 * The call as interceptors see it. A call that a handler makes has no more time than the handler's own: who waits for it
 * will not wait longer.
 */
const prepare = (method: CompiledMethod, options: Rpc.CallOptions | undefined): Effect.Effect<Call, RpcError> => {
  const timeout = options?.timeout === undefined ? method.timeout : Duration.fromInputUnsafe(options.timeout)
  const metadata = options?.metadata === undefined ? NO_METADATA : new Map(Object.entries(options.metadata))
  const problem = metadataProblem(metadata)
  if (problem !== undefined)
    return Effect.fail(RpcError.of("RESOURCE_EXHAUSTED", `metadata exceeds limits: ${problem}`))
  const call = (deadline: number | undefined): Call => ({
    ...method.called,
    callId: options?.callId ?? "",
    peer: method.peer,
    metadata,
    attributes: NO_ATTRIBUTES,
    deadline
  })
  return Effect.withFiber((fiber) => {
    const outer = Context.getOrUndefined(fiber.context as Context.Context<CallContext>, CallContext)?.deadline
    if (timeout === undefined || !Duration.isFinite(timeout)) return Effect.succeed(call(outer))
    const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    const own = Math.trunc(now + Duration.toMillis(timeout))
    return Effect.succeed(call(outer === undefined ? own : Math.min(own, outer)))
  })
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

/** Turns a status that carries a declared error into that error. */
const declared = (method: CompiledMethod, cause: Cause.Cause<unknown>): Effect.Effect<never, unknown> => {
  const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
  return isRpcError(error) ? Effect.fail(method.declaredError(error)) : Effect.failCause(cause)
}

// ---------------------------------------------------------------------------------------------------------------------
// One response
// ---------------------------------------------------------------------------------------------------------------------

type Single = (options: Rpc.CallOptions | undefined, sends: Sends) => Effect.Effect<unknown, unknown, unknown>

const single =
  (method: CompiledMethod): Single =>
  (options, sends) =>
    Effect.flatMap(prepare(method, options), (call) =>
      Effect.catchCause(
        attempt(method, call, sends(undefined), ({ response }) => response),
        (cause) => declared(method, cause)
      )
    )

const interceptedSingle =
  (method: CompiledMethod, chain: Chain): Single =>
  (options, sends) =>
    Effect.flatMap(prepare(method, options), (call) => {
      const own = new OwnFailure()
      const answered = chain(
        call,
        (seen, messages) =>
          attempt(method, seen, own.marking(sends(messages)), ({ opened, response }) =>
            Effect.map(
              messages?.response === undefined ? response : Effect.flatMap(response, messages.response),
              (message) => new Answer(message, opened.metadata)
            )
          ) as never
      )
      return Effect.matchCauseEffect(answered, {
        onSuccess: (answer) => Effect.succeed(answer.response),
        onFailure: (cause) => own.or(cause, () => declared(method, cause))
      })
    })

/** A call on its channel, and its one response. */
interface Exchange {
  readonly opened: OpenCall
  readonly response: Effect.Effect<unknown, unknown, unknown>
}

/** One attempt: opens a channel, exchanges messages on it, and gives it back. */
const attempt = <A>(
  method: CompiledMethod,
  call: Call,
  input: Input,
  use: (exchange: Exchange) => Effect.Effect<A, unknown, unknown>
): Effect.Effect<A, unknown, unknown> =>
  within(
    call,
    Effect.callback<A, unknown, unknown>((resume) => {
      const frames = begin(method, call)
      const first = input.first(frames)
      const channel =
        input.rest === undefined && Exit.isExit(first) && Exit.isSuccess(first)
          ? method.openNow?.(frames.size)
          : undefined
      if (channel === undefined) return resume(withChannel(openFor(method, call, input, frames, first), input, use))
      const opened = openOn(
        method,
        call,
        channel,
        Effect.suspend(() => frames.send(channel))
      )
      if (!frames.trySend(channel)) return resume(withChannel(Effect.succeed(opened), input, use))
      return responseNow(opened, channel, (response) => resume(use({ opened, response })))
    })
  )

const withChannel = <A>(
  opening: Effect.Effect<OpenCall, RpcError>,
  input: Input,
  use: (exchange: Exchange) => Effect.Effect<A, unknown, unknown>
): Effect.Effect<A, unknown, unknown> =>
  Effect.uninterruptibleMask((restore) =>
    // Opening can take long, on a connection that is not there yet or has no stream left.
    Effect.flatMap(restore(opening), (opened) =>
      Effect.onExit(restore(use({ opened, response: exchange(opened, input) })), () => retire(opened))
    )
  )

/** Sends everything and waits for the answer, both at once. */
const exchange = (opened: OpenCall, input: Input): Effect.Effect<unknown, unknown, unknown> =>
  input.rest === undefined
    ? Effect.andThen(Effect.forkChild(opened.sending, { startImmediately: true }), response(opened))
    : Effect.raceFirst(response(opened), Effect.andThen(opened.sending, Effect.never))

/**
 * What failed before it was the server's turn: the caller's own stream of requests. Interceptors see CANCELLED, the caller
 * its own error.
 */
class OwnFailure {
  #cause: Cause.Cause<unknown> | undefined

  marking(input: Input): Input {
    const { rest } = input
    if (rest === undefined) return input
    return {
      first: input.first,
      rest: (writes) =>
        Effect.catchCause(rest(writes), (cause) => {
          const error = cause.reasons.find((reason) => reason._tag === "Fail")
          if (error === undefined || isRpcError(error.error) || Cause.hasDies(cause)) return Effect.failCause(cause)
          this.#cause = cause
          return Effect.fail(RpcError.of("CANCELLED", "the caller's requests failed"))
        })
    }
  }

  or(cause: Cause.Cause<unknown>, orElse: () => Effect.Effect<never, unknown>): Effect.Effect<never, unknown> {
    if (this.#cause === undefined || Cause.hasInterruptsOnly(cause)) return orElse()
    return Effect.failCause(this.#cause)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Any number of responses
// ---------------------------------------------------------------------------------------------------------------------

type Streaming = (options: Rpc.CallOptions | undefined, sends: Sends) => Stream.Stream<unknown, unknown, unknown>

type Pull = Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>, unknown>

const streaming =
  (method: CompiledMethod): Streaming =>
  (options, sends) =>
    Stream.unwrap(
      Effect.flatMap(prepare(method, options), (call) =>
        Effect.map(openStream(method, call, sends(undefined)), ({ pull }) => Stream.fromPull(Effect.succeed(pull)))
      )
    ).pipe(Stream.catch((error) => Stream.fromEffect(declared(method, Cause.fail(error))))) as never

const interceptedStreaming =
  (method: CompiledMethod, chain: Chain): Streaming =>
  (options, sends) => {
    const own = new OwnFailure()
    return Stream.unwrap(
      Effect.gen(function* () {
        const call = yield* prepare(method, options)
        const attempts = new Attempts()
        const running = chain(
          call,
          (seen, messages) =>
            Effect.scoped(
              Effect.flatMap(openStream(method, seen, own.marking(sends(messages))), ({ opened, pull }) =>
                attempts.run(changed(pull, messages?.response), () => opened.metadata)
              )
            ) as never
        )
        yield* Effect.forkScoped(
          Effect.onExit(running, (exit) => Effect.sync(() => attempts.end(exit))),
          { startImmediately: true }
        )
        return Stream.fromPull(Effect.succeed(attempts.pull))
      })
    ).pipe(
      Stream.catch((error) => Stream.fromEffect(own.or(Cause.fail(error), () => declared(method, Cause.fail(error)))))
    ) as never
  }

const changed = (pull: Pull, on: Messages["response"]): Pull =>
  on === undefined ? pull : Effect.flatMap(pull, (batch) => Effect.forEach(batch, on) as unknown as Pull)

/** A channel, with responses to be pulled from it for as long as the scope is open. */
const openStream = Effect.fnUntraced(function* (
  method: CompiledMethod,
  call: Call,
  input: Input
): Effect.fn.Return<{ readonly opened: OpenCall; readonly pull: Pull }, RpcError, Scope.Scope> {
  const opened = yield* Effect.acquireRelease(within(call, open(method, call, input)), retire, { interruptible: true })
  const sending = yield* Effect.forkScoped(opened.sending as Effect.Effect<void, unknown>, { startImmediately: true })
  const pull = within(
    call,
    input.rest === undefined ? responses(opened) : Effect.raceFirst(responses(opened), failureOf(sending))
  )
  return { opened, pull }
})

/** Never answers, but fails when the requests of the caller do. */
const failureOf = <E>(sending: Fiber.Fiber<void, E>): Effect.Effect<never, E> =>
  Effect.andThen(Fiber.join(sending), Effect.never)
