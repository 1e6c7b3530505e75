/**
 * The handshake by which another producer joins the mesh: it shows its credential and gets the salt, from which the
 * mesh's topic follows (Aster admission, producer admission handshake). Served only where producers are gated.
 *
 * @since 0.1.0
 */
import type { StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { type AdmissionPath, AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import * as Credential from "@aster-effect/trust/Credential"
import type { Gates } from "@aster-effect/trust/Gates"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type AdmissionRequest, decode } from "./AdmissionRequest.ts"
import * as AdmissionMetrics from "./AdmissionMetrics.ts"
import type * as Router from "@aster-effect/iroh/Router"
import * as Handshake from "./Handshake.ts"
import type { HandshakeSlots } from "./HandshakeSlots.ts"
import { encodeObject, hexId, malformed, type Malformed, parseObject } from "./internal/jsonMessage.ts"
import { type VerificationFailure, verifyRequest } from "./internal/verifyRequest.ts"

/** The protocol's name on the network. @since 0.1.0 */
export const ALPN = "aster.producer_admission"

/** What a producer learns that is taken in. @since 0.1.0 */
export interface Membership {
  /** 64 hex digits. */
  readonly salt: string
  /** Everybody in the mesh, the newcomer included, in ascending order. */
  readonly acceptedProducers: ReadonlyArray<EndpointId.EndpointId>
}

/** Takes a producer into the mesh, or says in an error why that cannot be. @since 0.1.0 */
export type Join = (
  producer: EndpointId.EndpointId,
  credential: Credential.EnrollmentCredential
) => Effect.Effect<Membership, { readonly message: string }>

/** What a producer is answered. @since 0.1.0 */
export interface ProducerReply {
  readonly accepted: boolean
  /** 64 hex digits; empty when refused, and for gateways and consumers, which are admitted without joining. */
  readonly salt: string
  /** Everybody in the mesh, the newcomer included, in ascending order. */
  readonly acceptedProducers: ReadonlyArray<EndpointId.EndpointId>
}

/** @since 0.1.0 */
export const refused: ProducerReply = { accepted: false, salt: "", acceptedProducers: [] }

/** @since 0.1.0 */
export const encodeReply = (reply: ProducerReply): Uint8Array =>
  encodeObject({
    accepted: reply.accepted,
    salt: reply.salt,
    accepted_producers: reply.acceptedProducers,
    reason: ""
  })

/**
 * Reads a reply, which has to say whether the producer is accepted. Ids that are not 64 lower-case hex digits are
 * dropped.
 *
 * @since 0.1.0
 */
export const decodeReply = (bytes: Uint8Array): Result.Result<ProducerReply, Malformed> =>
  Result.flatMap(parseObject(bytes), (json) => {
    if (typeof json["accepted"] !== "boolean") return malformed("it does not say whether this node is accepted")
    const producers: ReadonlyArray<unknown> = Array.isArray(json["accepted_producers"])
      ? json["accepted_producers"]
      : []
    return Result.succeed({
      accepted: json["accepted"],
      salt: hexId(json["salt"]),
      acceptedProducers: producers.map(hexId).flatMap((id) => (id === "" ? [] : [EndpointId.parse(id)]))
    })
  })

/** Why a producer is refused. For logs only; see the like of `ConsumerAdmission.Refusal`. @since 0.1.0 */
export type Refusal = VerificationFailure | "Mesh" | "Full" | "Revoked"

const path: AdmissionPath = "producer_admission"

/** Roles that are let in without becoming part of the mesh. Enrolment may put lists there, so only these exact words. */
const guests: ReadonlySet<string | undefined> = new Set(["gateway", "consumer"])

/**
 * Whether a producer comes in. Beside what its credential has to be, it has to be presented by the node it names. When
 * this succeeds, the producer is on record with the credential's expiry and part of the mesh.
 *
 * @since 0.1.0
 */
export const decide = Effect.fnUntraced(function* (
  request: AdmissionRequest,
  producer: EndpointId.EndpointId,
  join: Join
): Effect.fn.Return<Result.Result<ProducerReply, Refusal>, never, Gates | AdmittedPeers> {
  const peers = yield* AdmittedPeers
  const verified = yield* verifyRequest(request, producer, Credential.parseProducer)
  if (Result.isFailure(verified)) return Result.fail(verified.failure)
  const { attributes, expiresAt } = verified.success
  const membership = guests.has(attributes.get("aster.role"))
    ? Effect.succeed<Membership>({ salt: "", acceptedProducers: [] })
    : Effect.mapError(join(producer, verified.success), ({ message }) => ({ _tag: "Mesh" as const, message }))
  return yield* peers.admissible({ endpointId: producer, proof: { _tag: "Own" } }).pipe(
    Effect.andThen(membership),
    Effect.tap(() =>
      peers.admit({
        endpointId: producer,
        attributes,
        expiresAt: Number(expiresAt) * 1000,
        path,
        proof: { _tag: "Own" }
      })
    ),
    Effect.map((joined) => Result.succeed({ accepted: true, ...joined })),
    Effect.catch(({ _tag, message }) => Effect.as(Effect.logWarning(message), Result.fail(refusals[_tag])))
  )
})

const refusals = { AdmittedPeersFull: "Full", PeerRevoked: "Revoked", Mesh: "Mesh" } as const

/** Producers by outcome, for what reasons they were refused, and how long it took. @since 0.1.0 */
export const metrics = AdmissionMetrics.make("producer")

/** What a handshake is served with. @since 0.1.0 */
export interface ServeOptions extends Handshake.ServeOptions {
  /** Takes the producer into the mesh. */
  readonly join: Join
}

/** The handshake as a protocol of a router. @since 0.1.0 */
export const protocol = (options: ServeOptions): Router.Protocol<Gates | AdmittedPeers | HandshakeSlots> => ({
  alpn: ALPN,
  handler: (connection) => serve(connection, options)
})

/** Serves one connection of the producer admission protocol, within the limits of `Handshake.serve`. @since 0.1.0 */
export const serve = (
  connection: Connection,
  options: ServeOptions
): Effect.Effect<void, never, Gates | AdmittedPeers | HandshakeSlots> =>
  Effect.flatMap(AdmittedPeers, (peers) =>
    Handshake.serve(
      connection,
      Effect.fnUntraced(function* (bytes) {
        const request = decode(bytes)
        const decision: Result.Result<ProducerReply, Refusal> = Result.isSuccess(request)
          ? yield* metrics.timed(decide(request.success, connection.remoteId, options.join))
          : Result.fail("Malformed")
        if (Result.isSuccess(decision)) {
          yield* metrics.admitted
          return encodeReply(decision.success)
        }
        yield* metrics.denied(decision.failure)
        yield* Effect.logInfo("A producer is refused", { peer: connection.remoteId, reason: decision.failure })
        return encodeReply(refused)
      }),
      { ...options, known: peers.isKnown(connection.remoteId), failed: metrics.failed }
    )
  )

/**
 * Asks for admission on a connection of the producer admission protocol.
 *
 * @param options.timeout for the whole exchange, default 10 seconds
 * @since 0.1.0
 */
export const request = (
  connection: Connection,
  options: { readonly request: AdmissionRequest; readonly timeout?: Duration.Input | undefined }
): Effect.Effect<ProducerReply, Handshake.HandshakeError | StreamError | ConnectionLost> =>
  Handshake.request(connection, { ...options, decode: decodeReply })
