import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type Call, CallContext } from "../../interceptor/CallContext.ts"
import { Answer, type Brief, type Chain, mapMessages, type Messages } from "../../interceptor/Interceptor.ts"
import * as ProvidedContext from "../../interceptor/ProvidedContext.ts"
import type { Pattern } from "../../message/WireType.ts"
import { type ChannelError, isChannelError } from "../../wire/CallChannel.ts"
import { okWith } from "../../wire/Control.ts"
import type { RpcError } from "../../wire/RpcError.ts"
import { answer, answerNow, count, declared, outcome, patience, write } from "./callAnswer.ts"
import { type CallInFlight, fail } from "./callInFlight.ts"
import { pump, singleRequest, watch } from "./callRequests.ts"
import { RequestBuffer } from "./requestBuffer.ts"
import { WriteBuffer } from "./writeBuffer.ts"

/** How calls of a method are served. */
export interface Serving {
  /** Serves one call. */
  readonly serve: (call: CallInFlight) => Effect.Effect<void>
  /**
   * Serves one call as far as that can be done at once, and answers what is left: nothing when its request was there and its
   * handler did not wait. Undefined for methods whose calls always take the other way.
   */
  readonly serveNow:
    | ((call: CallInFlight, context: Context.Context<never>) => Effect.Effect<void> | undefined)
    | undefined
}

/** What the exchange of a call depends on, apart from the call itself. */
interface Surroundings {
  /** The call as its interceptors left it. */
  readonly seen: Call
  readonly messages: Messages | undefined
  /** What interceptors provide. */
  readonly provided: Context.Context<never> | undefined
}

/** Takes what the caller sends, runs the handler, and hands what it makes to `respond`. */
type Exchange = (call: CallInFlight, around: Surroundings, respond: Respond) => Effect.Effect<unknown, unknown>

/** What becomes of what a handler answers: an Effect or a Stream. */
type Respond = (out: unknown, messages: Messages | undefined) => Effect.Effect<unknown, unknown>

/** What serves the calls of a method, as its pattern and its interceptors have it. */
export const compile = (pattern: Pattern, chain: Chain | undefined): Serving => {
  const running = (exchange: Exchange) => (chain === undefined ? direct(exchange) : intercepted(chain, exchange))
  const run = running(pattern === "unary" || pattern === "server_stream" ? withOneRequest : withManyRequests)
  const serve = pattern === "unary" || pattern === "client_stream" ? single(run) : streaming(run)
  const briefly = pattern === "unary" && (chain === undefined || chain.brief !== undefined)
  return { serve, serveNow: briefly ? guarded(atOnce(chain?.brief, serve, running)) : undefined }
}

/** What throws, such as an interceptor, ends the call as a defect does. */
const guarded =
  (serveNow: NonNullable<Serving["serveNow"]>): NonNullable<Serving["serveNow"]> =>
  (call, context) => {
    try {
      return serveNow(call, context)
    } catch (defect) {
      return single(() => Effect.die(defect))(call)
    }
  }

type Run = (call: CallInFlight, respond: Respond) => Effect.Effect<unknown, unknown>

const direct =
  (exchange: Exchange): Run =>
  (call, respond) =>
    exchange(call, { seen: call.call, messages: undefined, provided: undefined }, respond)

/** Interceptors see failures as the status of the call, and the caller's giving up as one of them. */
const intercepted =
  (chain: Chain, exchange: Exchange): Run =>
  (call, respond) =>
    Effect.withFiber((fiber) => {
      const before = fiber.context
      let begun = false
      const ended = chain(call.call, (seen, messages) =>
        Effect.withFiber((inner) => {
          if (begun) return Effect.die(new Error("an interceptor of a server may go on with a call once"))
          begun = true
          const around = { seen, messages, provided: ProvidedContext.difference(before, inner.context) }
          return Effect.matchCauseEffect(exchange(call, around, respond), {
            onSuccess: (response) => Effect.succeed(new Answer(response)),
            onFailure: (cause) => statusFor(call, cause)
          })
        })
      )
      return Effect.map(ended, ({ metadata, response }) => {
        call.metadata = metadata
        return response
      })
    })

