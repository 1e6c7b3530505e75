/**
 * The consumer: dials a producer, learns its services, and calls them.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const aster = yield* AsterClient
 *   const tasks = yield* aster.client(TaskRunner)
 *   return yield* tasks.run_task(new TaskRequest({ task_id: "t-1", payload: "" }))
 * })
 *
 * program.pipe(Effect.provide(AsterClient.layer({ address: "aster1..." })))
 * ```
 *
 * @since 0.1.0
 */
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as Caller from "@aster-effect/core/Caller"
import type { Interceptor } from "@aster-effect/core/Interceptor"
import type { Encoding } from "@aster-effect/core/MessageCodec"
import type * as Rpc from "@aster-effect/core/Rpc"
import type * as Service from "@aster-effect/core/Service"
import type { ServiceSummary } from "@aster-effect/core/ServiceSummary"
import type { StreamError } from "@aster-effect/iroh/BiStream"
import type { ConnectionLost } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { BindError, ConnectError } from "@aster-effect/iroh/NodeError"
import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"
import { TicketError } from "@aster-effect/iroh/Ticket"
import * as Alpn from "@aster-effect/transport/Alpn"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as DynamicClient from "./DynamicClient.ts"
import * as RpcDialer from "./RpcDialer.ts"

/**
 * The producer does not let this consumer in.
 *
 * @since 0.1.0
 */
export class AdmissionDenied extends Schema.TaggedError<AdmissionDenied>()("AdmissionDenied", {
  /** The producer. */
  endpointId: Schema.String,
  /** This consumer. */
  ownEndpointId: Schema.String
}) {
  override get message(): string {
    return (
      `producer ${this.endpointId} did not admit this consumer (${this.ownEndpointId}), which showed no credential: ` +
      "the producer admits enrolled consumers only; ask its operator for a credential for this endpoint id"
    )
  }
}

/**
 * The producer does not offer this service.
 *
 * @since 0.1.0
 */
export class ServiceNotOffered extends Schema.TaggedError<ServiceNotOffered>()("ServiceNotOffered", {
  service: Schema.String,
  version: Schema.UndefinedOr(Schema.Int),
  offered: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const wanted = this.version === undefined ? this.service : `${this.service} v${this.version}`
    return `the producer does not offer ${wanted}; it offers ${this.offered.join(", ") || "nothing"}`
  }
}

/** Why a client does not come about. @since 0.1.0 */
export type ConnectFailure =
  | AdmissionDenied
  | ConnectError
  | ConnectionLost
  | ConsumerAdmission.HandshakeError
  | StreamError
  | TicketError

