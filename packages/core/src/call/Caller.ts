/**
 * A call leaving: from a request to the bytes of a stream and back.
 *
 * Clients leave their half of the stream open until the answer is complete: an unfinished half can still be reset, which
 * is how an interrupted call reaches the server's handler at once. End of input is said with a trailer, which servers
 * take like a finished half.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Interceptor from "../interceptor/Interceptor.ts"
import * as MessageCodec from "../message/MessageCodec.ts"
import type { Pattern } from "../message/WireType.ts"
import type * as Rpc from "../service/Rpc.ts"
import type * as Service from "../service/Service.ts"
import type { CallChannel } from "../wire/CallChannel.ts"
import * as DeclaredError from "../wire/DeclaredError.ts"
import type { RpcError } from "../wire/RpcError.ts"
import * as clientCall from "./internal/clientCall.ts"
import { headerFrame } from "./internal/openCall.ts"

/** @since 0.1.0 */
export interface Options {
  /** Opens a channel for one call, given how many bytes it sends at first. */
  readonly open: (pattern: Pattern, size: number) => Effect.Effect<CallChannel, RpcError>
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
  options: Options
): Client<Methods> => {
  const codecs = MessageCodec.compileAll(service.methods.flatMap((method) => [method.request, method.response]))
  const calls = service.methods.map((method, i): readonly [string, unknown] => [
    method.name,
    makeCall(service.name, method, codecs[2 * i]!, codecs[2 * i + 1]!, options)
  ])
  return Object.fromEntries(calls) as Client<Methods>
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
  options: Options
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
      timeout: method.timeout,
      request,
      response,
      encoding,
      peer: options.peer,
      open: (size) => options.open(method.pattern, size),
      declaredError: DeclaredError.decoder(method.error, ...method.interceptors.map(({ error }) => error)),
      plainHeader: headerFrame(called, encoding, "", new Map(), 0)
    },
    Interceptor.compose(options.interceptors ?? [], called)
  )
}
