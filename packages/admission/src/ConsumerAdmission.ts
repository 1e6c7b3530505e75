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
import { type AdmissionPath, AdmittedPeers, type Proof } from "@aster-effect/trust/AdmittedPeers"
import * as Credential from "@aster-effect/trust/Credential"
import { Gates } from "@aster-effect/trust/Gates"
import { NonceStore } from "@aster-effect/trust/NonceStore"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type AdmissionRequest, decode } from "./AdmissionRequest.ts"
import * as AdmissionMetrics from "./AdmissionMetrics.ts"
import type * as Router from "@aster-effect/iroh/Router"
import * as Handshake from "./Handshake.ts"
import { HandshakeSlots } from "./HandshakeSlots.ts"
import { encodeObject, hexId, isJsonObject, malformed, type Malformed, parseObject } from "./internal/jsonMessage.ts"
import { type VerificationFailure, verifyRequest } from "./internal/verifyRequest.ts"

/** The protocol's name on the network. @since 0.1.0 */
export const ALPN = "aster.consumer_admission"

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
  encodeObject({
    admitted: reply.admitted,
    attributes: Object.fromEntries(reply.attributes),
    services: reply.services.map(ServiceSummary.toJson),
    registry_namespace: reply.registryNamespace,
    root_pubkey: reply.rootPubkey,
    reason: "",
    ...(reply.gossipTopic === "" ? undefined : { gossip_topic: reply.gossipTopic })
  })

/**
 * Reads a reply, which has to say whether the consumer is admitted. Other missing and malformed parts count as empty,
 * services that break a rule are dropped.
 *
 * @since 0.1.0
 */
export const decodeReply = (bytes: Uint8Array): Result.Result<AdmissionReply, Malformed> =>
  Result.flatMap(parseObject(bytes), (json) => {
    if (typeof json["admitted"] !== "boolean") return malformed("it does not say whether this node is admitted")
    const attributes = isJsonObject(json["attributes"]) ? Object.entries(json["attributes"]) : []
    return Result.succeed({
      admitted: json["admitted"],
      attributes: new Map(attributes.filter((entry): entry is [string, string] => typeof entry[1] === "string")),
      services: ServiceSummary.listFromJson(json["services"]),
      registryNamespace: hexId(json["registry_namespace"]) || hexId(json["registry_ticket"]),
      rootPubkey: hexId(json["root_pubkey"]),
      gossipTopic: hexId(json["gossip_topic"])
    })
  })

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
export type Refusal = VerificationFailure | "NoCredential" | "TokenUsed" | "TokenUnverifiable" | "Full" | "Revoked"

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
  request: AdmissionRequest,
  consumer: EndpointId
): Effect.fn.Return<Decision, never, Gates | AdmittedPeers | NonceStore> {
  if (request.credential === "") {
    return (yield* Gates).consumers === "open" ? yield* enterOpen(consumer) : Result.fail("NoCredential")
  }
  const verified = yield* verifyRequest(request, consumer, Credential.parseConsumer)
  if (Result.isFailure(verified)) return Result.fail(verified.failure)
  // A token that is used up without an admission is lost to its owner.
  return yield* Effect.uninterruptible(enter(verified.success, consumer))
})

/** An admission without a credential. */
const enterOpen = Effect.fnUntraced(function* (
  endpointId: EndpointId
): Effect.fn.Return<Decision, never, Gates | AdmittedPeers> {
  const { active } = yield* Gates
  const peers = yield* AdmittedPeers
  if (!active || (yield* peers.get(endpointId)) !== undefined) return Result.succeed(nothing)
  return yield* peers
    .admit({ endpointId, attributes: nothing, expiresAt: undefined, path, proof: undefined })
    .pipe(Effect.as(Result.succeed(nothing)), Effect.catch(refused))
})

