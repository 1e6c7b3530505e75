/**
 * The declarative producer: hand it services, and it stands up one iroh node that serves them.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const server = yield* AsterServer
 *   yield* Console.log(`serving at ${server.address}`)
 *   yield* server.serve
 * })
 *
 * program.pipe(Effect.provide(AsterServerLive.pipe(Layer.provide(TaskRunnerLive))), NodeRuntime.runMain)
 * ```
 *
 * The server is a scope. Opening it binds the node, compiles the services and starts to accept; closing it drains and
 * closes the node, also when opening failed half way.
 *
 * @since 0.1.0
 */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as Dispatcher from "@aster-effect/core/Dispatcher"
import type { Interceptor } from "@aster-effect/core/Interceptor"
import { MAX_ADMISSION_PAYLOAD_SIZE } from "@aster-effect/core/Limits"
import * as Service from "@aster-effect/core/Service"
import type { ServiceSummary } from "@aster-effect/core/ServiceSummary"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { BindError } from "@aster-effect/iroh/NodeError"
import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Alpn from "@aster-effect/transport/Alpn"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as RpcConnection from "./RpcConnection.ts"

/**
 * A server was to be started without anything to serve.
 *
 * @since 0.1.0
 */
export class NoServices extends Schema.TaggedError<NoServices>()("NoServices", {}) {
  override get message(): string {
    return "no services to serve: provide the layer of at least one service, as in AsterServerLive.pipe(Layer.provide(MyServiceLive))"
  }
}

/**
 * A service of the `services` option has no handlers in the context.
 *
 * @since 0.1.0
 */
export class ServiceNotProvided extends Schema.TaggedError<ServiceNotProvided>()("ServiceNotProvided", {
  service: Schema.String,
  version: Schema.Int
}) {
  override get message(): string {
    return `service ${this.service} v${this.version} has no handlers: provide the layer that its toLayer makes`
  }
}

/** Why a server does not start. @since 0.1.0 */
export type StartError = NoServices | ServiceNotProvided | Dispatcher.DuplicateService

/** @since 0.1.0 */
export interface Options {
  /** What to serve, in this order. Default: every service whose handlers stand in the context. */
  readonly services?: ReadonlyArray<Service.Any> | undefined
  /** Around every call, the first outermost. Default: deadline enforcement. */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
  /** Serve calls for version 1 by the only version of a service. Default true; see `Dispatcher.Options`. */
  readonly versionFallback?: boolean | undefined
  /** Longest run of a handler, whatever the deadline. Default 300 seconds. */
  readonly handlerTimeout?: Duration.Input | undefined
  /** From the start of a stream to its header, and from there to the request of a single-request call. Default 30 seconds. */
  readonly requestTimeout?: Duration.Input | undefined
  /** How long a peer may take to accept the end of an answer; large ends get a second more per 64 KiB. Default 30 seconds. */
  readonly answerTimeout?: Duration.Input | undefined
  /** For running calls when the server drains or closes. Default 10 seconds. */
  readonly gracePeriod?: Duration.Input | undefined
  /** Connections served at a time. Default 1,024. */
  readonly maxConnections?: number | undefined
}

/** Options of a server that has a node of its own. @since 0.1.0 */
export interface NodeServerOptions extends Options {
  /** The node: secret key, bind address, relays. */
  readonly node?: IrohNodeOptions | undefined
}

/**
 * A running producer. Within its scope everything here exists: a server that has not started cannot be expressed.
 *
 * @since 0.1.0
 */
export class AsterServer extends Context.Service<
  AsterServer,
  {
    /** Where consumers connect: an `aster1` ticket. */
    readonly address: string
    /** The same as the older base64 node address, with the relay. */
    readonly endpointAddrB64: string
    readonly endpointId: EndpointId
    /** `ip:port` and `[ip6]:port`. */
    readonly directAddresses: ReadonlyArray<string>
    /** Public root key, 64 hex digits. Without a configured root it is made for this run and signs nothing. */
    readonly rootPubkey: string
    readonly services: ReadonlyArray<ServiceSummary>
    readonly node: IrohNode["Service"]
    /** Waits until the server is drained or closed. Serving itself begins with the server. */
    readonly serve: Effect.Effect<void>
    /** Takes no new connections and calls, lets running ones finish within the grace period, interrupts the rest. */
    readonly drain: Effect.Effect<void>
    /** Drains and closes the node. Closing the scope does the same. */
    readonly close: Effect.Effect<void>
  }
>()("@aster-effect/server/AsterServer") {
  /** A server with a node of its own. The services' handlers come from the context. */
  static readonly layer = (options: NodeServerOptions = {}): Layer.Layer<AsterServer, StartError | BindError> =>
    Layer.effect(AsterServer, make(options, options.node?.relayMode === "disabled" ? Duration.zero : RELAY_WAIT)).pipe(
      Layer.provide(IrohNode.layer(options.node))
    )

  /** A server on a node that is there already, for example `IrohNode.layerMemory`. Closing the server closes it. */
  static readonly layerOnNode = (options: Options = {}): Layer.Layer<AsterServer, StartError, IrohNode> =>
    Layer.effect(AsterServer, make(options, Duration.zero))
}

