/**
 * The handshake by which a consumer gets to know a producer's services, and by which it is admitted where a gate is
 * closed (Aster admission, consumer admission handshake).
 *
 * @since 0.1.0
 */
import * as ServiceSummary from "@aster-effect/core/contract/ServiceSummary"
import type { StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type * as Router from "@aster-effect/iroh/Router"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as AdmissionAlpn from "./AdmissionAlpn.ts"
import { type AdmissionPath, AdmittedPeers } from "./AdmittedPeers.ts"
import * as Credential from "./Credential.ts"
import { Gates } from "./Gates.ts"
import * as Handshake from "./Handshake.ts"
import * as InstanceIdentity from "./InstanceIdentity.ts"
import { NonceStore } from "./NonceStore.ts"

/** What a producer answers. Everything in it is the peer's word. @since 0.1.0 */
export interface AdmissionReply {
  readonly admitted: boolean
  readonly attributes: Credential.Attributes
  readonly services: ReadonlyArray<ServiceSummary.ServiceSummary>
  /** 64 hex digits, or empty. */
  readonly registryNamespace: string
  /** 64 hex digits, or empty. */
  readonly rootPubkey: string
  /** The producers' topic, 64 hex digits; only told to the endpoint whose key is the root key, else empty. */
  readonly gossipTopic: string
}

/** A refusal says nothing about its reason on the wire. @since 0.1.0 */
export const denied = (rootPubkey: string): AdmissionReply => ({
  admitted: false,
  attributes: new Map(),
  services: [],
  registryNamespace: "",
  rootPubkey,
  gossipTopic: ""
})

/** @since 0.1.0 */
export const encodeReply = (reply: AdmissionReply): Uint8Array =>
  Handshake.encode({
    admitted: reply.admitted,
    attributes: Object.fromEntries(reply.attributes),
    services: reply.services.map(ServiceSummary.toJson),
    registry_namespace: reply.registryNamespace,
    root_pubkey: reply.rootPubkey,
    reason: "",
    ...(reply.gossipTopic === "" ? undefined : { gossip_topic: reply.gossipTopic })
  })

/**
 * Reads a reply; undefined when it is not JSON or does not say whether the consumer is admitted. Other missing and
 * malformed parts count as empty, services that break a rule are dropped.
 *
 * @since 0.1.0
 */
export const decodeReply = (bytes: Uint8Array): AdmissionReply | undefined => {
  const json = Handshake.parse(bytes)
  if (json === undefined || typeof json["admitted"] !== "boolean") return undefined
  const attributes = Handshake.isJsonObject(json["attributes"]) ? Object.entries(json["attributes"]) : []
  return {
    admitted: json["admitted"],
    attributes: new Map(attributes.filter((entry): entry is [string, string] => typeof entry[1] === "string")),
    services: ServiceSummary.listFromJson(json["services"]),
    registryNamespace: Handshake.hexId(json["registry_namespace"]) || Handshake.hexId(json["registry_ticket"]),
    rootPubkey: Handshake.hexId(json["root_pubkey"]),
    gossipTopic: Handshake.hexId(json["gossip_topic"])
  }
}

/**
 * Why a consumer is refused. For logs only.
 *
 * | refusal | meaning |
 * |---|---|
 * | `Malformed` | no request, or no credential in it |
 * | `NoCredential` | the gate is closed and none was presented |
 * | `NoRoot` | a credential was presented, and nothing can verify it |
 * | `InstanceIdentity` | it is tied to an instance, which was not proven |
 * | `TokenUsed` | the one-time token was used before |
 * | `TokenUnverifiable` | the nonce store cannot tell whether it was |
 * | `Full` | no further peer fits the record |
 * | `Revoked` | the peer was put out |
 *
 * @since 0.1.0
 */
export type Refusal =
  | Credential.Denial
  | "Malformed"
  | "NoCredential"
  | "NoRoot"
  | "InstanceIdentity"
  | "TokenUsed"
  | "TokenUnverifiable"
  | "Full"
  | "Revoked"

/** What `decide` finds: the attributes of an admitted consumer, or why it is refused. @since 0.1.0 */
export type Decision = Result.Result<Credential.Attributes, Refusal>

const path: AdmissionPath = "consumer_admission"
const nothing: Credential.Attributes = new Map()

/**
 * Whether a consumer comes in, in the order of the specification. When this succeeds with attributes, the consumer is on
 * record already. A nonce is used up last, after everything else that could refuse.
 *
 * Without a credential an open gate admits; it records the consumer only while Gate 0 asks, and never replaces what a
 * credential brought. A credential is checked in full by an open gate too.
 *
 * @since 0.1.0
 */
export const decide = Effect.fnUntraced(function* (
  request: Handshake.AdmissionRequest | undefined,
  consumer: EndpointId
): Effect.fn.Return<Decision, never, Gates | AdmittedPeers | NonceStore> {
  const gates = yield* Gates
  if (request === undefined) return Result.fail("Malformed")
  if (request.credential === "") {
    return gates.consumers === "open" ? yield* welcome(consumer) : Result.fail("NoCredential")
  }
  if (gates.root === undefined) return Result.fail("NoRoot")
  const parsed = Credential.parseConsumer(request.credential)
  if (Result.isFailure(parsed)) return Result.fail("Malformed")
  const credential = parsed.success
  const nowMillis = yield* Clock.currentTimeMillis
  const denial = Credential.check(credential, { root: gates.root, peer: consumer, nowMillis })
  if (denial !== undefined) return Result.fail(denial)
  if (!(yield* InstanceIdentity.verify(credential.attributes, request.iidToken, consumer))) {
    return Result.fail("InstanceIdentity")
  }
  // A token that is used up without an admission is lost to its owner.
  return yield* Effect.uninterruptible(enter(credential, consumer))
})

/** An admission without a credential. */
const welcome = Effect.fnUntraced(function* (
  endpointId: EndpointId
): Effect.fn.Return<Decision, never, Gates | AdmittedPeers> {
  const { active } = yield* Gates
  const peers = yield* AdmittedPeers
  if (!active || (yield* peers.get(endpointId)) !== undefined) return Result.succeed(nothing)
  return yield* peers
    .admit({ endpointId, attributes: nothing, expiresAt: undefined, path })
    .pipe(Effect.as(Result.succeed(nothing)), Effect.catch(refused))
})

/** Uses up the nonce, if there is one, and puts the consumer on record. */
const enter = Effect.fnUntraced(function* (
  { attributes, expiresAt, nonce }: Credential.ConsumerEnrollmentCredential,
  endpointId: EndpointId
): Effect.fn.Return<Decision, never, AdmittedPeers | NonceStore> {
  const peers = yield* AdmittedPeers
  const admission = { endpointId, attributes, expiresAt: Number(expiresAt) * 1000, path }
  const admit = Effect.as(peers.admit(admission), Result.succeed(attributes))
  if (nonce === undefined) return yield* Effect.catch(admit, refused)
  const store = yield* NonceStore
  return yield* peers.admissible(endpointId).pipe(
    Effect.andThen(store.consume({ nonce, expiresAt })),
    Effect.flatMap((first) => (first ? admit : Effect.succeed<Decision>(Result.fail("TokenUsed")))),
    Effect.catch(refused)
  )
})

const refusals = {
  AdmittedPeersFull: "Full",
  PeerRevoked: "Revoked",
  NonceStoreError: "TokenUnverifiable"
} as const

const refused = (error: { readonly _tag: keyof typeof refusals; readonly message: string }): Effect.Effect<Decision> =>
  Effect.as(Effect.logWarning(error.message), Result.fail(refusals[error._tag]))

/** Consumers by outcome. @since 0.1.0 */
export const admittedConsumers = Metric.counter("aster_admission_consumer_admitted_total", { incremental: true })
/** @since 0.1.0 */
export const deniedConsumers = Metric.counter("aster_admission_consumer_denied_total", { incremental: true })

/** What an admitted consumer is told. @since 0.1.0 */
export type Welcome = Pick<AdmissionReply, "services" | "registryNamespace" | "gossipTopic">

/**
 * The handshake as a protocol of a router.
 *
 * @since 0.1.0
 */
export const protocol = <R>(
  options: ServeOptions<R>
): Router.Protocol<R | Gates | AdmittedPeers | NonceStore | Handshake.HandshakeLimits> => ({
  alpn: AdmissionAlpn.CONSUMER,
  handler: (connection) => serve(connection, options)
})

/** What a handshake is served with. @since 0.1.0 */
export interface ServeOptions<R> extends Handshake.ServeOptions {
  /** What an admitted consumer is told. */
  readonly welcome: (consumer: EndpointId) => Effect.Effect<Welcome, never, R>
}

/**
 * Serves one connection of the consumer admission protocol. Malformed requests are denied like any other; see
 * `Handshake.serve` for empty, over-long, slow and too many ones.
 *
 * @param options.welcome what to tell a consumer that is admitted
 * @since 0.1.0
 */
export const serve = <R>(
  connection: Connection,
  options: ServeOptions<R>
): Effect.Effect<void, never, R | Gates | AdmittedPeers | NonceStore | Handshake.HandshakeLimits> =>
  Handshake.serve(
    connection,
    Effect.fnUntraced(function* (bytes) {
      const { remoteId } = connection
      const rootPubkey = (yield* Gates).root ?? ""
      const request = Handshake.decodeRequest(bytes)
      const decision = yield* decide(request, remoteId)
      if (Result.isSuccess(decision)) {
        // Where nothing has to be shown there is nothing to try out: consumers may come back as often as they like.
        if (request?.credential === "") yield* (yield* Handshake.HandshakeLimits).forgive(remoteId)
        yield* Metric.update(admittedConsumers, 1)
        const told = yield* options.welcome(remoteId)
        return encodeReply({ ...told, admitted: true, attributes: decision.success, rootPubkey })
      }
      yield* Metric.update(deniedConsumers, 1)
      yield* Effect.logInfo("A consumer is not admitted", { peer: remoteId, reason: decision.failure })
      return encodeReply(denied(rootPubkey))
    }),
    options
  )

/**
 * Asks for admission on a connection of the consumer admission protocol.
 *
 * @param options.timeout for the whole exchange, default 10 seconds
 * @since 0.1.0
 */
export const request = Effect.fnUntraced(function* (
  connection: Connection,
  options: { readonly request: Handshake.AdmissionRequest; readonly timeout?: Duration.Input | undefined }
): Effect.fn.Return<AdmissionReply, Handshake.HandshakeError | StreamError | ConnectionLost> {
  const reply = decodeReply(yield* Handshake.ask(connection, Handshake.encodeRequest(options.request), options))
  if (reply !== undefined) return reply
  const detail = "the producer's answer is not an admission reply"
  return yield* new Handshake.HandshakeError({ reason: "Malformed", detail })
})