/** Who shows a credential that any node may show counts among all who show it. */
const proofOf = ({ endpointId, nonce, signature }: Credential.ConsumerEnrollmentCredential): Proof =>
  endpointId === undefined && nonce === undefined ? { _tag: "Shared", credential: signature } : { _tag: "Own" }

/** Uses up the nonce, if there is one, and puts the consumer on record. */
const enter = Effect.fnUntraced(function* (
  credential: Credential.ConsumerEnrollmentCredential,
  endpointId: EndpointId
): Effect.fn.Return<Decision, never, AdmittedPeers | NonceStore> {
  const peers = yield* AdmittedPeers
  const { attributes, expiresAt, nonce } = credential
  const proof = proofOf(credential)
  const admission = { endpointId, attributes, expiresAt: Number(expiresAt) * 1000, path, proof }
  const admit = Effect.as(peers.admit(admission), Result.succeed(attributes))
  if (nonce === undefined) return yield* Effect.catch(admit, refused)
  const store = yield* NonceStore
  return yield* peers.admissible(admission).pipe(
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

/** Consumers by outcome, for what reasons they were refused, and how long it took. @since 0.1.0 */
export const metrics = AdmissionMetrics.make("consumer")

/** What an admitted consumer is told beside that it is. @since 0.1.0 */
export type Offer = Pick<AdmissionReply, "services" | "registryNamespace" | "gossipTopic">

/**
 * The handshake as a protocol of a router.
 *
 * @since 0.1.0
 */
export const protocol = <R>(
  options: ServeOptions<R>
): Router.Protocol<R | Gates | AdmittedPeers | NonceStore | HandshakeSlots> => ({
  alpn: ALPN,
  handler: (connection) => serve(connection, options)
})

/** What a handshake is served with. @since 0.1.0 */
export interface ServeOptions<R> extends Handshake.ServeOptions {
  /** What to tell a consumer that is admitted. */
  readonly offer: (consumer: EndpointId) => Effect.Effect<Offer, never, R>
}

/**
 * Serves one connection of the consumer admission protocol. Malformed requests are denied like any other; see
 * `Handshake.serve` for empty, over-long, slow and too many ones.
 *
 * @since 0.1.0
 */
export const serve = <R>(
  connection: Connection,
  options: ServeOptions<R>
): Effect.Effect<void, never, R | Gates | AdmittedPeers | NonceStore | HandshakeSlots> =>
  Effect.flatMap(AdmittedPeers, (peers) =>
    Handshake.serve(
      connection,
      Effect.fnUntraced(function* (bytes) {
        const { remoteId } = connection
        const rootPubkey = (yield* Gates).root ?? ""
        const request = decode(bytes)
        const decision: Decision = Result.isSuccess(request)
          ? yield* metrics.timed(decide(request.success, remoteId))
          : Result.fail("Malformed")
        if (Result.isSuccess(decision)) {
          // Where nothing has to be shown there is nothing to try out: consumers may come back as often as they like.
          if (Result.isSuccess(request) && request.success.credential === "") {
            yield* (yield* HandshakeSlots).refund(remoteId)
          }
          yield* metrics.admitted
          const offer = yield* options.offer(remoteId)
          return encodeReply({ ...offer, admitted: true, attributes: decision.success, rootPubkey })
        }
        yield* metrics.denied(decision.failure)
        yield* Effect.logInfo("A consumer is not admitted", { peer: remoteId, reason: decision.failure })
        return encodeReply(denied(rootPubkey))
      }),
      { ...options, known: peers.isKnown(connection.remoteId), failed: metrics.failed }
    )
  )

/**
 * Asks for admission on a connection of the consumer admission protocol.
 *
 * @param options.timeout for the whole exchange, default 10 seconds
 * @since 0.1.0
 */
export const request = (
  connection: Connection,
  options: { readonly request: AdmissionRequest; readonly timeout?: Duration.Input | undefined }
): Effect.Effect<AdmissionReply, Handshake.HandshakeError | StreamError | ConnectionLost> =>
  Handshake.request(connection, { ...options, decode: decodeReply })
