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
import { logSettings } from "@aster-effect/config/LogSettings"
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
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type { AuthorId } from "@aster-effect/iroh-docs/AuthorId"
import type { DocTicketError } from "@aster-effect/iroh-docs/DocsError"
import type { DocTicket } from "@aster-effect/iroh-docs/DocTicket"
import * as Logging from "@aster-effect/observability/Logging"
import { ContractUnavailable, type PublishedContract } from "@aster-effect/registry/PublishedContract"
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
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as ConsumerBlobs from "./ConsumerBlobs.ts"
import * as ConsumerDocs from "./ConsumerDocs.ts"
import * as ConsumerGossip from "./ConsumerGossip.ts"
import * as Contracts from "./internal/contracts.ts"
import * as RegistryLookup from "./internal/registryLookup.ts"
import * as ContractDiffers from "./ContractDiffers.ts"
import * as DynamicClient from "./DynamicClient.ts"
import * as Callee from "./internal/callee.ts"
import { type Link, ProducerLinks } from "./internal/producerLinks.ts"
import type { Strategy } from "./proto/ProducerPool.ts"
import * as Producers from "@aster-effect/transport/Producers"
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

/**
 * None of several producers can be called, and none of them has said why.
 *
 * @since 0.1.0
 */
export class NoProducer extends Schema.TaggedError<NoProducer>()("NoProducer", {
  /** How many the source knows. */
  listed: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return this.listed === 0
      ? "no producer is known yet: check what the client was told, or wait until one is up"
      : `none of ${this.listed} producers can be reached${this.detail === "" ? "" : `: ${this.detail}`}; check their addresses`
  }
}

/** How one of several producers is chosen for a call. @since 0.1.0 */
export type Balance = Strategy

/** Why a client does not come about. @since 0.1.0 */
export type ConnectFailure =
  | AdmissionDenied
  | AsterConfigError
  | ConnectError
  | ConnectionLost
  | CredentialFileError
  | HandshakeError
  | NoProducer
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
   * Instead of one address: producers that offer the same services, as a list of addresses or as they come and go. Each call
   * goes to one that admitted this consumer. A call that a producer has not begun with goes to another one; one that may
   * have begun does when its method is idempotent, within its deadline. A producer that is lost is asked for admission
   * again until it is back, with backoff.
   */
  readonly producers?: ReadonlyArray<string> | Producers.Producers | undefined
  /**
   * Which of several producers, among those that are as ready: the one that was called least recently, the one that says it
   * has least to do, or any. Default `round_robin`.
   */
  readonly balance?: Balance | undefined
  /**
   * Instead of addresses: a document ticket of a registry. Its nodes are producers of the deployment, and which producers
   * are called says the registry: those that serve `service`, as their leases come and go.
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
 * A consumer of one producer, or of several that offer the same. Calls share a connection, which is opened with the first of them and again when it was lost,
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
    /**
     * The contract of a service as a producer of it has published it: its methods, their patterns and fields. Without a
     * version, of the newest that is offered. It is read once, and looked for again when it was not there.
     */
    readonly contract: (
      service: string,
      version?: number
    ) => Effect.Effect<PublishedContract, ServiceNotOffered | ContractUnavailable>
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
        return Layer.effect(AsterClient, connectAny(options, resolved)).pipe(
          Layer.provide(IrohNode.layer(node)),
          Layer.provide(logging(resolved.config))
        )
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
  const dialled = yield* Scope.fork(yield* Effect.scope)
  const connected = Effect.gen(function* () {
    const begun = yield* Scope.provide(begin(options), dialled)
    const resolved = yield* resolve(options, undefined)
    return yield* Effect.provide(connectAny(options, resolved, begun), logging(resolved.config))
  })
  return yield* Effect.onExit(connected, (exit) => Scope.close(dialled, exit))
})

/**
 * Begins to dial the producer that code names, while the configuration is read. Answers the connection that comes of it,
 * which lives as long as the scope; undefined where it takes the configuration to know whom to dial.
 */
const begin = Effect.fnUntraced(function* ({
  address,
  connectTimeout,
  producers,
  registry
}: AsterClientOptions): Effect.fn.Return<Dial | undefined, never, IrohNode | Scope.Scope> {
  if (address === undefined || producers !== undefined || registry !== undefined) return undefined
  const producer = yield* Effect.option(parsed(() => NodeAddr.parse(address.trim())))
  if (Option.isNone(producer)) return undefined
  const node = yield* IrohNode
  return Fiber.join(yield* Effect.forkScoped(dial(node, producer.value, connectTimeout), { startImmediately: true }))
})

