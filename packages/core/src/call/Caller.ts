/**
 * A call leaving: from a request to the bytes of a stream and back.
 *
 * Clients leave their half of the stream open until the answer is complete: an unfinished half can still be reset, which
 * is how an interrupted call reaches the server's handler at once. End of input is said with a trailer, which servers
 * take like a finished half.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Interceptor from "../interceptor/Interceptor.ts"
import { MAX_HANDLER_TIMEOUT_S } from "../Limits.ts"
import * as MessageCodec from "../message/MessageCodec.ts"
import type { Pattern } from "../message/WireType.ts"
import type * as Rpc from "../service/Rpc.ts"
import type * as Service from "../service/Service.ts"
import type { CallChannel, DirectChannel } from "../wire/CallChannel.ts"
import * as DeclaredError from "../wire/DeclaredError.ts"
import { RpcError } from "../wire/RpcError.ts"
import * as clientCall from "./internal/clientCall.ts"
import { callHeader, type CompiledMethod, streamHeaders } from "./internal/openCall.ts"
import { ClientSession } from "./internal/sessionClient.ts"

/** @since 0.1.0 */
export interface CallerOptions {
  /** Opens a channel for one call, given how many bytes it sends at first. */
  readonly open: (pattern: Pattern, size: number) => Effect.Effect<CallChannel, RpcError>
  /**
   * A channel that is there already, for a call that sends this many bytes and nothing behind them; undefined where there is
   * none. Default: there never is one.
   */
  readonly openNow?: ((pattern: Pattern, size: number) => DirectChannel | undefined) | undefined
  /** Endpoint id of the server, or `local`. */
  readonly peer: string
  /** Default `xlang`. */
  readonly encoding?: MessageCodec.Encoding | undefined
  /** The version the header asks for. */
  readonly version: number
  /** Around every call, the first outermost. Default none. */
  readonly interceptors?: ReadonlyArray<Interceptor.Interceptor> | undefined
}

/** One function per method of a service. @since 0.1.0 */
export type Client<Methods extends Rpc.Any> = { readonly [M in Methods as M["name"]]: Rpc.Caller<M> }

/**
 * The client of a service.
 *
 * @throws Wire.WireTypeError for messages that cannot be encoded
 * @since 0.1.0
 */
export const make = <Methods extends Rpc.Any>(
  service: Service.WithMethods<Methods>,
  options: CallerOptions
): Client<Methods> => clientOf(service, (...method) => makeCall(...method, options))

const clientOf = <Methods extends Rpc.Any>(
  service: Service.WithMethods<Methods>,
  call: (
    service: string,
    method: Rpc.Any,
    request: MessageCodec.MessageCodec<unknown>,
    response: MessageCodec.MessageCodec<unknown>
  ) => unknown
): Client<Methods> => {
  const codecs = MessageCodec.ofMethods(service.methods)
  const calls = service.methods.map((method, i): readonly [string, unknown] => [
    method.name,
    call(service.name, method, codecs[2 * i]!, codecs[2 * i + 1]!)
  ])
  return Object.fromEntries(calls) as Client<Methods>
}

/** Calls of a session take turns, so each has an end: what servers of release 0.1.2 allow a handler. */
const SESSION_CALL_TIMEOUT = Duration.seconds(MAX_HANDLER_TIMEOUT_S)

/**
 * Opens a session of a service: a client whose calls take turns on one stream, and share what the server's handlers keep.
 * A call that is given up is cancelled, and the session goes on. Where the server ends the session, or loses it, later calls
 * fail with UNAVAILABLE. The session ends with the scope.
 *
 * @since 0.1.0
 */
export const session = Effect.fnUntraced(function* <Methods extends Rpc.Any>(
  service: Service.WithMethods<Methods>,
  options: CallerOptions
): Effect.fn.Return<Client<Methods>, RpcError, Scope.Scope> {
  const open = yield* openSession(service.name, options)
  return clientOf(service, (...method) => open(...method))
})

/**
 * Opens a session of a service by name: answers the function that makes its calls.
 *
 * @since 0.1.0
 */
export const openSession = Effect.fnUntraced(function* (
  service: string,
  options: CallerOptions
): Effect.fn.Return<MakeCall, RpcError, Scope.Scope> {
  const encoding = options.encoding ?? "xlang"
  const header = streamHeaders(
    { service, version: options.version, method: "", pattern: "bidi_stream", idempotent: false },
    encoding
  )({ callId: crypto.randomUUID(), metadata: new Map(), deadline: undefined } as never)
  const { client } = yield* Effect.acquireRelease(
    Effect.map(options.open("bidi_stream", header.length), (channel) => ({
      channel,
      client: new ClientSession(channel, encoding)
    })),
    ({ client }) => client.close,
    // Opening can take long, on a connection that is not there yet or has no stream left.
    { interruptible: true }
  )
  yield* Effect.mapError(client.send(header), ({ detail }) => RpcError.of("UNAVAILABLE", detail))
  return (name, method, request, response) =>
    compile(name, method, request, response, options, {
      open: () => client.open(method.pattern),
      header: callHeader(encoding),
      timeout: method.timeout ?? SESSION_CALL_TIMEOUT
    })
})

/** Makes the function that calls a method. @since 0.1.0 */
export interface MakeCall {
  (
    service: string,
    method: Rpc.Any,
    request: MessageCodec.MessageCodec<unknown>,
    response: MessageCodec.MessageCodec<unknown>
  ): unknown
}

/**
 * One method by itself, for clients that know messages only at run time.
 *
 * @since 0.1.0
 */
export const makeCall = (
  service: string,
  method: Rpc.Any,
  request: MessageCodec.MessageCodec<unknown>,
  response: MessageCodec.MessageCodec<unknown>,
  options: CallerOptions
): unknown => compile(service, method, request, response, options, undefined)

/** What is different in a session. */
type InSession = Pick<CompiledMethod, "header" | "open" | "timeout">

const compile = (
  service: string,
  method: Rpc.Any,
  request: MessageCodec.MessageCodec<unknown>,
  response: MessageCodec.MessageCodec<unknown>,
  options: CallerOptions,
  session: InSession | undefined
): unknown => {
  const encoding = options.encoding ?? "xlang"
  const called = {
    service,
    version: options.version,
    method: method.name,
    pattern: method.pattern,
    idempotent: method.idempotent
  }
  return clientCall.compile(
    {
      called,
      request,
      response,
      encoding,
      peer: options.peer,
      declaredError: DeclaredError.decoder(method.error, ...method.interceptors.map(({ error }) => error)),
      ...(session ?? {
        timeout: method.timeout,
        open: (size) => options.open(method.pattern, size),
        openNow: options.openNow && ((size) => options.openNow?.(method.pattern, size)),
        header: streamHeaders(called, encoding)
      })
    },
    Interceptor.compose(options.interceptors ?? [], called)
  )
}
