/**
 * Methods of a service, as values.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Requirement } from "./Requirement.ts"
import type { RpcError } from "../wire/RpcError.ts"
import type { Pattern } from "../message/WireType.ts"

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
  out Failure extends Schema.Constraint
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
}

/** @since 0.1.0 */
export interface Any extends Rpc<string, Pattern, Schema.Constraint, Schema.Constraint, Schema.Constraint> {}

/** @since 0.1.0 */
export interface Options<
  Request extends Schema.Constraint,
  Response extends Schema.Constraint,
  Failure extends Schema.Constraint
> {
  readonly request: Request
  readonly response: Response
  /** Domain errors a handler may fail with, and a client sees. Any schema that has a JSON form. */
  readonly error?: Failure | undefined
  readonly timeout?: Duration.Input | undefined
  /** Roles that callers need; see the admission package's `Capability`. Default: nothing beside the service's own. */
  readonly requires?: Requirement | undefined
}

/** @since 0.1.0 */
export interface IdempotentOptions<
  Request extends Schema.Constraint,
  Response extends Schema.Constraint,
  Failure extends Schema.Constraint
> extends Options<Request, Response, Failure> {
  /** Calling twice does no more than calling once: a client may retry. Default false. */
  readonly idempotent?: boolean | undefined
}

const make = (
  name: string,
  pattern: Pattern,
  options: IdempotentOptions<Schema.Constraint, Schema.Constraint, Schema.Constraint>
): Any => ({
  name,
  pattern,
  request: options.request,
  response: options.response,
  error: options.error ?? Schema.Never,
  timeout: options.timeout === undefined ? undefined : Duration.fromInputUnsafe(options.timeout),
  idempotent: options.idempotent ?? false,
  requires: options.requires
})

/** One request, one response. @since 0.1.0 */
export const unary: <
  const Name extends string,
  Request extends Schema.Constraint,
  Response extends Schema.Constraint,
  Failure extends Schema.Constraint = Schema.Never
>(
  name: Name,
  options: IdempotentOptions<Request, Response, Failure>
) => Rpc<Name, "unary", Request, Response, Failure> = (name, options) => make(name, "unary", options) as never

/** One request, any number of responses. @since 0.1.0 */
export const serverStream: <
  const Name extends string,
  Request extends Schema.Constraint,
  Response extends Schema.Constraint,
  Failure extends Schema.Constraint = Schema.Never
>(
  name: Name,
  options: Options<Request, Response, Failure>
) => Rpc<Name, "server_stream", Request, Response, Failure> = (name, options) =>
  make(name, "server_stream", options) as never

/** Any number of requests, one response. @since 0.1.0 */
export const clientStream: <
  const Name extends string,
  Request extends Schema.Constraint,
  Response extends Schema.Constraint,
  Failure extends Schema.Constraint = Schema.Never
>(
  name: Name,
  options: IdempotentOptions<Request, Response, Failure>
) => Rpc<Name, "client_stream", Request, Response, Failure> = (name, options) =>
  make(name, "client_stream", options) as never

/** Any number of requests and of responses, interleaved as both sides like. @since 0.1.0 */
export const bidi: <
  const Name extends string,
  Request extends Schema.Constraint,
  Response extends Schema.Constraint,
  Failure extends Schema.Constraint = Schema.Never
>(
  name: Name,
  options: Options<Request, Response, Failure>
) => Rpc<Name, "bidi_stream", Request, Response, Failure> = (name, options) =>
  make(name, "bidi_stream", options) as never

/**
 * The function that implements a method. Requests of a streaming client arrive as they come; the stream fails with
 * INVALID_ARGUMENT, RESOURCE_EXHAUSTED and the like when the peer breaks a rule.
 *
 * @since 0.1.0
 */
export type Handler<M, R> =
  M extends Rpc<string, infer P, infer Request, infer Response, infer Failure>
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
  M extends Rpc<string, infer P, infer Request, infer Response, infer Failure>
    ? {
        readonly unary: (
          request: Request["Type"],
          options?: CallOptions
        ) => Effect.Effect<Response["Type"], Failure["Type"] | RpcError>
        readonly server_stream: (
          request: Request["Type"],
          options?: CallOptions
        ) => Stream.Stream<Response["Type"], Failure["Type"] | RpcError>
        readonly client_stream: <E = never, R = never>(
          requests: Stream.Stream<Request["Type"], E, R>,
          options?: CallOptions
        ) => Effect.Effect<Response["Type"], Failure["Type"] | RpcError | E, R>
        readonly bidi_stream: <E = never, R = never>(
          requests: Stream.Stream<Request["Type"], E, R>,
          options?: CallOptions
        ) => Stream.Stream<Response["Type"], Failure["Type"] | RpcError | E, R>
      }[P]
    : never
