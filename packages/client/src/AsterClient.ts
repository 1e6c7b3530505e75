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
import type { AdmissionRequest } from "@aster-effect/admission/AdmissionRequest"
import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import type { HandshakeError } from "@aster-effect/admission/Handshake"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import * as Caller from "@aster-effect/core/call/Caller"
import type { Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import * as CallMetrics from "@aster-effect/core/interceptor/CallMetrics"
import * as Tracing from "@aster-effect/core/interceptor/Tracing"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import type * as Rpc from "@aster-effect/core/service/Rpc"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import type * as Service from "@aster-effect/core/service/Service"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import * as ClientTrust from "@aster-effect/trust/ClientTrust"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore, type BlobStoreOptions } from "@aster-effect/iroh-blobs/BlobStore"
import type { StreamError } from "@aster-effect/iroh/BiStream"
import type { ConnectionLost } from "@aster-effect/iroh/Connection"
import type { AuthorId } from "@aster-effect/iroh-docs/AuthorId"
import type { DocTicketError } from "@aster-effect/iroh-docs/DocsError"
import type { DocTicket } from "@aster-effect/iroh-docs/DocTicket"
import type { Wanted } from "@aster-effect/registry/Resolver"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { BindError, ConnectError } from "@aster-effect/iroh/NodeError"
import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"
import type { SecretKey } from "@aster-effect/iroh/SecretKey"
import { TicketError } from "@aster-effect/iroh/Ticket"
import { type ConsumerEnrollmentCredential, toJson } from "@aster-effect/trust/Credential"
import type { CredentialFileError } from "@aster-effect/trust/CredentialFile"
import * as PresentedCredential from "@aster-effect/trust/PresentedCredential"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ConsumerBlobs from "./ConsumerBlobs.ts"
import * as ConsumerDocs from "./ConsumerDocs.ts"
import * as ConsumerGossip from "./ConsumerGossip.ts"
import * as RegistryLookup from "./internal/registryLookup.ts"
import * as ContractDiffers from "./ContractDiffers.ts"
import * as DynamicClient from "./DynamicClient.ts"
import * as RpcDialer from "@aster-effect/transport/RpcDialer"

/**
 * The producer does not let this consumer in. Producers never say why, so the message lists what can be the matter as
 * far as this side can tell, and what to do about it. Trying again changes nothing.
 *
 * @since 0.1.0
 */
export class AdmissionDenied extends Schema.TaggedError<AdmissionDenied>()("AdmissionDenied", {
  /** The producer. */
  endpointId: Schema.String,
  /** What was dialled. */
  address: Schema.String,
  /** This consumer. */
  ownEndpointId: Schema.String,
  /** The credential that was shown: its file, or `inline`. */
  credential: Schema.UndefinedOr(
    Schema.Struct({ source: Schema.String, type: Schema.Literals(["policy", "ott"]), rootPubkey: Schema.String })
  ),
  /** The producer's root key as it says, empty when it says none. */
  producerRoot: Schema.String
}) {
  override get message(): string {
    const { credential } = this
    const who = `producer ${this.endpointId} did not admit this consumer (${this.ownEndpointId})`
    if (credential === undefined) {
      return (
        `${who}, which showed no credential: the producer admits enrolled consumers only; ask its operator for a ` +
        "credential for this endpoint id"
      )
    }
    return `${who}, which showed the ${credential.type} credential of ${credential.source}. ${causes(credential, this.producerRoot)}`
  }
}

const causes = (
  { rootPubkey, type }: { readonly rootPubkey: string; readonly type: "policy" | "ott" },
  producerRoot: string
): string => {
  if (producerRoot !== rootPubkey) {
    return (
      `It is signed by root key ${rootPubkey}, and the producer verifies with ${/[1-9a-f]/.test(producerRoot) ? producerRoot : "none"}: ` +
      "dial a producer of the credential's deployment, or connect without the credential if this producer admits everybody"
    )
  }
  const used = type === "ott" ? "the one-time token was used before; " : ""
  return (
    `It is valid here, so likely causes are: ${used}the producer's clock is ahead of the expiry; its operator put this ` +
    "consumer out, or has no room for it; or the credential is tied to an instance that was not proven. Ask the operator, whose log says which, and enrol again if need be"
  )
}

