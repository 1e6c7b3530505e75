/**
 * Functions around calls, on either side.
 *
 * An interceptor surrounds a whole call of any pattern: what `next` answers or fails with is how the call ended, also
 * when a stream broke after many messages, ended early or was given up. It may refuse a call, change the metadata and the
 * deadline it goes on with, add a time limit, retry, measure, and look at or replace every message on its way.
 *
 * ```ts
 * const timed: Interceptor.Interceptor = (call, next) =>
 *   Effect.flatMap(Effect.timed(next(call)), ([took, answer]) =>
 *     Effect.as(Effect.logInfo(`${call.service}.${call.method} took ${took}`), answer)
 *   )
 * ```
 *
 * The same type serves both sides. A list in the options of a server or a client holds interceptors for all calls;
 * `Service` declares one that belongs to services or methods, may provide what their handlers ask for, and may fail with
 * an error of its own that callers see typed.
 *
 * On a server it runs before any request is read, so refusing costs nothing. Order: the server's (or client's) list, then
 * the service's, then the method's, the first of each outermost.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import * as DeclaredError from "../wire/DeclaredError.ts"
import { isRpcError, type RpcError } from "../wire/RpcError.ts"
import { nameOf } from "../wire/Status.ts"
import type { Call, CalledMethod } from "./CallContext.ts"
import * as ProvidedContext from "./ProvidedContext.ts"

/**
 * How a call ended when it ended well.
 *
 * @since 0.1.0
 */
export class Answer {
  /** The response of a unary or client-streaming method; undefined where responses are a stream. */
  readonly response: unknown
  /**
   * Response metadata: what interceptors of the server attached. It travels in the details of the status, so a failed call
   * has it in the details of its `RpcError` (`error.with`). Servers of release 0.1.2 send none.
   */
  readonly metadata: ReadonlyMap<string, string>

  constructor(response: unknown, metadata: ReadonlyMap<string, string> = NO_METADATA) {
    this.response = response
    this.metadata = metadata
  }

  /** The same answer with more response metadata: at most 32 entries travel. */
  with(metadata: { readonly [key: string]: string }): Answer {
    return new Answer(this.response, new Map([...this.metadata, ...Object.entries(metadata)]))
  }
}

const NO_METADATA: ReadonlyMap<string, string> = new Map()

/**
 * What happens to the messages of a call on their way: each function answers the message that goes on, or fails the call.
 * Requests pass the outermost interceptor first, responses the innermost.
 *
 * @since 0.1.0
 */
export interface Messages {
  /** Decoded, as the handler of the method takes them. */
  readonly request?: ((message: unknown) => Effect.Effect<unknown, RpcError>) | undefined
  /** As the handler of the method makes them. */
  readonly response?: ((message: unknown) => Effect.Effect<unknown, RpcError>) | undefined
}

/**
 * Goes on with a call. The effect lasts as long as the call does; a client may run it again for another attempt, a server
 * once. Its failures are the status of the call, also for errors that the method declares. The caller giving up is an
 * interruption at the client and, where it is noticed first by its reset, CANCELLED at the server.
 *
 * @since 0.1.0
 */
export interface Next<out Provides = never> {
  (call: Call, messages?: Messages): Effect.Effect<Answer, RpcError, Provides>
}

/**
 * A function around a call.
 *
 * - `Provides`: what `next` needs and the interceptor gives, for handlers and inner interceptors;
 * - `E`: errors beside statuses;
 * - `Requires`: what it takes from the interceptors outside it.
 *
 * @since 0.1.0
 */
export interface Interceptor<in Provides = never, out E = never, out Requires = never> {
  (call: Call, next: Next<Provides>): Effect.Effect<Answer, RpcError | E, Requires>
  /** Asked once per method, when it is compiled; calls of the others do not pass here. Default: all methods. */
  readonly appliesTo?: ((method: CalledMethod) => boolean) | undefined
  /** What it does at a server with calls that are answered before their handler first waits. Default: it surrounds them. */
  readonly brief?: Brief | undefined
}

/**
 * What stands for an interceptor where a call is answered at once, so that most calls cost no fiber and no effects around
 * them. For those that let a call go on as it is, or only look at it.
 *
 * @since 0.1.0
 */