/** @since 0.1.0 */
export interface Options {
  /** The producer: an `aster1` ticket, a base64 node address, or an endpoint id of 64 hex digits. */
  readonly address: string
  /** Around every call, the first outermost. Default none. */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
  /** For connecting, and again for the admission handshake. Default 10 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
}

/** Options of a client that has a node of its own. @since 0.1.0 */
export interface NodeClientOptions extends Options {
  /** The node: secret key, bind address, relays. */
  readonly node?: IrohNodeOptions | undefined
}

/** @since 0.1.0 */
export interface ClientOptions {
  /** Default: XLANG, unless the service takes JSON only. */
  readonly encoding?: Encoding | undefined
}

/**
 * A consumer of one producer. Calls share one connection, which is opened with the first of them and again when it was
 * lost; a call that was running then has failed with UNAVAILABLE.
 *
 * @since 0.1.0
 */
export class AsterClient extends Context.Service<
  AsterClient,
  {
    /** What the producer offered when it admitted us. */
    readonly services: ReadonlyArray<ServiceSummary>
    /** A typed client of a service the producer offers in this version. */
    readonly client: <Name extends string, Methods extends Rpc.Any>(
      service: Service.Service<Name, Methods>,
      options?: ClientOptions
    ) => Effect.Effect<Caller.Client<Methods>, ServiceNotOffered>
    /** A client without definitions: JSON in, JSON out. Without a version, the newest that is offered. */
    readonly proxy: (service: string, version?: number) => Effect.Effect<DynamicClient.DynamicClient, ServiceNotOffered>
    readonly node: IrohNode["Service"]
  }
>()("@aster-effect/client/AsterClient") {
  /** A client with a node of its own. */
  static readonly layer = (options: NodeClientOptions): Layer.Layer<AsterClient, ConnectFailure | BindError> =>
    Layer.effect(AsterClient, make(options)).pipe(Layer.provide(IrohNode.layer(options.node)))

  /** A client on a node that is there already. */
  static readonly layerOnNode = (options: Options): Layer.Layer<AsterClient, ConnectFailure, IrohNode> =>
    Layer.effect(AsterClient, make(options))
}

/**
 * Connects on a node that is there already; the connection lives as long as the scope.
 *
 * @since 0.1.0
 */
export const make = Effect.fn("AsterClient.make")(function* (
  options: Options
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, IrohNode | Scope.Scope> {
  const node = yield* IrohNode
  const producer = yield* Effect.try({
    try: () => NodeAddr.parse(options.address.trim()),
    catch: (error) => (error instanceof TicketError ? error : new TicketError({ problem: String(error) }))
  })
  const services = yield* admit(node, producer, options.connectTimeout ?? "10 seconds")
  const dialer = yield* RpcDialer.make(node, options.connectTimeout ?? "10 seconds")

  const callerOptions = (summary: ServiceSummary, encoding: Encoding): Caller.Options => ({
    open: dialer.open(addressOf(summary, producer)),
    peer: producer.endpointId,
    version: summary.version,
    encoding,
    interceptors: options.interceptors
  })
  const find = (service: string, version: number | undefined): Effect.Effect<ServiceSummary, ServiceNotOffered> => {
    const found = services
      .filter((summary) => summary.name === service && (version === undefined || summary.version === version))
      .sort((a, b) => b.version - a.version)[0]
    return found === undefined
      ? Effect.fail(
          new ServiceNotOffered({ service, version, offered: services.map(({ name, version: v }) => `${name} v${v}`) })
        )
      : Effect.succeed(found)
  }
  return AsterClient.of({
    services,
    node,
    client: (service, clientOptions) =>
      Effect.map(find(service.name, service.version), (summary) =>
        Caller.make(service, callerOptions(summary, clientOptions?.encoding ?? encodingOf(summary)))
      ),
    proxy: (service, version) =>
      Effect.map(find(service, version), (summary) => DynamicClient.make(service, callerOptions(summary, "json")))
  })
})

/** The admission handshake on a connection of its own, without a credential. */
const admit = Effect.fnUntraced(function* (
  node: IrohNode["Service"],
  producer: NodeAddr.NodeAddr,
  timeout: Duration.Input
): Effect.fn.Return<ReadonlyArray<ServiceSummary>, ConnectFailure> {
  const reply = yield* Effect.acquireUseRelease(
    node.connect(producer, Alpn.CONSUMER_ADMISSION, { timeout }),
    (connection) => ConsumerAdmission.request(connection, { request: { credential: "", iidToken: "" }, timeout }),
    (connection) => connection.close(0, "done")
  )
  if (reply.admitted) return reply.services
  return yield* new AdmissionDenied({ endpointId: producer.endpointId, ownEndpointId: node.endpointId })
})

/** An empty list means XLANG; a list with JSON and without XLANG means JSON. */
const encodingOf = ({ serializationModes }: ServiceSummary): Encoding =>
  serializationModes.length > 0 && !serializationModes.includes("xlang") && serializationModes.includes("json")
    ? "json"
    : "xlang"

/** Where the service is called. The peer's word is only taken for addresses of the producer that was dialled. */
const addressOf = (summary: ServiceSummary, producer: NodeAddr.NodeAddr): NodeAddr.NodeAddr => {
  const channel = summary.channels["rpc"]
  if (channel === undefined) return producer
  try {
    const address = NodeAddr.parse(channel)
    return address.endpointId === producer.endpointId ? NodeAddr.union(producer, address) : address
  } catch {
    return producer
  }
}
