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
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"

/** A JSON object with the fields of a message. @since 0.1.0 */
export interface JsonMessage {
  readonly [field: string]: unknown
}

/** @since 0.1.0 */
export interface DynamicClient {
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
export const make = (service: string, options: Caller.CallerOptions): DynamicClient =>
  from(service, (...method) => Caller.makeCall(...method, { ...options, encoding: "json" }))

/** A session of a service; it ends with the scope. @since 0.1.0 */
export const session = (
  service: string,
  options: Caller.CallerOptions
): Effect.Effect<DynamicClient, RpcError, Scope.Scope> =>
  Effect.map(Caller.openSession(service, { ...options, encoding: "json" }), (makeCall) => from(service, makeCall))

const from = (service: string, makeCall: Caller.MakeCall): DynamicClient => {
  const call = <P extends Rpc.Any>(method: P): Rpc.Caller<P> => makeCall(service, method, codec, codec) as Rpc.Caller<P>
  return {
    unary: (method, request, callOptions) => call(Rpc.unary(method, messages))(request ?? {}, callOptions),
    serverStream: (method, request, callOptions) =>
      call(Rpc.serverStream(method, messages))(request ?? {}, callOptions),
    clientStream: (method, requests, callOptions) => call(Rpc.clientStream(method, messages))(requests, callOptions),
    bidi: (method, requests, callOptions) => call(Rpc.bidi(method, messages))(requests, callOptions)
  }
}