/** Starting never takes longer than this because of a relay that cannot be reached. */
const RELAY_WAIT = Duration.millis(1500)

const make = Effect.fnUntraced(function* (
  options: Options,
  relayWait: Duration.Duration
): Effect.fn.Return<AsterServer["Service"], StartError, IrohNode | Scope.Scope> {
  const node = yield* IrohNode
  yield* Effect.addFinalizer(() => node.close)
  const implementations = yield* select(options.services)
  const dispatcher = yield* Dispatcher.make({ ...options, implementations })
  const rootPubkey = SecretKey.toEndpointId(yield* SecretKey.generate)
  const address = yield* settledAddress(node, relayWait)

  const summaries = (at: NodeAddr.NodeAddr): ReadonlyArray<ServiceSummary> =>
    implementations.map(({ service }) => ({
      name: service.name,
      version: service.version,
      contractId: service.contract.contractId,
      channels: { rpc: NodeAddr.toBase64(at) },
      pattern: service.scope,
      // As release 0.1.2 has it, an empty list means XLANG, and JSON is always accepted.
      serializationModes: service.description.serializationModes.includes("xlang") ? [] : ["json"]
    }))
  const services = summaries(address)

  // Nobody has a credential that this run's root has signed, so one that is presented is foreign or stale.
  const decide = (request: ConsumerAdmission.AdmissionRequest | undefined) =>
    request === undefined || request.credential !== ""
      ? Effect.succeed(ConsumerAdmission.denied(rootPubkey))
      : Effect.map(node.address, (now): ConsumerAdmission.AdmissionReply => ({
          ...ConsumerAdmission.denied(rootPubkey),
          admitted: true,
          services: summaries(NodeAddr.union(now, address))
        }))
  yield* warnIfTooLarge(decide({ credential: "", iidToken: "" }))

  const router = yield* Router.serve({
    handlers: {
      [Alpn.RPC]: (connection, draining) => RpcConnection.serve(dispatcher, connection, draining),
      [Alpn.CONSUMER_ADMISSION]: (connection) => ConsumerAdmission.serve(connection, { decide })
    },
    gracePeriod: options.gracePeriod,
    maxConnections: options.maxConnections
  })

  const ended = Deferred.makeUnsafe<void>()
  const drain = Effect.ensuring(router.drain, Deferred.succeed(ended, undefined))
  const close = Effect.ensuring(drain, node.close)
  yield* Effect.addFinalizer(() => Deferred.succeed(ended, undefined))
  yield* Effect.logInfo("serving in open mode: everybody may call every service", {
    endpointId: node.endpointId,
    services: services.map((service) => `${service.name} v${service.version}`)
  })
  return AsterServer.of({
    address: NodeAddr.toTicket(address),
    endpointAddrB64: NodeAddr.toBase64(address),
    endpointId: node.endpointId,
    directAddresses: address.directAddresses,
    rootPubkey,
    services,
    node,
    serve: Deferred.await(ended),
    drain,
    close
  })
})

const select = Effect.fnUntraced(function* (
  wanted: ReadonlyArray<Service.Any> | undefined
): Effect.fn.Return<ReadonlyArray<Service.Implementation>, NoServices | ServiceNotProvided> {
  const provided = Service.implementationsIn(yield* Effect.context<never>())
  const selected = wanted === undefined ? provided : yield* Effect.forEach(wanted, (service) => find(provided, service))
  return selected.length === 0 ? yield* new NoServices() : selected
})

const find = (
  provided: ReadonlyArray<Service.Implementation>,
  { name, version }: Service.Any
): Effect.Effect<Service.Implementation, ServiceNotProvided> => {
  const found = provided.find(({ service }) => service.name === name && service.version === version)
  return found === undefined ? Effect.fail(new ServiceNotProvided({ service: name, version })) : Effect.succeed(found)
}

/** The node's address, after it has had `wait` to find its relay, so that the printed one can be reached from afar. */
const settledAddress = (node: IrohNode["Service"], wait: Duration.Duration): Effect.Effect<NodeAddr.NodeAddr> =>
  Duration.isZero(wait)
    ? node.address
    : node.address.pipe(
        Effect.repeat({ until: (address) => address.relayUrl !== undefined, schedule: Schedule.spaced("50 millis") }),
        Effect.timeoutOrElse({ duration: wait, orElse: () => node.address })
      )

const warnIfTooLarge = Effect.fnUntraced(function* (reply: Effect.Effect<ConsumerAdmission.AdmissionReply>) {
  const size = ConsumerAdmission.encodeReply(yield* reply).length
  if (size <= MAX_ADMISSION_PAYLOAD_SIZE) return
  yield* Effect.logWarning(
    `the list of services takes ${size} bytes; consumers of release 0.1.2 read at most ${MAX_ADMISSION_PAYLOAD_SIZE}`
  )
})

/**
 * A server with default options: every service in the context, a new identity, everybody admitted.
 *
 * @since 0.1.0
 */
export const AsterServerLive: Layer.Layer<AsterServer, StartError | BindError> = AsterServer.layer()
