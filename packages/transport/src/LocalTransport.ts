/**
 * Calls within the process: the dispatcher that serves a network serves these too, over channels in memory.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Caller from "@aster-effect/core/call/Caller"
import { type CallChannel, ChannelError } from "@aster-effect/core/wire/CallChannel"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import type * as MessageCodec from "@aster-effect/core/message/MessageCodec"
import type * as Rpc from "@aster-effect/core/service/Rpc"
import type * as Service from "@aster-effect/core/service/Service"

/** @since 0.1.0 */
export interface LocalTransportOptions {
  readonly encoding?: MessageCodec.Encoding | undefined
  readonly interceptors?: Caller.CallerOptions["interceptors"]
  /** Who the handlers see. Default: `Dispatcher.LOCAL`. */
  readonly peer?: Dispatcher.CallPeer | undefined
}

/**
 * Clients of services that a dispatcher serves in this process. Calls that run when the scope closes are interrupted.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  dispatcher: Dispatcher.Dispatcher,
  options?: LocalTransportOptions
): Effect.fn.Return<
  <Methods extends Rpc.Any>(service: Service.WithMethods<Methods>) => Caller.Client<Methods>,
  never,
  Scope.Scope
> {
  const calls = yield* FiberSet.make<void>()
  const peer = options?.peer ?? Dispatcher.LOCAL
  const open = Effect.gen(function* () {
    const [client, server] = pair()
    yield* FiberSet.run(calls, dispatcher.handle(server, peer))
    return client
  })
  return (service) =>
    Caller.make(service, {
      open: () => open,
      peer: peer.id,
      version: service.version,
      encoding: options?.encoding,
      interceptors: options?.interceptors
    })
})

/**
 * The client of a service whose handlers stand in the context, as a test of handlers wants it. Requests, answers and
 * errors go through the codecs, and interceptors and time limits are those of a server.
 *
 * @since 0.1.0
 */
export const client = Effect.fnUntraced(function* <
  Name extends string,
  Methods extends Rpc.Any,
  Version extends number
>(
  service: Service.Service<Name, Methods, Version>,
  options?: LocalTransportOptions
): Effect.fn.Return<Caller.Client<Methods>, never, Service.Handlers<Name, Version> | Scope.Scope> {
  const implementation = yield* Effect.service(service.key)
  const dispatcher = yield* Effect.orDie(Dispatcher.make({ implementations: [implementation] }))
  return (yield* make(dispatcher, options))(service)
})

/**
 * The two ends of a channel in memory.
 *
 * @since 0.1.0
 */
export const pair = (): readonly [CallChannel, CallChannel] => {
  const there = pipe()
  const back = pipe()
  return [end(back, there), end(there, back)]
}

type Pipe = Queue.Queue<Uint8Array, ChannelError | Cause.Done>

/** Chunks that may wait for the reader. */
const CAPACITY = 64

const pipe = (): Pipe => Effect.runSync(Queue.bounded<Uint8Array, ChannelError | Cause.Done>(CAPACITY))

const end = (incoming: Pipe, outgoing: Pipe): CallChannel => {
  const gone = new ChannelError({ reason: "Reset", detail: "the other side gave up the call" })
  return {
    receive: Effect.catchIf(Queue.take(incoming), Cause.isDone, () => Effect.succeed(undefined)),
    send: (bytes) =>
      Effect.flatMap(Queue.offer(outgoing, new Uint8Array(bytes)), (taken) =>
        taken ? Effect.void : Effect.fail(gone)
      ),
    finish: Effect.asVoid(Queue.end(outgoing)),
    abort: Effect.andThen(Queue.fail(outgoing, gone), Queue.shutdown(incoming)),
    release: Effect.andThen(Queue.end(outgoing), Queue.shutdown(incoming))
  }
}