export interface Brief {
  /** Whether the interceptor goes on with this call unchanged; otherwise it surrounds the call as any other does. */
  readonly passes: (call: Call, context: Context.Context<never>) => boolean
  /** Told how a call ended that was let pass, by the name of its status and in seconds. */
  readonly ended?: ((call: Call, status: string, seconds: number, context: Context.Context<never>) => void) | undefined
}

/**
 * An interceptor for some methods only; calls of the others pay nothing for it.
 *
 * @since 0.1.0
 */
export const when = <I extends Interceptor<never, unknown, unknown>>(
  appliesTo: (method: CalledMethod) => boolean,
  interceptor: I
): I => {
  const before = interceptor.appliesTo
  const surround: Interceptor<never, unknown, unknown> = (call, next) => interceptor(call, next)
  return Object.assign(surround, {
    brief: interceptor.brief,
    appliesTo: before === undefined ? appliesTo : (method: CalledMethod) => before(method) && appliesTo(method)
  }) as unknown as I
}

/**
 * The status that a call ended with, for logs and metrics: `OK`, the name of the error's status, CANCELLED for a call that
 * was given up, INTERNAL for a defect.
 *
 * @since 0.1.0
 */
export const statusOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "OK"
  if (Cause.hasDies(exit.cause)) return "INTERNAL"
  const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  if (isRpcError(error)) return nameOf(error.code)
  if (error !== undefined) return "FAILED_PRECONDITION"
  return "CANCELLED"
}

// ---------------------------------------------------------------------------------------------------------------------
// Interceptors that belong to services and methods
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An interceptor by name: services and methods list it, callers learn the error it may fail with, and a layer implements
 * it on the server.
 *
 * @since 0.1.0
 */
export interface ServiceClass<
  in out Self,
  in out Id extends string,
  Provides,
  E extends Schema.Constraint,
  Requires
> extends Context.Service<Self, Interceptor<Provides, never, Requires>> {
  new (_: never): Context.ServiceClass.Shape<Id, Interceptor<Provides, never, Requires>>
  readonly key: Id
  readonly error: E
  readonly "~Provides": Provides
  readonly "~Requires": Requires
  /**
   * The implementation as a layer; `build` may be an Effect that acquires what calls share. What the function needs and
   * `requires` does not name is taken from the layer's context.
   */
  readonly toLayer: <R = never, EX = never, RX = never>(
    build: Interceptor<Provides, E["Type"], R> | Effect.Effect<Interceptor<Provides, E["Type"], R>, EX, RX>
  ) => Layer.Layer<Self, EX, Exclude<R, Requires> | Exclude<RX, Scope.Scope>>
}

/** Any interceptor that services and methods may list. @since 0.1.0 */
export interface AnyService extends Context.Key<any, any> {
  readonly error: Schema.Constraint
  readonly "~Provides": any
  readonly "~Requires": any
}

/** What an interceptor gives to handlers. @since 0.1.0 */
export type ProvidesOf<I extends AnyService> = I extends AnyService ? I["~Provides"] : never

/** What an interceptor takes from those outside it. @since 0.1.0 */
export type RequiresOf<I extends AnyService> = I extends AnyService ? I["~Requires"] : never

/** Errors that an interceptor adds. @since 0.1.0 */
export type ErrorOf<I extends AnyService> = I extends AnyService ? I["error"]["Type"] : never

/**
 * Declares an interceptor for services and methods. No part of the contract.
 *
 * ```ts
 * class Auth extends Interceptor.Service<Auth, { provides: Principal }>()("app/Auth", { error: Unauthorized }) {}
 * const Orders = Service.make("Orders", { interceptors: [Auth] })
 * const AuthLive = Auth.toLayer((call, next) =>
 *   Effect.provideService(next(call), Principal, { name: call.peer })
 * )
 * ```
 *
 * @since 0.1.0
 */
export const Service =
  <Self, Config extends { readonly provides?: unknown; readonly requires?: unknown } = {}>() =>
  <const Id extends string, E extends Schema.Constraint = Schema.Never>(
    id: Id,
    options?: {
      /** Errors beside statuses. Any schema with a JSON form. Default none. */
      readonly error?: E | undefined
    }
  ): ServiceClass<
    Self,
    Id,
    "provides" extends keyof Config ? Config["provides"] : never,
    E,
    "requires" extends keyof Config ? Config["requires"] : never
  > => {
    const key = Context.Service<Self, Interceptor<never, never, never>>()(id)
    const encode = DeclaredError.encoder(options?.error ?? Schema.Never)
    const toLayer = (build: Interceptor<any, any, any> | Effect.Effect<Interceptor<any, any, any>, any, any>) =>
      Layer.effect(
        key,
        Effect.gen(function* () {
          const interceptor = Effect.isEffect(build) ? yield* build : build
          return implementation(interceptor, yield* Effect.context<never>(), encode) as never
        })
      )
    return Object.assign(key, { error: options?.error ?? Schema.Never, toLayer }) as never
  }