/** Connects for the admission handshake. */
type Dial = Effect.Effect<Connection, ConnectError, Scope.Scope>

const dial = (
  node: IrohNode["Service"],
  producer: NodeAddr.NodeAddr,
  timeout: Duration.Input = CONNECT_TIMEOUT
): Dial =>
  Effect.acquireRelease(
    node.connect(producer, ConsumerAdmission.ALPN, { timeout }),
    (connection) => connection.close(0, "done"),
    { interruptible: true }
  )

const CONNECT_TIMEOUT = "10 seconds"

/** What a client does by itself is logged as the settings say. */
const logging = (config: Resolved): Layer.Layer<never> => {
  const settings = logSettings(config)
  return settings === undefined ? Layer.empty : Logging.layer(settings)
}

/** What is known before there is a node. */
interface ResolvedClient {
  readonly config: Resolved
  readonly trust: ClientTrust.ClientTrust
  readonly from: From
}

/** Whom to call. */
type From =
  | { readonly _tag: "One"; readonly address: string; readonly producer: NodeAddr.NodeAddr }
  | { readonly _tag: "Several"; readonly producers: Producers.Producers }
  | { readonly _tag: "Registry"; readonly ticket: DocTicket; readonly wanted: Wanted }

const resolve = Effect.fnUntraced(function* (
  options: AsterClientOptions,
  secretKey: SecretKey | undefined
): Effect.fn.Return<ResolvedClient, AsterConfigError | TicketError | DocTicketError> {
  const config = yield* NodeConfig.resolve(options, secretKey)
  const from = yield* fromOf(options, config)
  const rootPubkey = yield* NodeConfig.rootPubkey(options.rootPubkey)
  const trust = yield* ClientTrust.resolve(config, { ...options, rootPubkey })
  return { config, trust, from }
})

const fromOf = Effect.fnUntraced(function* (
  { address, producers, registry, service }: AsterClientOptions,
  config: Resolved
): Effect.fn.Return<From, AsterConfigError | TicketError | DocTicketError> {
  if ([address, producers, registry].filter((given) => given !== undefined).length > 1) {
    return yield* invalid("producers", "one of address, producers and registry says whom to call, and not several")
  }
  if (registry !== undefined) {
    const ticket = yield* RegistryLookup.parse(registry)
    if (service === undefined)
      return yield* invalid("service", "missing: say which service is looked for in the registry")
    return { _tag: "Registry", ticket, wanted: service }
  }
  if (producers !== undefined) {
    if (!Array.isArray(producers)) return { _tag: "Several", producers: producers as Producers.Producers }
    if (producers.length === 0) return yield* invalid("producers", "the list is empty: name at least one producer")
    const known = yield* parsed(() => Producers.fromList(producers))
    return { _tag: "Several", producers: known }
  }
  const configured = (address ?? config.endpointAddr ?? "").trim()
  if (configured === "") {
    return yield* invalid("address", "missing: pass the producer's address, or set ASTER_ENDPOINT_ADDR")
  }
  return { _tag: "One", address: configured, producer: yield* parsed(() => NodeAddr.parse(configured)) }
})

const invalid = (option: string, detail: string) =>
  new AsterConfigError({ reason: "InvalidValue", origin: { option }, detail })

const parsed = <A>(read: () => A): Effect.Effect<A, TicketError> =>
  Effect.try({
    try: read,
    catch: (error) => (error instanceof TicketError ? error : new TicketError({ problem: String(error) }))
  })

