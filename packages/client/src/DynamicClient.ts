/**
 * A client that knows a service by name only: JSON values in, JSON values out. Method names and keys are the
 * producer's, spelled exactly as it spells them; a method that does not exist answers UNIMPLEMENTED.
 *
 * @since 0.1.0
 */
import * as Caller from "@aster-effect/core/call/Caller"
import * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import * as Rpc from "@aster-effect/core/service/Rpc"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Wire from "@aster-effect/core/message/Wire"
import type { Pattern } from "@aster-effect/core/message/WireType"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** A JSON object with the fields of a message. @since 0.1.0 */
export interface JsonMessage {
  readonly [field: string]: unknown
}

/** @since 0.1.0 */
export interface DynamicClient {
  /**
   * Calls a method in the pattern that it has as its producer has published: what it answers, one value or many. `input` is
   * one request, or a stream of them. Of a producer that publishes nothing methods are called all the same; in a session one
   * answer is expected then.
   */
  readonly call: <E = never, R = never>(
    method: string,
    input?: JsonMessage | Stream.Stream<JsonMessage, E, R>,
    options?: Rpc.CallOptions
  ) => Stream.Stream<unknown, RpcError | E, R>
  readonly unary: (method: string, request?: JsonMessage, options?: Rpc.CallOptions) => Effect.Effect<unknown, RpcError>
  readonly serverStream: (
    method: string,
    request?: JsonMessage,
    options?: Rpc.CallOptions
  ) => Stream.Stream<unknown, RpcError>
  readonly clientStream: <E = never, R = never>(
    method: string,
    requests: Stream.Stream<JsonMessage, E, R>,
    options?: Rpc.CallOptions
  ) => Effect.Effect<unknown, RpcError | E, R>
  readonly bidi: <E = never, R = never>(
    method: string,
    requests: Stream.Stream<JsonMessage, E, R>,
    options?: Rpc.CallOptions
  ) => Stream.Stream<unknown, RpcError | E, R>
}

const messages: { readonly request: typeof Wire.Any; readonly response: typeof Wire.Any } = {
  request: Wire.Any,
  response: Wire.Any
}
const [codec] = MessageCodec.compileAll([Wire.Any])

/** @since 0.1.0 */
export interface DynamicClientOptions extends Caller.CallerOptions {
  /** The pattern of a method; undefined where it is not known. Default: none is known. */
  readonly patternOf?: ((method: string) => Effect.Effect<Pattern | undefined>) | undefined
}

/** @since 0.1.0 */
export const make = (service: string, { patternOf, ...options }: DynamicClientOptions): DynamicClient =>
  from(
    service,
    (...method) => Caller.makeCall(...method, { ...options, encoding: "json" }),
    (method, several) =>
      // The form with most answers does for all of them: one answer is a stream of one.
      Effect.map(patternOf?.(method) ?? unknown, (pattern) => pattern ?? (several ? "bidi_stream" : "server_stream"))
  )

/** A session of a service; it ends with the scope. @since 0.1.0 */
export const session = (
  service: string,
  { patternOf, ...options }: DynamicClientOptions
): Effect.Effect<DynamicClient, RpcError, Scope.Scope> =>
  Effect.map(Caller.openSession(service, { ...options, encoding: "json" }), (makeCall) =>
    from(service, makeCall, (method, several) =>
      // A single answer has no end of its own in a session, so there it cannot be read as a stream of one.
      Effect.map(patternOf?.(method) ?? unknown, (pattern) => pattern ?? (several ? "client_stream" : "unary"))
    )
  )

const unknown: Effect.Effect<Pattern | undefined> = Effect.succeed(undefined)

const from = (
  service: string,
  makeCall: Caller.MakeCall,
  patternOf: (method: string, several: boolean) => Effect.Effect<Pattern>
): DynamicClient => {
  const call = <P extends Rpc.Any>(method: P): Rpc.Caller<P> => makeCall(service, method, codec, codec) as Rpc.Caller<P>
  const client: Omit<DynamicClient, "call"> = {
    unary: (method, request, callOptions) => call(Rpc.unary(method, messages))(request ?? {}, callOptions),
    serverStream: (method, request, callOptions) =>
      call(Rpc.serverStream(method, messages))(request ?? {}, callOptions),
    clientStream: (method, requests, callOptions) => call(Rpc.clientStream(method, messages))(requests, callOptions),
    bidi: (method, requests, callOptions) => call(Rpc.bidi(method, messages))(requests, callOptions)
  }
  return {
    ...client,
    call: <E, R>(
      method: string,
      input: JsonMessage | Stream.Stream<JsonMessage, E, R> = {},
      callOptions?: Rpc.CallOptions
    ): Stream.Stream<unknown, RpcError | E, R> =>
      Stream.unwrap(
        Effect.map(patternOf(method, Stream.isStream(input)), (pattern) => {
          if (!Stream.isStream(input)) {
            if (pattern === "unary") return Stream.fromEffect(client.unary(method, input, callOptions))
            if (pattern === "server_stream") return client.serverStream(method, input, callOptions)
          }
          const requests: Stream.Stream<JsonMessage, E, R> = Stream.isStream(input) ? input : Stream.succeed(input)
          // A method that takes one request says so itself.
          return pattern === "client_stream"
            ? Stream.fromEffect(client.clientStream(method, requests, callOptions))
            : client.bidi(method, requests, callOptions)
        })
      )
  }
}