const statusFor = (call: CallInFlight, cause: Cause.Cause<unknown>): Effect.Effect<never, RpcError> => {
  if (isGone(cause)) {
    call.gone = true
    return fail("CANCELLED", "the caller gave up or is lost")
  }
  const error = declared(call, cause)
  if (error !== undefined) return Effect.fail(error)
  const undeclared = cause.reasons.find((reason) => reason._tag === "Fail")
  return undeclared === undefined ? Effect.failCause(cause as Cause.Cause<never>) : Effect.die(undeclared.error)
}

/** One response: it leaves in one write together with the trailer. */
const single = (run: Run): Serving["serve"] =>
  Effect.fnUntraced(function* (call: CallInFlight) {
    const exit = yield* Effect.exit(run(call, respondOnce))
    if (call.gone || (Exit.isFailure(exit) && isGone(exit.cause))) return yield* call.channel.abort
    const unwritten = Exit.isSuccess(exit) ? write(call, exit.value) : undefined
    const ended = unwritten === undefined ? exit : yield* Effect.exit(unwritten)
    const status = Exit.isSuccess(ended) ? okWith(call.metadata) : yield* outcome(call, ended.cause)
    yield* answer(call.limits, call.channel, call.frames, status, call.inSession && status.code === 0)
  })

const respondOnce: Respond = (out, messages) => {
  const responding = out as Effect.Effect<unknown, unknown>
  return messages?.response === undefined ? responding : Effect.flatMap(responding, messages.response)
}

/** Any number of responses: they leave as the handler makes them, as many per write as there are. */
const streaming = (run: Run): Serving["serve"] =>
  Effect.fnUntraced(function* (call: CallInFlight) {
    const writes = new WriteBuffer(call.channel, call.frames)
    const writer = yield* Effect.forkChild(writes.run, { startImmediately: true })
    // A handler may hand over any number of responses at once; no more of them are encoded than may wait.
    const send = (responses: ReadonlyArray<unknown>, start = 0): Effect.Effect<void, RpcError | ChannelError> =>
      Effect.suspend(() => {
        for (let i = start; i < responses.length; i++) {
          const unwritten = write(call, responses[i])
          if (unwritten !== undefined) return unwritten
          if (writes.full) return Effect.andThen(writes.added, send(responses, i + 1))
        }
        return writes.added
      })
    const respond: Respond = (out, messages) => {
      const responses = out as Stream.Stream<unknown, unknown>
      return Stream.runForEachArray(
        messages?.response === undefined ? responses : mapMessages(responses, messages.response),
        (batch) => send(batch)
      )
    }
    const exit = yield* Effect.exit(run(call, respond))
    if (call.gone || (Exit.isFailure(exit) && isGone(exit.cause))) {
      yield* Fiber.interrupt(writer)
      return yield* call.channel.abort
    }
    const status = Exit.isSuccess(exit) ? okWith(call.metadata) : yield* outcome(call, exit.cause)
    call.frames.trailer(status)
    writes.close()
    yield* count(status)
    const sent = yield* Effect.exit(Effect.timeout(Fiber.join(writer), patience(call.limits, writes.pending)))
    yield* Exit.isSuccess(sent) ? call.channel.release : call.channel.abort
  })

const withOneRequest: Exchange = (call, around, respond) => {
  const { messages } = around
  const request = call.request ?? singleRequest(call)
  return Effect.flatMap(
    messages?.request === undefined ? request : Effect.flatMap(request, messages.request),
    (message) =>
      handle(
        call,
        around,
        watch(call),
        Effect.suspend(() => respond(call.method.handler(message as never), messages))
      )
  )
}

const withManyRequests: Exchange = (call, around, respond) =>
  Effect.suspend(() => {
    const { messages } = around
    const requests = new RequestBuffer((weight) => call.release(weight))
    const stream = messages?.request === undefined ? requests.stream : mapMessages(requests.stream, messages.request)
    return handle(
      call,
      around,
      pump(call, requests),
      Effect.suspend(() => respond(call.method.handler(stream as never), messages))
    )
  })