const connectAny = Effect.fnUntraced(function* (
  options: AsterClientOptions,
  { config, from, trust }: ResolvedClient,
  begun?: Dial
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, IrohNode | Scope.Scope> {
  const node = yield* IrohNode
  const timeout = options.connectTimeout ?? CONNECT_TIMEOUT
  const presentation = yield* PresentedCredential.resolve(trust, options.credential, node.endpointId)
  const common: Common = { options, config, node, timeout, presentation }
  switch (from._tag) {
    case "One":
      return yield* connectOne(common, from, begun)
    case "Several":
      return yield* connectSeveral(common, from.producers, options.balance)
    case "Registry": {
      const { ticket, wanted } = from
      const connect = (producer: NodeAddr.NodeAddr) =>
        connectOne(common, { producer, address: NodeAddr.toBase64(producer) })
      const producers = yield* RegistryLookup.follow({ ticket, wanted, owner: options.registryOwner, connect })
      return yield* connectSeveral(common, producers, options.balance ?? wanted.strategy)
    }
  }
})

/** What does not depend on the producer. */
interface Common {
  readonly options: AsterClientOptions
  readonly config: Resolved
  readonly node: IrohNode["Service"]
  readonly timeout: Duration.Input
  readonly presentation: PresentedCredential.Presentation
}

const connectOne = Effect.fnUntraced(function* (
  common: Common,
  { address, producer }: { readonly address: string; readonly producer: NodeAddr.NodeAddr },
  begun?: Dial
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, IrohNode | Scope.Scope> {
  const { node, options, timeout } = common
  const { presented } = common.presentation
  let latest: ConsumerAdmission.AdmissionReply | undefined
  let first = begun
  const dialling = Effect.suspend(() => {
    const connection = first ?? dial(node, producer, timeout)
    first = undefined
    return connection
  })
  const admission = Effect.tap(whileBusy(admit({ ...common, producer, address }, dialling), timeout), (reply) =>
    Effect.sync(() => (latest = reply))
  )
  const reply = yield* admission
  const readmit = readmitting(common, admission)
  const dialer = yield* RpcDialer.make(node, {
    timeout,
    readmit,
    prove: presented !== undefined,
    multiplex: options.multiplex,
    maxConnections: options.maxConnections
  })
  const callee = Callee.single(producer, reply.services, dialer)
  const home = Callee.provider(reply.services, producer)
  const publishers = () => [{ producer: home, reply: latest ?? reply }]
  return yield* clientOf(common, callee, { reply, readmit, providers: [home], publishers })
})

const readmitting = (
  { presentation }: Common,
  admission: Effect.Effect<ConsumerAdmission.AdmissionReply, ConnectFailure>
): Effect.Effect<void, RpcError> =>
  presentation.presented?.credential.type === "ott"
    ? Effect.fail(RpcError.of("PERMISSION_DENIED", TOKEN_USED))
    : Effect.mapError(admission, (error) =>
        RpcError.of(isFinal(error) ? "PERMISSION_DENIED" : "UNAVAILABLE", error.message)
      )

/** Every producer is asked for admission like a single one, and called when it has admitted us. */
const connectSeveral = Effect.fnUntraced(function* (
  common: Common,
  producers: Producers.Producers,
  strategy: Strategy = "round_robin"
): Effect.fn.Return<AsterClient["Service"], ConnectFailure, IrohNode | Scope.Scope> {
  const { node, options, presentation, timeout } = common
  if (presentation.presented?.credential.type === "ott") {
    return yield* invalid(
      "producers",
      "a one-time token lets in at one producer: show a policy credential, or name one"
    )
  }
  const asking = (producer: NodeAddr.NodeAddr) =>
    whileBusy(
      admit({ ...common, producer, address: NodeAddr.toBase64(producer) }, dial(node, producer, timeout)),
      timeout
    )
  const random = yield* Random.Random
  const links = yield* ProducerLinks.make<ConnectFailure>(
    {
      producers,
      strategy,
      admit: asking,
      isFinal,
      dial: (lost) =>
        RpcDialer.make(node, { timeout, lost, multiplex: options.multiplex, maxConnections: options.maxConnections }),
      addressOf: ({ services }, producer) => Callee.provider(services, producer)
    },
    () => random.nextDoubleUnsafe()
  )
  const first = yield* firstOf(links, producers, timeout)
  const readmit = readmitting(common, asking(first.producer))
  const callee = Callee.several(links, Duration.fromInputUnsafe(timeout))
  const listed = yield* producers.get
  const providers = [
    Callee.provider(first.reply.services, first.producer),
    ...listed.map(({ address }) => address).filter(({ endpointId }) => endpointId !== first.producer.endpointId)
  ]
  const publishers = () => (links.open.length === 0 ? [first] : links.open)
  return yield* clientOf(common, callee, { reply: first.reply, readmit, providers, publishers })
})

/** The first producer that lets us in. When none of those that are listed does, that is why there is no client. */
const firstOf = Effect.fnUntraced(function* (
  links: ProducerLinks<ConnectFailure>,
  producers: Producers.Producers,
  timeout: Duration.Input
): Effect.fn.Return<Link, ConnectFailure> {
  const found = Effect.gen(function* () {
    while (true) {
      const { changed } = links
      const link = links.open[0]
      if (link !== undefined) return link
      if (links.settled) return yield* nobody
      yield* changed
    }
  })
  const nobody = Effect.suspend(() => {
    const error = [...links.failures.values()][0]
    if (error !== undefined && error._tag !== "RpcError") return Effect.fail(error)
    return Effect.flatMap(producers.get, ({ length }) =>
      Effect.fail(new NoProducer({ listed: length, detail: error?.message ?? "" }))
    )
  })
  // Connecting and admission have this time each, and whoever is listed first may be gone.
  return yield* Effect.timeoutOrElse(found, {
    duration: Duration.times(Duration.fromInputUnsafe(timeout), 3),
    orElse: () => nobody
  })
})

/** A client, wherever its calls go. */
const clientOf = Effect.fnUntraced(function* (
  { config, node, options, presentation, timeout }: Common,
  callee: Callee.Callee,
  home: {
    /** What the producer said that has let us in. */
    readonly reply: ConsumerAdmission.AdmissionReply
    readonly readmit: Effect.Effect<void, RpcError>
    /** It, and others that may have what it has. */
    readonly providers: ReadonlyArray<NodeAddr.NodeAddr>
    /** Who can be called, and what they said last. */
    readonly publishers: () => ReadonlyArray<Pick<Link, "producer" | "reply">>
  }
): Effect.fn.Return<AsterClient["Service"], never, IrohNode | Scope.Scope> {
  const { providers, publishers, readmit, reply } = home
  const producer = providers[0]!
  const blobs = Context.get(yield* Layer.build(blobsLayer(options, config, providers)), Blobs)
  const tracing = (options.tracing ?? true) && (yield* Tracing.isInstalled) ? [Tracing.client] : []
  const counting = options.metrics === true && !CallMetrics.isAmong(options.interceptors ?? [])
  const metrics = counting ? [CallMetrics.make("client", { messages: false })] : []
  const callerOptions = (
    { summary }: Callee.Called,
    encoding: Encoding,
    way: Callee.Way,
    interceptors: ReadonlyArray<Interceptor>
  ): Caller.CallerOptions => ({
    ...way,
    version: summary.version,
    encoding,
    interceptors: [...metrics, ...(options.interceptors ?? []), ...interceptors, ...tracing]
  })
  const calling = (called: Callee.Called, encoding: Encoding, interceptors: ReadonlyArray<Interceptor> = []) => {
    const { interceptors: inner, ...way } = callee.calls(called)
    return callerOptions(called, encoding, way, [...interceptors, ...inner])
  }
  /** What is offered of a service, of its newest version when none is named. */
  const find = (
    service: string,
    version: number | undefined
  ): Effect.Effect<Arr.NonEmptyReadonlyArray<ServiceSummary>, ServiceNotOffered> => {
    const offered = callee.offered()
    const found = offered.filter(({ name }) => name === service)
    const wanted = version ?? Math.max(...found.map((summary) => summary.version))
    const inVersion = found.filter((summary) => summary.version === wanted)
    if (Arr.isReadonlyArrayNonEmpty(inVersion)) return Effect.succeed(inVersion)
    const names = distinct(offered).map(({ name, version: v }) => `${name} v${v}`)
    return Effect.fail(new ServiceNotOffered({ service, version, offered: names }))
  }
  const findIn = (service: string, version: number | undefined, scope: "shared" | "session") =>
    Effect.flatMap(find(service, version), (found) => {
      const inScope = found.filter(({ pattern }) => pattern === scope)
      return Arr.isReadonlyArrayNonEmpty(inScope)
        ? Effect.succeed(inScope)
        : Effect.fail(new ServiceScopeMismatch({ service, scope: found[0].pattern }))
    })
  const readContract = yield* Contracts.make({
    node,
    readmit,
    publishers: (contractId) =>
      publishers().flatMap(({ producer, reply: { registryNamespace, services } }) =>
        services.some((offered) => offered.contractId === contractId) ? [{ producer, registryNamespace }] : []
      )
  })
  const contract = ({ contractId, name }: ServiceSummary) =>
    contractId === ""
      ? Effect.fail(new ContractUnavailable({ contractId, detail: `the producer says of ${name} no contract id` }))
      : readContract(contractId)
  /** The pattern of a method by its published contract; a producer need not publish it to be called. */
  const patternIn = (summary: ServiceSummary) => (method: string) =>
    contract(summary).pipe(
      Effect.timeout(timeout),
      Effect.map(({ manifest }) => manifest.methods.find(({ name }) => name === method)?.pattern),
      Effect.orElseSucceed(() => undefined)
    )
  const dynamic = (service: string, version: number | undefined, scope: "shared" | "session") =>
    Effect.map(findIn(service, version, scope), ([summary]) => ({
      called: { summary, fits: ({ pattern }: ServiceSummary) => pattern === scope },
      patternOf: patternIn(summary)
    }))
  const typed = Effect.fnUntraced(function* (
    service: Service.Any,
    scope: "shared" | "session",
    clientOptions: ClientOptions | undefined
  ) {
    const found = yield* findIn(service.name, service.version, scope)
    const encoding = clientOptions?.encoding ?? encodingOf(found[0])
    const differing = (summary: ServiceSummary) => {
      const policy =
        clientOptions?.contractMismatch ?? options.contractMismatch ?? ContractDiffers.defaultPolicy(summary, encoding)
      const difference = policy === "ignore" ? undefined : ContractDiffers.compare(service, summary)
      return difference === undefined ? undefined : { difference, refused: policy === "refuse" }
    }
    const summary = found.find((summary) => differing(summary)?.refused !== true) ?? found[0]
    const differs = differing(summary)
    if (differs?.refused === true) return yield* differs.difference
    if (differs !== undefined) yield* warnOnce(summary, differs.difference)
    const called: Callee.Called = {
      summary,
      fits: (offered) => offered.pattern === scope && speaks(offered, encoding) && differing(offered)?.refused !== true
    }
    return { called, encoding }
  })
  const warned = new Set<string>()
  const warnOnce = ({ name, version }: ServiceSummary, { message }: ContractDiffers.ContractDiffers) =>
    Effect.suspend(() => {
      const key = `${name} ${version}`
      if (warned.has(key)) return Effect.void
      warned.add(key)
      return Effect.logWarning(message)
    })
  const gossip = yield* ConsumerGossip.make(providers, readmit)
  const docs = yield* ConsumerDocs.make(options.docs ?? {}, config, blobs, gossip.service)
  return AsterClient.of({
    get services() {
      return distinct(callee.offered())
    },
    attributes: reply.attributes,
    openGate: presentation.presented === undefined,
    rootPubkey: reply.rootPubkey,
    registryNamespace: reply.registryNamespace,
    gossipTopic: reply.gossipTopic,
    blobs: ConsumerBlobs.make(blobs, { producer, readmit }),
    gossip: gossip.consumer,
    docs,
    node,
    client: Effect.fnUntraced(function* (service, clientOptions) {
      const { called, encoding } = yield* typed(service, "shared", clientOptions)
      return Caller.make(service, calling(called, encoding, clientOptions?.interceptors))
    }),
    session: Effect.fnUntraced(function* (service, clientOptions) {
      const { called, encoding } = yield* typed(service, "session", clientOptions)
      return yield* callee.one(called, (way) =>
        Caller.session(service, callerOptions(called, encoding, way, clientOptions?.interceptors ?? []))
      )
    }),
    contract: Effect.fn("AsterClient.contract")(function* (service, version) {
      const [summary] = yield* find(service, version)
      return yield* contract(summary)
    }),
    proxy: Effect.fnUntraced(function* (service, version) {
      const { called, patternOf } = yield* dynamic(service, version, "shared")
      return DynamicClient.make(service, { ...calling(called, "json"), patternOf })
    }),
    sessionProxy: Effect.fnUntraced(function* (service, version) {
      const { called, patternOf } = yield* dynamic(service, version, "session")
      return yield* callee.one(called, (way) =>
        DynamicClient.session(service, { ...callerOptions(called, "json", way, []), patternOf })
      )
    })
  })
})

/** Each service in each version once. */
const distinct = (offered: ReadonlyArray<ServiceSummary>): ReadonlyArray<ServiceSummary> =>
  [
    ...new Map(offered.toReversed().map((summary) => [`${summary.version} ${summary.name}`, summary])).values()
  ].toReversed()

const blobsLayer = (
  { blobs }: AsterClientOptions,
  config: Resolved,
  providers: ReadonlyArray<NodeAddr.NodeAddr>
): Layer.Layer<Blobs, never, IrohNode> => {
  const directory = NodeConfig.storageDirectory(config, "blobs")
  return Layer.provide(Blobs.layerWith({ providers }), BlobStore.layerIfAbsent({ ...blobs, directory }))
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
const admit = Effect.fnUntraced(function* (
  {
    address,
    config,
    node,
    presentation: { presented, root },
    producer,
    timeout
  }: Common & { readonly producer: NodeAddr.NodeAddr; readonly address: string },
  dial: Dial
): Effect.fn.Return<ConsumerAdmission.AdmissionReply, ConnectFailure> {
  const request: AdmissionRequest =
    presented === undefined
      ? { credential: "", iidToken: "" }
      : {
          credential: toJson(presented.credential, "wire"),
          iidToken: config.enrollmentCredentialIid === undefined ? "" : Redacted.value(config.enrollmentCredentialIid)
        }
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

/** Every producer takes JSON. */
const speaks = ({ serializationModes }: ServiceSummary, encoding: Encoding): boolean =>
  encoding === "json" || serializationModes.length === 0 || serializationModes.includes("xlang")
