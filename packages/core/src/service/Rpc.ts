/**
 * Methods of a service, as values.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Interceptor from "../interceptor/Interceptor.ts"
import type { Checked } from "../message/WireForm.ts"
import type { Documentation, Pattern } from "../message/WireType.ts"
import type { RpcError } from "../wire/RpcError.ts"
import type { Requirement } from "./Requirement.ts"

/**
 * One method: its name as it travels, who sends how much, and the two message types.
 *
 * @since 0.1.0
 */
export interface Rpc<
  out Name extends string,
  out P extends Pattern,
  out Request extends Schema.Constraint,
  out Response extends Schema.Constraint,
  out Failure extends Schema.Constraint,
  out I extends Interceptor.AnyService = never
> {
  readonly name: Name
  readonly pattern: P
  readonly request: Request
  readonly response: Response
  /** Declared domain errors; `Schema.Never` when there are none. They travel as JSON in the status details. */
  readonly error: Failure
  /** Part of the contract, and the deadline our clients set unless a call says otherwise. */
  readonly timeout: Duration.Duration | undefined
  readonly idempotent: boolean
  /** What callers need beside what the service requires. Not part of the contract. */
  readonly requires: Requirement | undefined
  /** Around the calls of this method on a server, the first outermost. Not part of the contract. */
  readonly interceptors: ReadonlyArray<I>
  /** Not part of the contract. */
  readonly documentation: Documentation
}

/** @since 0.1.0 */
export interface Any extends Rpc<
  string,
  Pattern,
  Schema.Constraint,
  Schema.Constraint,
  Schema.Constraint,
  Interceptor.AnyService
> {}

/** @since 0.1.0 */
export interface RpcOptions<
  Request extends Schema.Constraint,
  Response extends Schema.Constraint,
  Failure extends Schema.Constraint,
  I extends Interceptor.AnyService = never
> extends Documentation {
  readonly request: Request
  readonly response: Response
  /** Domain errors a handler may fail with, and a client sees. Any schema that has a JSON form. */
  readonly error?: Failure | undefined
  readonly timeout?: Duration.Input | undefined
  /** Roles that callers need; see the admission package's `Capability`. Default: nothing beside the service's own. */
  readonly requires?: Requirement | undefined
  /** Around the calls of this method, inside those of the service; the first is the outermost. Default none. */
  readonly interceptors?: ReadonlyArray<I> | undefined
}

/** For methods that clients may be allowed to retry. @since 0.1.0 */
export interface Idempotency {
  /** Calling twice does no more than calling once: a client may retry. Default false. */
  readonly idempotent?: boolean | undefined
}

/** Messages without a wire form are refused by the compiler, as far as it can tell. @since 0.1.0 */
export interface CheckedMessages<Request, Response> {
  readonly request: Checked<Request>
  readonly response: Checked<Response>
}

/** Makes methods of one pattern, with options beyond those of all. @since 0.1.0 */
export interface Constructor<P extends Pattern, Options extends Idempotency = {}> {
  <
    const Name extends string,
    Request extends Schema.Constraint,
    Response extends Schema.Constraint,
    Failure extends Schema.Constraint = Schema.Never,
    I extends Interceptor.AnyService = never
  >(
    name: Name,
    options: RpcOptions<Request, Response, Failure, I> & Options & CheckedMessages<Request, Response>
  ): Rpc<Name, P, Request, Response, Failure, I>
}

const constructor =
  <P extends Pattern>(pattern: P): Constructor<P, Idempotency> =>
  (name, { deprecated, description, error, idempotent, interceptors, request, requires, response, timeout }) => ({
    name,
    pattern,
    request,
    response,
    error: error ?? (Schema.Never as never),
    timeout: timeout === undefined ? undefined : Duration.fromInputUnsafe(timeout),
    idempotent: idempotent ?? false,
    requires,
    interceptors: interceptors ?? [],
    documentation: { description, deprecated }
  })

/** One request, one response. @since 0.1.0 */
export const unary: Constructor<"unary", Idempotency> = constructor("unary")

/** One request, any number of responses. @since 0.1.0 */
export const serverStream: Constructor<"server_stream"> = constructor("server_stream")

/** Any number of requests, one response. @since 0.1.0 */
export const clientStream: Constructor<"client_stream", Idempotency> = constructor("client_stream")

/** Any number of requests and of responses, interleaved as both sides like. @since 0.1.0 */
export const bidi: Constructor<"bidi_stream"> = constructor("bidi_stream")

/** A method with the interceptors of its service, which stand around its own. @since 0.1.0 */
export type Within<M, I extends Interceptor.AnyService> =
  M extends Rpc<infer Name, infer P, infer Request, infer Response, infer Failure, infer J>
    ? Rpc<Name, P, Request, Response, Failure, I | J>
    : never

/**
 * The function that implements a method. Requests of a streaming client arrive as they come; the stream fails with
 * INVALID_ARGUMENT, RESOURCE_EXHAUSTED and the like when the peer breaks a rule.
 *
 * @since 0.1.0
 */
export type Handler<M, R> =
  M extends Rpc<string, infer P, infer Request, infer Response, infer Failure, Interceptor.AnyService>
    ? {
        readonly unary: (request: Request["Type"]) => Effect.Effect<Response["Type"], Failure["Type"] | RpcError, R>
        readonly server_stream: (
          request: Request["Type"]
        ) => Stream.Stream<Response["Type"], Failure["Type"] | RpcError, R>
        readonly client_stream: (
          requests: Stream.Stream<Request["Type"], RpcError>
        ) => Effect.Effect<Response["Type"], Failure["Type"] | RpcError, R>
        readonly bidi_stream: (
          requests: Stream.Stream<Request["Type"], RpcError>
        ) => Stream.Stream<Response["Type"], Failure["Type"] | RpcError, R>
      }[P]
    : never

/** What a call may set for itself. @since 0.1.0 */
export interface CallOptions {
  /** Time for the whole call. Default: the timeout the method declares, else none. */
  readonly timeout?: Duration.Input | undefined
  /** Strings for the server's `CallContext`. At most 64 entries and 8 192 bytes. */
  readonly metadata?: { readonly [key: string]: string } | undefined
  /** Trace id; default empty. */
  readonly callId?: string | undefined
}

/**
 * The function that calls a method.
 *
 * @since 0.1.0
 */
export type Caller<M> =
  M extends Rpc<string, infer P, infer Request, infer Response, infer Failure, infer I>
    ? {
        readonly unary: (
          request: Request["Type"],
          options?: CallOptions
        ) => Effect.Effect<Response["Type"], Failure["Type"] | Interceptor.ErrorOf<I> | RpcError>
        readonly server_stream: (
          request: Request["Type"],
          options?: CallOptions
        ) => Stream.Stream<Response["Type"], Failure["Type"] | Interceptor.ErrorOf<I> | RpcError>
        readonly client_stream: <E = never, R = never>(
          requests: Stream.Stream<Request["Type"], E, R>,
          options?: CallOptions
        ) => Effect.Effect<Response["Type"], Failure["Type"] | Interceptor.ErrorOf<I> | RpcError | E, R>
        readonly bidi_stream: <E = never, R = never>(
          requests: Stream.Stream<Request["Type"], E, R>,
          options?: CallOptions
        ) => Stream.Stream<Response["Type"], Failure["Type"] | Interceptor.ErrorOf<I> | RpcError | E, R>
      }[P]
    : never