/**
 * Runs a handler within its time limit, next to what watches the peer. One that is done before it first waits, as most
 * are, costs neither a timer nor a watch.
 */
const handle = <A>(
  call: CallInFlight,
  { provided, seen }: Surroundings,
  peer: Effect.Effect<never, RpcError | ChannelError>,
  handler: Effect.Effect<A, unknown>
): Effect.Effect<A, unknown> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const limit = limitOf(call, seen, now)
    if (limit <= 0) return fail("DEADLINE_EXCEEDED", "deadline exceeded")
    return Effect.withFiber((parent): Effect.Effect<A, unknown> => {
      const inherited = call.method.within(parent.context)
      const context = provided === undefined ? inherited : Context.merge(inherited, provided)
      const fiber = start(context, seen, handler)
      return fiber.pollUnsafe() ?? running(call, seen, fiber, limit, peer)
    })
  })

/** Milliseconds that the handler has. */
const limitOf = ({ limits: { handlerTimeout } }: CallInFlight, { deadline }: Call, now: number): number =>
  deadline === undefined ? handlerTimeout : Math.min(handlerTimeout, deadline - now)

/** Runs a handler, in a fiber that does not end with who waits for it: it may not end when it is interrupted. */
const start = <A>(context: Context.Context<never>, seen: Call, handler: Effect.Effect<A, unknown>) =>
  Effect.runForkWith(Context.add(context, CallContext, seen))(Effect.scoped(handler))

/** Waits for a handler that runs, for so many milliseconds and next to what watches the peer. */
const running = <A>(
  call: CallInFlight,
  seen: Call,
  fiber: Fiber.Fiber<A, unknown>,
  limit: number,
  peer: Effect.Effect<never, RpcError | ChannelError>
): Effect.Effect<A, unknown> => {
  const { handlers, handlerTimeout } = call.limits
  const late = () =>
    fail(
      "DEADLINE_EXCEEDED",
      limit < handlerTimeout ? "deadline exceeded" : `the handler ran for more than ${handlerTimeout / 1000} s`
    )
  call.handler = fiber
  return Effect.onExit(
    Effect.timeoutOrElse(Effect.raceFirst(Fiber.join(fiber), peer), { duration: limit, orElse: late }),
    () =>
      Effect.map(handlers.interrupt(seen, fiber), (ended) => {
        if (ended) call.handler = undefined
      })
  )
}

/**
 * A call whose request is there and whose handler does not wait, as most are: without effects but those of the handler. Its
 * interceptors are content with being told.
 */
const atOnce =
  (
    brief: Brief | undefined,
    serve: Serving["serve"],
    runningWith: (exchange: Exchange) => Run
  ): NonNullable<Serving["serveNow"]> =>
  (call, context) => {
    const seen = call.call
    if (brief?.passes(seen, context) === false) return serve(call)
    const request = (call.request = singleRequest(call))
    if (!Exit.isExit(request) || !Exit.isSuccess(request)) return serve(call)
    const clock = Context.get(context, Clock.Clock)
    const limit = limitOf(call, seen, seen.deadline === undefined ? 0 : clock.currentTimeMillisUnsafe())
    if (limit <= 0) return serve(call)
    const begun = brief?.ended === undefined ? 0n : clock.monotonicTimeNanosUnsafe()
    const message = request.value
    const fiber = start(
      call.method.within(context),
      seen,
      Effect.suspend(() => call.method.handler(message as never) as Effect.Effect<unknown, unknown>)
    )
    const exit = fiber.pollUnsafe()
    if (exit === undefined) return single(runningWith(() => running(call, seen, fiber, limit, watch(call))))(call)
    const unwritten = Exit.isSuccess(exit) ? write(call, exit.value) : exit
    if (unwritten !== undefined) return single(runningWith(() => unwritten))(call)
    brief?.ended?.(seen, "OK", Number(clock.monotonicTimeNanosUnsafe() - begun) / 1e9, context)
    return answerNow(call, context)
  }

/** The peer gave up or is lost. */
const isGone = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason._tag === "Fail" && isChannelError(reason.error))