/** Runs with what the layer had, without handing it on, and turns declared errors into statuses. */
const implementation = (
  interceptor: Interceptor<any, any, any>,
  services: Context.Context<never>,
  encode: (error: unknown) => RpcError | undefined
): Interceptor<any, never, any> => {
  const surround: Interceptor<any, never, any> = (call, next) =>
    Effect.withFiber((fiber) => {
      const before = fiber.context
      const within = Context.merge(services, before)
      const inner: Next<any> = (seen, messages) =>
        Effect.updateContext(
          next(seen, messages),
          (context): Context.Context<any> =>
            ProvidedContext.onto(before, within, context as Context.Context<never>) as never
        )
      return Effect.catch(Effect.provideContext(interceptor(call, inner), within), (error) =>
        isRpcError(error)
          ? Effect.fail(error)
          : Effect.suspend(() => {
              const status = encode(error)
              return status === undefined ? Effect.die(error) : Effect.fail(status)
            })
      )
    })
  return interceptor.appliesTo === undefined ? surround : when(interceptor.appliesTo, surround)
}

// ---------------------------------------------------------------------------------------------------------------------
// Composition
// ---------------------------------------------------------------------------------------------------------------------

/** All interceptors of one method around what answers it. @since 0.1.0 */
export interface Chain {
  (call: Call, last: Next): Effect.Effect<Answer, RpcError>
  /** What stands for all of them where a call is answered at once; undefined unless each has it. */
  readonly brief: Brief | undefined
}

/**
 * The interceptors of a list that apply to a method as one, the first outermost; undefined when there are none, so that
 * nothing is paid for them.
 *
 * @since 0.1.0
 */
export const compose = (
  interceptors: ReadonlyArray<Interceptor<never, never, never>>,
  method: CalledMethod
): Chain | undefined => {
  const applying = interceptors.filter(({ appliesTo }) => appliesTo?.(method) ?? true)
  if (applying.length === 0) return undefined
  const step = applying.reduceRight<Step>(
    (inner, interceptor) => (call, messages, last) =>
      interceptor(call, (seen, own) => inner(seen, both(messages, own), last)),
    (call, messages, last) => last(call, messages)
  )
  const chain = (call: Call, last: Next) => step(call, undefined, last)
  return Object.assign(chain, { brief: briefOf(applying) })
}

const briefOf = (interceptors: ReadonlyArray<Interceptor<never, never, never>>): Brief | undefined => {
  const briefs = interceptors.flatMap(({ brief }) => brief ?? [])
  if (briefs.length < interceptors.length) return undefined
  const told = briefs.flatMap(({ ended }) => ended ?? [])
  return {
    passes: (call, context) => briefs.every(({ passes }) => passes(call, context)),
    ended:
      told.length === 0
        ? undefined
        : (call, status, seconds, context) => {
            for (const ended of told) ended(call, status, seconds, context)
          }
  }
}

interface Step {
  (call: Call, messages: Messages | undefined, last: Next): Effect.Effect<Answer, RpcError>
}

/**
 * A stream of messages with what an interceptor makes of each; messages that came together stay together.
 *
 * @since 0.1.0
 */
export const mapMessages = <E, R>(
  messages: Stream.Stream<unknown, E, R>,
  on: (message: unknown) => Effect.Effect<unknown, RpcError>
): Stream.Stream<unknown, E | RpcError, R> =>
  Stream.mapArrayEffect(messages, (batch) => Effect.map(Effect.forEach(batch, on), (made) => made as typeof batch))

const both = (outer: Messages | undefined, inner: Messages | undefined): Messages | undefined => {
  if (outer === undefined || inner === undefined) return outer ?? inner
  return { request: after(outer.request, inner.request), response: after(inner.response, outer.response) }
}

const after = (first: Messages["request"], second: Messages["request"]): Messages["request"] =>
  first === undefined || second === undefined ? (first ?? second) : (message) => Effect.flatMap(first(message), second)