/**
 * The producer belongs to another deployment than this consumer expects: it names another root key, or none.
 *
 * @since 0.1.0
 */
export class RootKeyMismatch extends Schema.TaggedError<RootKeyMismatch>()("RootKeyMismatch", {
  endpointId: Schema.String,
  expected: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    return (
      `producer ${this.endpointId} has root key ${this.actual || "none"}, and ${this.expected} was expected: check the ` +
      "address, or the root key configured here"
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

/**
 * The service was asked for in the way of the other scope: calls of a session service belong to a session, and shared
 * services have none.
 *
 * @since 0.1.0
 */
export class ServiceScopeMismatch extends Schema.TaggedError<ServiceScopeMismatch>()("ServiceScopeMismatch", {
  service: Schema.String,
  scope: Schema.Literals(["shared", "session"])
}) {
  override get message(): string {
    return this.scope === "session"
      ? `service ${this.service} has session scope: open a session, with \`session\` or \`sessionProxy\``
      : `service ${this.service} is shared and has no sessions: use \`client\` or \`proxy\``
  }
}

/** Why a client does not come about. @since 0.1.0 */
export type ConnectFailure =
  | AdmissionDenied
  | AsterConfigError
  | ConnectError
  | ConnectionLost
  | CredentialFileError
  | HandshakeError
  | RegistryLookup.RegistryFailure
  | RootKeyMismatch
  | StreamError
  | TicketError

/**
 * What a client is told. Which credential it shows follows from these options, the configuration and the identity file:
 * `credential`, else `enrollmentCredentialFile`, else the identity file's entry for a consumer, else the configured
 * credential file, else none (Aster configuration, precedence).
 *
 * @since 0.1.0
 */
export interface AsterClientOptions extends NodeConfig.ConfigOptions {
  /**
   * The producer: an `aster1` ticket, a base64 node address, or an endpoint id of 64 hex digits. Default: the
   * configuration's `endpointAddr`.
   */
  readonly address?: string | undefined
  /**
   * Instead of an address: a document ticket of a registry. Its nodes are producers of the deployment, and which producer
   * is called says the registry: of those that serve `service`, ready ones first, one by chance that lets this consumer in.
   */
  readonly registry?: string | undefined
  /** What is looked for in the registry. */
  readonly service?: Wanted | undefined
  /** The author whose word counts in the registry, and whose list of writers does. Default: whoever may write there. */
  readonly registryOwner?: AuthorId | undefined
  /** The name of the identity file's entry to show. Default: the first with the role `consumer`. */
  readonly peer?: string | undefined
  /** The deployment's public root key, 32 bytes or 64 hex digits: a producer with another one is refused. */
  readonly rootPubkey?: Uint8Array | string | undefined
  /** A credential file to show. */
  readonly enrollmentCredentialFile?: string | undefined
  /** A credential to show. */
  readonly credential?: ConsumerEnrollmentCredential | undefined
  /** Around every call, the first outermost. Default none. */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
  /** A span for every attempt, inside all interceptors, where a tracer is installed when the client is made. Default true. */
  readonly tracing?: boolean | undefined
  /**
   * Calls in numbers, by method, status and duration (`CallMetrics`, without messages): a call counts once, whatever its
   * attempts. Default false.
   */
  readonly metrics?: boolean | undefined
  /**
   * Put small unary calls on one stream where the producer knows how to, which takes a fraction of the time and lets one
   * lost packet delay several of them. Default true.
   */
  readonly multiplex?: boolean | undefined
  /**
   * Connections to the producer at a time, each for 96 calls that have streams of their own: subscriptions, and requests
   * of more than 4 KiB. Beyond that such calls fail with RESOURCE_EXHAUSTED. Default 32; producers of ours serve 128.
   */
  readonly maxConnections?: number | undefined
  /** For connecting, and again for the admission handshake. Default 10 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** How blobs are kept. */
  readonly blobs?: BlobStoreOptions | undefined
  /** How documents are kept. */
  readonly docs?: ConsumerDocs.DocsOptions | undefined
  /** What to do when the producer's definition of a service is another one. Default: see `ContractDiffers.defaultPolicy`. */
  readonly contractMismatch?: ContractDiffers.Policy | undefined
}

/** Options of a client that has a node of its own. @since 0.1.0 */
export interface NodeClientOptions extends AsterClientOptions {
  /** The node: secret key, bind address, relays. What is left out comes from the configuration. */
  readonly node?: IrohNodeOptions | undefined
}

/** @since 0.1.0 */
export interface ClientOptions {
  /** Default: XLANG, unless the service takes JSON only. */
  readonly encoding?: Encoding | undefined
  /** Around every call of this client, inside those of the options above; the first is the outermost. Default none. */
  readonly interceptors?: ReadonlyArray<Interceptor> | undefined
  /** What to do when the producer's definition of the service is another one. Default: what the `AsterClient` was told. */
  readonly contractMismatch?: ContractDiffers.Policy | undefined
}

/**
 * A consumer of one producer. Calls share a connection, which is opened with the first of them and again when it was lost,
 * and further ones when there are more calls than streams; a call that was running then has failed with UNAVAILABLE. A producer that no longer knows this consumer is asked
 * for admission once more, unless that was by a one-time token.
 *
 * @since 0.1.0
 */
export class AsterClient extends Context.Service<
  AsterClient,
  {
    /** What the producer offered when it admitted us. */
    readonly services: ReadonlyArray<ServiceSummary>
    /** What the producer admitted us with; empty without a credential. */
    readonly attributes: ReadonlyMap<string, string>
    /** Whether we were admitted without showing a credential. */
    readonly openGate: boolean
    /** The producer's root key as it says: 64 hex digits, or empty. */
    readonly rootPubkey: string
    /** Where the producer publishes its contracts: 64 hex digits, or empty. */
    readonly registryNamespace: string
    /** The producers' gossip topic, which only the root key's own endpoint is told: 64 hex digits, or empty. */
    readonly gossipTopic: string
    /** A typed client of a service the producer offers in this version. */
    readonly client: <Methods extends Rpc.Any>(
      service: Service.WithMethods<Methods>,
      options?: ClientOptions
    ) => Effect.Effect<
      Caller.Client<Methods>,
      ServiceNotOffered | ServiceScopeMismatch | ContractDiffers.ContractDiffers
    >
    /**
     * Opens a session of a service that has session scope: a client whose calls take turns, and which the server keeps state
     * for. It ends with the scope. See `Caller.session`.
     */
    readonly session: <Methods extends Rpc.Any>(
      service: Service.WithMethods<Methods>,
      options?: ClientOptions
    ) => Effect.Effect<
      Caller.Client<Methods>,
      ServiceNotOffered | ServiceScopeMismatch | ContractDiffers.ContractDiffers | RpcError,
      Scope.Scope
    >
    /** A client without definitions: JSON in, JSON out. Without a version, the newest that is offered. */
    readonly proxy: (
      service: string,
      version?: number
    ) => Effect.Effect<DynamicClient.DynamicClient, ServiceNotOffered | ServiceScopeMismatch>
    /** A session without definitions: JSON in, JSON out. Without a version, of the newest that is offered. */
    readonly sessionProxy: (
      service: string,
      version?: number
    ) => Effect.Effect<DynamicClient.DynamicClient, ServiceNotOffered | ServiceScopeMismatch | RpcError, Scope.Scope>
    /**
     * Blobs at this consumer, those of the producer by hash alone. They are kept in memory, or in `blobs` under the
     * storage path where there is one; nothing is opened before they are used.
     */
    readonly blobs: ConsumerBlobs.ConsumerBlobs
    /** Topics, joined at the producer. */
    readonly gossip: ConsumerGossip.ConsumerGossip
    /** Documents at this consumer; nothing is opened before they are used. */
    readonly docs: ConsumerDocs.ConsumerDocs
    readonly node: IrohNode["Service"]
  }
>()("@aster-effect/client/AsterClient") {
  /** A client with a node of its own. `AsterConfig` and `BlobStore` are taken from the context when they are there. */
  static readonly layer = (options: NodeClientOptions = {}): Layer.Layer<AsterClient, ConnectFailure | BindError> =>
    Layer.unwrap(
      Effect.gen(function* () {
        const resolved = yield* resolve(options, options.node?.secretKey)
        const node = yield* NodeConfig.nodeOptions(resolved.config, resolved.trust.secretKey, options.node)
        return Layer.effect(AsterClient, connectAny(options, resolved)).pipe(Layer.provide(IrohNode.layer(node)))
      })
    )

  /** A client on a node that is there already. */
  static readonly layerOnNode = (
    options: AsterClientOptions = {}
  ): Layer.Layer<AsterClient, ConnectFailure, IrohNode> => Layer.effect(AsterClient, make(options))
}

/**
 * Connects on a node that is there already; the connection lives as long as the scope.
 *
 * @since 0.1.0
 */
export const make = Effect.fn("AsterClient.make")(function* (
  options: AsterClientOptions
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, IrohNode | Scope.Scope> {
  return yield* connectAny(options, yield* resolve(options, undefined))
})

/** What is known before there is a node. */
interface ResolvedClient {
  readonly config: Resolved
  readonly trust: ClientTrust.ClientTrust
  readonly address: string
  readonly producer: NodeAddr.NodeAddr
  readonly registry: DocTicket | undefined
}

const resolve = Effect.fnUntraced(function* (
  options: AsterClientOptions,
  secretKey: SecretKey | undefined
): Effect.fn.Return<ResolvedClient, AsterConfigError | TicketError | DocTicketError> {
  const config = yield* NodeConfig.resolve(options, secretKey)
  const registry = options.registry === undefined ? undefined : yield* RegistryLookup.parse(options.registry)
  const configured = options.address ?? config.endpointAddr ?? ""
  const address = registry === undefined ? configured.trim() : NodeAddr.toBase64(registry.nodes[0]!)
  if (address === "") {
    const detail = "missing: pass the producer's address, or set ASTER_ENDPOINT_ADDR"
    return yield* new AsterConfigError({ reason: "InvalidValue", origin: { option: "address" }, detail })
  }
  const producer = yield* Effect.try({
    try: () => NodeAddr.parse(address),
    catch: (error) => (error instanceof TicketError ? error : new TicketError({ problem: String(error) }))
  })
  const rootPubkey = yield* NodeConfig.rootPubkey(options.rootPubkey)
  const trust = yield* ClientTrust.resolve(config, { ...options, rootPubkey })
  return { config, trust, address, producer, registry }
})

/** The producer of the address, or the best that the registry knows. */
const connectAny = Effect.fnUntraced(function* (
  options: AsterClientOptions,
  resolved: ResolvedClient
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, IrohNode | Scope.Scope> {
  const { registry } = resolved
  if (registry === undefined) return yield* connect(options, resolved)
  const at = (producer: NodeAddr.NodeAddr) =>
    connect(options, { ...resolved, producer, address: NodeAddr.toBase64(producer) })
  const wanted = options.service
  if (wanted === undefined) {
    const detail = "missing: say which service is looked for in the registry"
    return yield* new AsterConfigError({ reason: "InvalidValue", origin: { option: "service" }, detail })
  }
  return yield* RegistryLookup.connect({ registry, wanted, owner: options.registryOwner, connect: at })
})

const connect = Effect.fnUntraced(function* (
  options: AsterClientOptions,
  { address, config, producer, trust }: ResolvedClient
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, IrohNode | Scope.Scope> {
  const node = yield* IrohNode
  const timeout = options.connectTimeout ?? "10 seconds"
  const presentation = yield* PresentedCredential.resolve(trust, options.credential, node.endpointId)
  const { presented } = presentation
  const admission = whileBusy(admit({ node, producer, address, timeout, presentation, config }), timeout)
  const reply = yield* admission
  const { services } = reply
  const readmit: Effect.Effect<void, RpcError> =
    presented?.credential.type === "ott"
      ? Effect.fail(RpcError.of("PERMISSION_DENIED", TOKEN_USED))
      : Effect.mapError(admission, (error) =>
          RpcError.of(isFinal(error) ? "PERMISSION_DENIED" : "UNAVAILABLE", error.message)
        )
  const dialer = yield* RpcDialer.make(node, {
    timeout,
    readmit,
    prove: presented !== undefined,
    multiplex: options.multiplex,
    maxConnections: options.maxConnections
  })
  // A ticket has no relay, but what the services say has.
  const provider = services.map((summary) => addressOf(summary, producer)).reduce(NodeAddr.union, producer)
  const blobs = Context.get(yield* Layer.build(blobsLayer(options, config, provider)), Blobs)

  const tracing = (options.tracing ?? true) && (yield* Tracing.isInstalled) ? [Tracing.client] : []
  const counting = options.metrics === true && !CallMetrics.isAmong(options.interceptors ?? [])
  const metrics = counting ? [CallMetrics.make("client", { messages: false })] : []
  const callerOptions = (
    summary: ServiceSummary,
    encoding: Encoding,
    interceptors: ReadonlyArray<Interceptor> = []
  ): Caller.CallerOptions => ({
    open: dialer.open(addressOf(summary, producer)),
    peer: producer.endpointId,
    version: summary.version,
    encoding,
    interceptors: [...metrics, ...(options.interceptors ?? []), ...interceptors, ...tracing]
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
  const scoped = Effect.fnUntraced(function* (name: string, version: number | undefined, scope: "shared" | "session") {
    const summary = yield* find(name, version)
    if (summary.pattern === scope) return summary
    return yield* new ServiceScopeMismatch({ service: name, scope: summary.pattern })
  })
  const typed = Effect.fnUntraced(function* (
    service: Service.Any,
    scope: "shared" | "session",
    clientOptions: ClientOptions | undefined
  ) {
    const summary = yield* scoped(service.name, service.version, scope)
    const encoding = clientOptions?.encoding ?? encodingOf(summary)
    yield* compare(service, summary, encoding, clientOptions?.contractMismatch)
    return callerOptions(summary, encoding, clientOptions?.interceptors)
  })
  const warned = new Set<string>()
  const compare = (service: Service.Any, summary: ServiceSummary, encoding: Encoding, own?: ContractDiffers.Policy) => {
    const policy = own ?? options.contractMismatch ?? ContractDiffers.defaultPolicy(summary, encoding)
    const difference = policy === "ignore" ? undefined : ContractDiffers.compare(service, summary)
    if (difference === undefined) return Effect.void
    if (policy === "refuse") return Effect.fail(difference)
    const key = `${summary.name} ${summary.version}`
    if (warned.has(key)) return Effect.void
    warned.add(key)
    return Effect.logWarning(difference.message)
  }
  const gossip = yield* ConsumerGossip.make(provider, readmit)
  const docs = yield* ConsumerDocs.make(options.docs ?? {}, config, blobs, gossip.service)
  return AsterClient.of({
    services,
    attributes: reply.attributes,
    openGate: presented === undefined,
    rootPubkey: reply.rootPubkey,
    registryNamespace: reply.registryNamespace,
    gossipTopic: reply.gossipTopic,
    blobs: ConsumerBlobs.make(blobs, { producer: provider, readmit }),
    gossip: gossip.consumer,
    docs,
    node,
    client: Effect.fnUntraced(function* (service, clientOptions) {
      return Caller.make(service, yield* typed(service, "shared", clientOptions))
    }),
    session: Effect.fnUntraced(function* (service, clientOptions) {
      return yield* Caller.session(service, yield* typed(service, "session", clientOptions))
    }),
    proxy: Effect.fnUntraced(function* (service, version) {
      return DynamicClient.make(service, callerOptions(yield* scoped(service, version, "shared"), "json"))
    }),
    sessionProxy: Effect.fnUntraced(function* (service, version) {
      return yield* DynamicClient.session(service, callerOptions(yield* scoped(service, version, "session"), "json"))
    })
  })
})

const blobsLayer = (
  { blobs }: AsterClientOptions,
  config: Resolved,
  producer: NodeAddr.NodeAddr
): Layer.Layer<Blobs, never, IrohNode> => {
  const directory = NodeConfig.storageDirectory(config, "blobs")
  return Layer.provide(Blobs.layerWith({ providers: [producer] }), BlobStore.layerIfAbsent({ ...blobs, directory }))
}

const TOKEN_USED =
  "the producer admits this consumer no longer, and its one-time token is used up: ask the operator for a new credential"

/** A producer under pressure says so, or drops who was first to wait; asking again soon is what it expects. */
const whileBusy = <A>(
  admission: Effect.Effect<A, ConnectFailure>,
  patience: Duration.Input
): Effect.Effect<A, ConnectFailure> =>
  Effect.retry(admission, {
    while: (error) => error._tag === "HandshakeError" && error.reason === "Busy",
    schedule: Schedule.exponential("100 millis", 1.5).pipe(Schedule.jittered, Schedule.upTo({ duration: patience }))
  })

/** Whether asking again can change the outcome. */
const isFinal = (error: ConnectFailure): boolean => error._tag === "AdmissionDenied" || error._tag === "RootKeyMismatch"

/** The admission handshake on a connection of its own. */
const admit = Effect.fnUntraced(function* ({
  address,
  config,
  node,
  presentation: { presented, root },
  producer,
  timeout
}: {
  readonly node: IrohNode["Service"]
  readonly producer: NodeAddr.NodeAddr
  readonly address: string
  readonly timeout: Duration.Input
  readonly presentation: PresentedCredential.Presentation
  readonly config: Resolved
}): Effect.fn.Return<ConsumerAdmission.AdmissionReply, ConnectFailure> {
  const request: AdmissionRequest =
    presented === undefined
      ? { credential: "", iidToken: "" }
      : {
          credential: toJson(presented.credential, "wire"),
          iidToken: config.enrollmentCredentialIid === undefined ? "" : Redacted.value(config.enrollmentCredentialIid)
        }
  const dial = Effect.acquireRelease(
    node.connect(producer, ConsumerAdmission.ALPN, { timeout }),
    (connection) => connection.close(0, "done"),
    { interruptible: true }
  )
  const reply = yield* Effect.scoped(
    Effect.flatMap(dial, (connection) => ConsumerAdmission.request(connection, { request, timeout }))
  )
  if (!reply.admitted) {
    return yield* new AdmissionDenied({
      endpointId: producer.endpointId,
      address,
      ownEndpointId: node.endpointId,
      credential:
        presented === undefined
          ? undefined
          : {
              source: presented.source,
              type: presented.credential.type,
              rootPubkey: presented.credential.rootPubkey
            },
      producerRoot: reply.rootPubkey
    })
  }
  if (root === undefined || reply.rootPubkey === root) return reply
  return yield* new RootKeyMismatch({ endpointId: producer.endpointId, expected: root, actual: reply.rootPubkey })
})

/** An empty list means XLANG; a list with JSON and without XLANG means JSON. */
const encodingOf = ({ serializationModes }: ServiceSummary): Encoding =>
  serializationModes.length > 0 && !serializationModes.includes("xlang") && serializationModes.includes("json")
    ? "json"
    : "xlang"

/**
 * Where the service is called. The producer's word is taken for addresses of its own and nobody else's: a call that it
 * sent to another node would be made there with this consumer's rights.
 */
const addressOf = (summary: ServiceSummary, producer: NodeAddr.NodeAddr): NodeAddr.NodeAddr => {
  const channel = summary.channels["rpc"]
  if (channel === undefined) return producer
  try {
    const address = NodeAddr.parse(channel)
    return address.endpointId === producer.endpointId ? NodeAddr.union(producer, address) : producer
  } catch {
    return producer
  }
}
