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
import type { HandshakeSlots } from "@aster-effect/admission/HandshakeSlots"
import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import * as Role from "@aster-effect/admission/Role"
import type { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as CallMetrics from "@aster-effect/core/interceptor/CallMetrics"
import * as Deadline from "@aster-effect/core/interceptor/Deadline"
import type { Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import * as Tracing from "@aster-effect/core/interceptor/Tracing"
import type * as Service from "@aster-effect/core/service/Service"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import type { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import type { DocumentId } from "@aster-effect/iroh-docs/DocumentId"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { BindError } from "@aster-effect/iroh/NodeError"
import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"
import { PeerAttributes } from "@aster-effect/iroh/PeerAttributes"
import * as Router from "@aster-effect/iroh/Router"
import * as Supervisor from "@aster-effect/iroh/Supervisor"
import type { Mesh } from "@aster-effect/mesh/Mesh"
import type { TicketError } from "@aster-effect/iroh/Ticket"
import * as ProducerMesh from "@aster-effect/mesh/ProducerMesh"
import type { Health } from "@aster-effect/observability/Health"
import type { HealthServerError } from "@aster-effect/observability/HealthServer"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import { Gates } from "@aster-effect/trust/Gates"
import type { NonceStore } from "@aster-effect/trust/NonceStore"
import type { RootKey } from "@aster-effect/trust/RootKey"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as banner from "./internal/banner.ts"
import * as logging from "./internal/logging.ts"
import * as metrics from "./internal/metrics.ts"
import * as offer from "./internal/offer.ts"
import * as trust from "./internal/trust.ts"
import * as PublishedManifest from "./PublishedManifest.ts"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as ServerBlobs from "./ServerBlobs.ts"
import * as ServerGossip from "./ServerGossip.ts"
import * as ServerHealth from "./ServerHealth.ts"
import * as ServerDocs from "./ServerDocs.ts"
import * as ServerMesh from "./ServerMesh.ts"
import * as ServerRegistry from "./ServerRegistry.ts"
import * as ServiceSelection from "./ServiceSelection.ts"

/** Why a server does not start. @since 0.1.0 */
export type StartError =
  | ServiceSelection.NoServices
  | ServiceSelection.ServiceIsLocal
  | ServiceSelection.ServiceNotProvided
  | Dispatcher.DuplicateService
  | PublishedManifest.ContractMismatch
  | PublishedManifest.ManifestUnreadable
  | AsterConfigError
  | Config.ConfigError
  | ProducerMesh.MeshError
  | HealthServerError
  | TicketError

/**
 * What a server is told. Who may come in follows from the configuration, the identity file and the options here, which
 * beat both: with a root key or an identity file consumers need a credential, with neither everybody is let in, and a
 * flag given anywhere is final (Aster configuration, gates).
 *
 * @since 0.1.0
 */
export interface AsterServerOptions<S extends Service.Any = Service.Any> extends NodeConfig.ConfigOptions {
  /** The name of the identity file's entry to use. Default: the first with the role `producer`. */
  readonly peer?: string | undefined
  /** The deployment's public root key: 32 bytes, or 64 hex digits. */
  readonly rootPubkey?: Uint8Array | string | undefined
  /** Whether consumers are let in without a credential. */
  readonly allowAllConsumers?: boolean | undefined
  /** Whether other producers are let in without a credential. Default true. */
  readonly allowAllProducers?: boolean | undefined
  /**
   * Gates that the program made itself. They decide alone, with the record they ask: no option, variable or file opens or
   * closes them. Default: as configuration, identity file and the options above say.
   */
  readonly gates?: Gates["Service"] | undefined
  /** The record of admitted peers, where several servers share one. Default: one of its own. */
  readonly admittedPeers?: AdmittedPeers["Service"] | undefined
  /** The memory of one-time tokens. Default: `nonces.json` under the storage path, else in memory. */
  readonly nonceStore?: NonceStore["Service"] | undefined
  /** The contract manifest to compare the services with, if it is there. Default `.aster/manifest.json`. */
  readonly manifest?: string | undefined
  /**
   * What to serve, in this order; the layer then requires their handlers. Default: every service whose handlers stand in
   * the context, apart from local ones.
   */
  readonly services?: ReadonlyArray<S> | undefined
  /**
   * Around every call, the first outermost. Default: deadline enforcement. What services require of callers is enforced
   * before them.
   */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
  /** A span for every call, around everything else, where a tracer is installed when the server starts. Default true. */
  readonly tracing?: boolean | undefined
  /** Calls in numbers, by method, status and duration (`CallMetrics`, without messages). Default true. */
  readonly metrics?: boolean | undefined
  /** Tell of the server on standard error when it has started, where that is a terminal. Default true. */
  readonly banner?: boolean | undefined
  /** Probes and metrics over HTTP, health as a service, and what the server needs to be ready. */
  readonly health?: ServerHealth.HealthOptions | undefined
  /** Serve calls for version 1 by the only version of a service. Default true; see `Dispatcher.DispatcherOptions`. */
  readonly versionFallback?: boolean | undefined
  /** Longest run of a handler, whatever the deadline. Default 300 seconds. */
  readonly handlerTimeout?: Duration.Input | undefined
  /** From the start of a stream to its header, and from there to the request of a single-request call. Default 30 seconds. */
  readonly requestTimeout?: Duration.Input | undefined
  /** How long a peer may take to accept the end of an answer; large ends get a second more per 128 KiB. Default 30 seconds. */
  readonly answerTimeout?: Duration.Input | undefined
  /**
   * What requests may take in memory once they are decoded, of all peers together; a quarter may be one peer's. Requests
   * that find no room wait for it, as long as `requestTimeout`. Default 512 MiB.
   */
  readonly maxDecodedBytes?: number | undefined
  /** How long a session may be without a call before it is ended. Default 30 minutes. */
  readonly sessionIdleTimeout?: Duration.Input | undefined
  /** For running calls when the server drains or closes. Default 10 seconds. */
  readonly gracePeriod?: Duration.Input | undefined
  /** Connections served at a time. Default 1,024. */
  readonly maxConnections?: number | undefined
  /** Of these, connections of one peer. Default 128. */
  readonly maxConnectionsPerPeer?: number | undefined
  /**
   * Further protocols of this node, behind the same gates: a connection is served for as long as its peer is admitted, and
   * `PeerAttributes` tells what with. For example `RpcEndpoint` of `@aster-effect/effect-rpc`.
   */
  readonly protocols?: ReadonlyArray<Router.Protocol<Scope.Scope>> | undefined
  /** Blobs: how they are kept and served. */
  readonly blobs?: ServerBlobs.BlobsOptions | undefined
  /** Gossip: who may take part, and its limits. */
  readonly gossip?: ServerGossip.GossipOptions | undefined
  /**
   * The mesh of the deployment's producers: whom to ask to be let in. It exists where other producers need a credential,
   * which `allowAllProducers: false` says. False: admit other producers, and do not meet them.
   */
  readonly mesh?: ServerMesh.MeshOptions | false | undefined
  /** Documents: how they are kept and shared. */
  readonly docs?: ServerDocs.DocsOptions | undefined
  /**
   * Whether contracts are published in a registry document, which tools like `aster shell` and `aster contract gen-client`
   * read. Default true.
   */
  readonly publish?: boolean | undefined
  /**
   * A document ticket, for writing, of a registry that producers share: there too the contracts are published, and each
   * service has a lease by which consumers find this server. Whoever serves the registry has to be reachable.
   */
  readonly registry?: string | undefined
}

/** Options of a server that has a node of its own. @since 0.1.0 */
export interface NodeServerOptions<S extends Service.Any = Service.Any> extends AsterServerOptions<S> {
  /** The node: secret key, bind address, relays. What is left out comes from the configuration. */
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
    /**
     * Public root key, 64 hex digits, which credentials are verified with. Where one is needed and none was given it is
     * made for this run; undefined when everybody was let in by flag without one.
     */
    readonly rootPubkey: RootPublicKey | undefined
    /** The pair behind a root key made for this run. It signs credentials for tests; never log or store it. */
    readonly ephemeralRootKey: RootKey | undefined
    /** `trusted`: consumers need a credential. */
    readonly mode: "open-gate" | "trusted"
    /** Who is admitted, and how to put somebody out: `admittedPeers.revoke(id)` closes its connections. */
    readonly admittedPeers: AdmittedPeers["Service"]
    /**
     * The producers of this deployment; undefined without a root key. Where all are let in, and where the option `mesh` is
     * false, it takes no part on their topic.
     */
    readonly mesh: Mesh["Service"] | undefined
    readonly services: ReadonlyArray<ServiceSummary>
    /**
     * Blobs of this node, served by it to whoever may come in. They are kept in memory, or in `blobs` under the storage
     * path where there is one; nothing is opened before they are used, which publishing contracts does.
     */
    readonly blobs: Blobs["Service"]
    /**
     * Documents of this node. They are kept in memory, or in `docs` under the storage path where there is one, and their
     * contents among the blobs.
     */
    readonly docs: Docs["Service"]
    /** The document that the contracts are published in; undefined when there is none, or none yet. */
    readonly registry: DocumentId | undefined
    /** Topics of this node, open to whoever may come in. */
    readonly gossip: Gossip["Service"]
    readonly node: IrohNode["Service"]
    /** Whether it lives and is ready, and why not. */
    readonly health: Health["Service"]
    /** Waits until the server is drained or closed. Serving itself begins with the server. */
    readonly serve: Effect.Effect<void>
    /**
     * Takes no new connections and calls, lets running ones finish within the grace period, interrupts the rest. Before
     * anything else the server stops being ready.
     */
    readonly drain: Effect.Effect<void>
    /** Drains and closes the node. Closing the scope does the same. */
    readonly close: Effect.Effect<void>
  }
>()("@aster-effect/server/AsterServer") {
  /**
   * A server with a node of its own. The services' handlers come from the context, and so do `AsterConfig` and `BlobStore`
   * when they are there. What decides who comes in never does: it is an option.
   */
  static readonly layer = <const S extends Service.Any = never>(
    options: NodeServerOptions<S> = {}
  ): Layer.Layer<AsterServer, StartError | BindError, Service.HandlersFor<S>> =>
    Layer.unwrap(
      Effect.gen(function* () {
        const resolved = yield* trust.resolve(options, options.node?.secretKey)
        const node = yield* NodeConfig.nodeOptions(resolved.config, resolved.trust.secretKey, options.node)
        const relayWait = node.relayMode === "disabled" ? Duration.zero : RELAY_WAIT
        return serverLayer(options, resolved, relayWait).pipe(
          Layer.provide(IrohNode.layer(node)),
          Layer.provide([ownSupervisor(), logging.layer(resolved.config)])
        )
      })
    )

  /** A server on a node that is there already, for example `IrohNode.layerMemory`. Closing the server closes it. */
  static readonly layerOnNode = <const S extends Service.Any = never>(
    options: AsterServerOptions<S> = {}
  ): Layer.Layer<AsterServer, StartError, IrohNode | Service.HandlersFor<S>> =>
    Layer.unwrap(
      Effect.map(trust.resolve(options, undefined), (resolved) =>
        Layer.provide(serverLayer(options, resolved, Duration.zero), [ownSupervisor(), logging.layer(resolved.config)])
      )
    )
}

/** One for all that the server is made of. */
const ownSupervisor = () => Layer.sync(Supervisor.Supervisor, Supervisor.make)

/** Starting never takes longer than this because of a relay that cannot be reached. */
const RELAY_WAIT = Duration.millis(1500)

const serverLayer = (
  options: AsterServerOptions,
  resolved: trust.ResolvedTrust,
  relayWait: Duration.Duration
): Layer.Layer<AsterServer, StartError, IrohNode> =>
  Layer.effect(AsterServer, make(options, resolved, relayWait)).pipe(
    Layer.provide([trust.layer(options, resolved), ServerBlobs.layer(options.blobs ?? {}, resolved.config)])
  )

/** What decides who comes in. */
type Admission = Gates | AdmittedPeers | NonceStore | HandshakeSlots

/** The protocols by which peers get admitted, which Gate 0 lets by. */
const admissionProtocols: ReadonlySet<string> = new Set([ConsumerAdmission.ALPN, ProducerAdmission.ALPN])

const make = Effect.fnUntraced(function* (
  options: AsterServerOptions,
  { config, trust: { peer } }: trust.ResolvedTrust,
  relayWait: Duration.Duration
): Effect.fn.Return<AsterServer["Service"], StartError, IrohNode | Admission | Blobs | BlobStore | Scope.Scope> {
  const node = yield* IrohNode
  const supervisor = yield* Supervisor.Supervisor
  const state: ServerHealth.State = {
    phase: "starting",
    registry: () => false,
    relayGiven: false,
    leased: Effect.undefined
  }
  const closeNode = Effect.ensuring(
    node.close,
    Effect.sync(() => (state.phase = "closed"))
  )
  yield* Effect.addFinalizer(() => closeNode)
  const gates = yield* Gates
  const membership = Option.getOrUndefined(yield* Effect.serviceOption(ProducerMesh.ProducerMesh))
  const members = ServerMesh.members(options.mesh, gates, membership)
  const mode = gates.consumers === "closed" ? "trusted" : "open-gate"
  const selected = (yield* ServiceSelection.select(options.services)).map((implementation) =>
    logging.within(implementation, config)
  )
  const health = yield* ServerHealth.make(
    options.health ?? {},
    state,
    selected.map(({ service }) => service),
    node,
    [Effect.sync(() => lost(supervisor))]
  )
  // Before everything that takes time to begin and to end, so that there is an answer meanwhile.
  const probes = yield* ServerHealth.listen(options.health ?? {}, config, health)
  yield* metrics.touch
  const implementations =
    options.health?.service === true ? [...selected, ...(yield* ServerHealth.implementation(health))] : selected
  const offered = implementations.map(({ service }) => service)
  yield* PublishedManifest.check(options.manifest ?? ".aster/manifest.json", offered)
  const guarded = mode === "trusted" || offered.some(Role.isGuarded)
  const traced = (options.tracing ?? true) && (yield* Tracing.isInstalled)
  const interceptors = options.interceptors ?? [Deadline.make()]
  const counted = (options.metrics ?? true) && !CallMetrics.isAmong(interceptors)
  const dispatcher = yield* Dispatcher.make({
    ...options,
    implementations,
    interceptors: [
      ...(traced ? [Tracing.server] : []),
      ...(counted ? [CallMetrics.make("server", { messages: false })] : []),
      ...(guarded ? [Role.enforce(offered)] : []),
      ...interceptors
    ]
  })
  const address = yield* settledAddress(node, relayWait)
  state.relayGiven = address.relayUrl !== undefined

  const summaries = offer.summariesOf(offered)
  const services = summaries(address)
  const blobs = yield* Blobs
  const isRegistry = (document: DocumentId): boolean => document === registry?.document()
  const gate = yield* ConnectionGate
  const admission = {
    admit: (id: EndpointId, alpn: string) =>
      Effect.flatMap(gate.admit(id, alpn), (admitted) => {
        if (!admitted) return Effect.succeed(false)
        if (admissionProtocols.has(alpn)) return Effect.succeed(true)
        if (alpn !== GossipProtocol.ALPN) return gates.admit(id, alpn)
        return Effect.flatMap(members.admits(id), (member) => (member ? Effect.succeed(true) : gates.admit(id, alpn)))
      })
  }
  const gossip = Context.get(
    yield* Effect.provideService(
      Layer.build(ServerGossip.layer(options.gossip ?? {}, config, gates, members)),
      ConnectionGate,
      admission
    ),
    Gossip
  )
  const docs = Context.get(
    yield* Effect.provideService(
      Layer.build(ServerDocs.layer(options.docs ?? {}, config, gates, isRegistry)),
      Gossip,
      gossip
    ),
    Docs
  )
  const registry: ServerRegistry.OwnRegistry | undefined =
    options.publish === false ? undefined : yield* ServerRegistry.publish({ docs, blobs, node, services: offered })
  state.registry = () => registry?.isPublished() ?? false
  const mesh =
    membership === undefined
      ? undefined
      : yield* ServerMesh.join(options.mesh, { config, gates, gossip, members, membership, peer, services: offered })
  const root: string | undefined = gates.root
  const offerTo = (consumer: EndpointId): Effect.Effect<ConsumerAdmission.Offer> =>
    Effect.map(node.address, (now) => ({
      services: summaries(NodeAddr.union(now, address)),
      registryNamespace: registry?.document() ?? "",
      gossipTopic: consumer === root ? (membership?.topicId ?? "") : ""
    }))
  yield* offer.warnIfTooLarge(yield* offerTo(node.endpointId))
  if (mode === "open-gate") yield* offer.warnOfOpenServices(offered)

  const gracePeriod = options.gracePeriod ?? "10 seconds"
  const router = yield* Router.serve({
    protocols: [
      RpcConnection.protocol(dispatcher, gates),
      ServerBlobs.protocol(options.blobs ?? {}, gates),
      ServerDocs.protocol(docs, gates),
      ServerGossip.protocol(options.gossip ?? {}, gossip, gates, members),
      ConsumerAdmission.protocol({ offer: offerTo }),
      ...(options.protocols ?? []).map((protocol) => behindGates(protocol, gates)),
      ...(gates.producers === "closed" && membership !== undefined
        ? [ProducerAdmission.protocol({ join: mesh?.admit ?? ProducerMesh.joining(membership) })]
        : [])
    ],
    gracePeriod,
    maxConnections: options.maxConnections,
    maxConnectionsPerPeer: options.maxConnectionsPerPeer,
    gateTimeout: Duration.millis(config.hookTimeoutMs)
  }).pipe(Effect.provideService(ConnectionGate, admission))

  const { registry: ticket } = options
  // Who looks for a producer is told before the door is shut.
  const leased =
    ticket === undefined ? undefined : yield* ServerRegistry.lease({ docs, blobs, node, services: offered, ticket })
  if (leased !== undefined) state.leased = leased.problem
  const ended = Deferred.makeUnsafe<void>()
  // A handler that cannot be interrupted does not keep the server from ending.
  const drain = Effect.acquireUseRelease(
    Effect.forkDetach(Effect.delay(dispatcher.abandon, gracePeriod)),
    () =>
      Effect.andThen(
        Effect.andThen(
          Effect.sync(() => {
            if (state.phase !== "closed") state.phase = "draining"
          }),
          Effect.all([leased?.sayDraining ?? Effect.void, mesh?.setHealth("draining") ?? Effect.void], {
            discard: true
          })
        ),
        Effect.all([Effect.andThen(mesh?.depart("closing") ?? Effect.void, gossip.close), router.drain], {
          concurrency: "unbounded",
          discard: true
        })
      ),
    (abandoning) => Effect.andThen(Fiber.interrupt(abandoning), Deferred.succeed(ended, undefined))
  )
  const close = Effect.ensuring(drain, closeNode)
  yield* Effect.addFinalizer(() => drain)
  yield* Effect.logInfo("server starting", {
    runtime: "typescript",
    mode,
    endpointId: node.endpointId,
    services: services.map((service) => `${service.name} v${service.version}`)
  })
  if (options.banner ?? true) {
    yield* banner.print({
      services,
      node,
      address: NodeAddr.toTicket(address),
      consumers: gates.consumers,
      producers: gates.producers,
      registry: state.registry(),
      health: probes,
      log: config
    })
  }
  state.phase = "serving"
  return AsterServer.of({
    address: NodeAddr.toTicket(address),
    endpointAddrB64: NodeAddr.toBase64(address),
    endpointId: node.endpointId,
    directAddresses: address.directAddresses,
    rootPubkey: gates.root,
    ephemeralRootKey: gates.ephemeralRootKey,
    mode,
    admittedPeers: yield* AdmittedPeers,
    mesh,
    services,
    blobs,
    docs,
    get registry() {
      return registry?.document()
    },
    gossip,
    node,
    health,
    serve: Deferred.await(ended),
    drain,
    close
  })
})

/** What is to be said of loops that are no more. */
const lost = (supervisor: Supervisor.Supervisor): string | undefined => {
  const loops = supervisor.givenUp()
  return loops.length === 0 ? undefined : `given up: ${loops.join(", ")}`
}

/** A protocol of others, for as long as the peer is admitted. */
const behindGates = (
  { alpn, handler }: Router.Protocol<Scope.Scope>,
  gates: Gates["Service"]
): Router.Protocol<Scope.Scope> => ({
  alpn,
  handler: (connection, draining) =>
    gates.whileAdmitted(
      connection,
      Effect.provideService(handler(connection, draining), PeerAttributes, gates.attributesOf)
    )
})

/** The node's address, after it has had `wait` to find its relay, so that the printed one can be reached from afar. */
const settledAddress = (node: IrohNode["Service"], wait: Duration.Duration): Effect.Effect<NodeAddr.NodeAddr> =>
  Duration.isZero(wait)
    ? node.address
    : node.address.pipe(
        Effect.repeat({ until: (address) => address.relayUrl !== undefined, schedule: Schedule.spaced("50 millis") }),
        Effect.timeoutOrElse({ duration: wait, orElse: () => node.address })
      )

/**
 * A server with default options: every service in the context that is not declared local, and configuration and identity
 * from the environment. Whatever layer stands below it is served to peers; `AsterServer.layer({ services })` says which.
 * Where they say nothing it has a new identity and admits everybody.
 *
 * @since 0.1.0
 */
export const AsterServerLive: Layer.Layer<AsterServer, StartError | BindError> = AsterServer.layer()
