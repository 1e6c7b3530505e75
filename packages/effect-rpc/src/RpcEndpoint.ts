/**
 * `effect/rpc` over iroh: any `RpcGroup`, unchanged, served and called on an iroh node, with Effect's own serializations.
 *
 * ```ts
 * // A server of its own. Beside Aster services: AsterServer.layer({ protocols: [protocol] }).
 * const Server = RpcServer.layer(Group).pipe(
 *   Layer.provideMerge(RpcEndpoint.serve()),
 *   Layer.provide([Handlers, RpcEndpoint.layer(), IrohNode.layer()])
 * )
 * // A client of it.
 * const Client = RpcEndpoint.layerClient(address).pipe(Layer.provide(IrohNode.layer()))
 * ```
 *
 * A client has one connection with one stream, on which the messages of a serialization with frames follow each other:
 * newline-delimited JSON or Effect's binary form. Handlers and middleware learn who calls from `Caller`.
 *
 * @since 0.1.0
 */
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import { PeerAttributes } from "@aster-effect/iroh/PeerAttributes"
import * as Router from "@aster-effect/iroh/Router"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { Caller } from "./Caller.ts"
import * as IrohSocket from "./IrohSocket.ts"

/** The ALPN by default. Groups that are served apart on one node need one each. @since 0.1.0 */
export const ALPN = "aster-effect/rpc/1"

/** @since 0.1.0 */
export interface EndpointOptions {
  /** Default `ALPN`. */
  readonly alpn?: string | undefined
  /** Streams of one connection that are served at a time; a client needs one. Default 16. */
  readonly maxStreams?: number | undefined
}

/**
 * Where a group is served: a protocol for a router, which may be that of an `AsterServer`.
 *
 * @since 0.1.0
 */
export class RpcEndpoint extends Context.Service<RpcEndpoint, { readonly protocol: Router.Protocol<Scope.Scope> }>()(
  "@aster-effect/effect-rpc/RpcEndpoint"
) {}

/**
 * The protocol of a server: `RpcServer.layer(group)` takes its calls from here. It has a `RpcSerialization` with frames.
 *
 * @since 0.1.0
 */
export const layer = (
  options: EndpointOptions = {}
): Layer.Layer<RpcEndpoint | RpcServer.Protocol, never, RpcSerialization.RpcSerialization> =>
  Layer.unwrap(
    Effect.sync(() => {
      const alpn = options.alpn ?? ALPN
      const serving = Deferred.makeUnsafe<(socket: Socket.Socket) => Effect.Effect<unknown, unknown>>()
      const server = Layer.succeed(
        SocketServer.SocketServer,
        SocketServer.SocketServer.of({
          // Peers dial by id and protocol; an address of another kind there is not.
          address: NetAddress.unixPathAddress(alpn),
          run: (handler) =>
            Effect.contextWith((context: Context.Context<Effect.Services<ReturnType<typeof handler>>>) =>
              Effect.andThen(
                Deferred.succeed(serving, (socket) =>
                  Effect.updateContext(handler(socket), (within: Context.Context<never>) =>
                    Context.merge(context, within)
                  )
                ),
                Effect.never
              )
            )
        })
      )
      const endpoint = Layer.succeed(RpcEndpoint, {
        protocol: { alpn, handler: Router.bidirectional(handler(serving, options.maxStreams ?? 16)) }
      })
      return Layer.merge(endpoint, RpcServer.layerProtocolSocketServer.pipe(Layer.provide(server)))
    })
  )

/** Every stream of a connection is a socket; each lasts until the peer finishes it, or the router drains. */
const handler =
  (
    serving: Deferred.Deferred<(socket: Socket.Socket) => Effect.Effect<unknown, unknown>>,
    maxStreams: number
  ): Router.Handler<Scope.Scope> =>
  (connection, draining) =>
    Effect.gen(function* () {
      const serve = yield* Deferred.await(serving)
      const attributesOf = yield* PeerAttributes
      const streams = yield* FiberSet.make<unknown, unknown>()
      const slots = Semaphore.makeUnsafe(maxStreams)
      const id = connection.remoteId
      const caller = {
        id,
        get attributes() {
          return attributesOf(id)
        }
      }
      const next = Effect.andThen(slots.take(1), connection.acceptBi).pipe(
        Effect.flatMap((stream) =>
          FiberSet.run(
            streams,
            serve(IrohSocket.make(Effect.succeed(stream))).pipe(
              Effect.provideService(Caller, caller),
              Effect.catchCause((cause) => Effect.logError("serving a stream of calls failed", cause)),
              Effect.ensuring(slots.release(1))
            )
          )
        )
      )
      yield* Effect.raceFirst(lost(Effect.forever(next)), draining)
      yield* Effect.raceFirst(FiberSet.awaitEmpty(streams), connection.closed)
    })

const lost = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>): Effect.Effect<void> =>
  Effect.asVoid(Effect.ignore(effect))

/** A router for this protocol alone, on the node of the context. @since 0.1.0 */
export const serve = (
  options?: Omit<Router.RouterOptions<ReadonlyArray<Router.Protocol>>, "protocols">
): Layer.Layer<never, never, RpcEndpoint | IrohNode> =>
  Layer.effectDiscard(RpcEndpoint.use(({ protocol }) => Router.serve({ ...options, protocols: [protocol] })))

/** @since 0.1.0 */
export interface ClientOptions {
  /** Default `ALPN`. */
  readonly alpn?: string | undefined
  /** For connecting. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The protocol of a client: `RpcClient.make(group)` sends its calls through it. It connects at once and again when the
 * connection is lost; calls that run then fail with `RpcClientError`.
 *
 * @since 0.1.0
 */
export const layerClient = (
  address: NodeAddr,
  options: ClientOptions = {}
): Layer.Layer<RpcClient.Protocol, never, IrohNode | RpcSerialization.RpcSerialization> =>
  RpcClient.layerProtocolSocket().pipe(
    Layer.provide(IrohSocket.layer(address, { ...options, alpn: options.alpn ?? ALPN }))
  )
