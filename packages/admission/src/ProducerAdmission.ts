/**
 * The handshake by which another producer joins the mesh: it shows its credential and gets the salt, from which the
 * mesh's topic follows (Aster admission, producer admission handshake). Served only where producers are gated.
 *
 * @since 0.1.0
 */
import type { StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
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
import { ProducerMesh } from "./ProducerMesh.ts"

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
  Handshake.encode({
    accepted: reply.accepted,
    salt: reply.salt,
    accepted_producers: reply.acceptedProducers,
    reason: ""
  })

/** Reads a reply; undefined when it is none. Ids that are not 64 lower-case hex digits are dropped. @since 0.1.0 */
export const decodeReply = (bytes: Uint8Array): ProducerReply | undefined => {
  const json = Handshake.parse(bytes)
  if (json === undefined || typeof json["accepted"] !== "boolean") return undefined
  const producers: ReadonlyArray<unknown> = Array.isArray(json["accepted_producers"]) ? json["accepted_producers"] : []
  return {
    accepted: json["accepted"],
    salt: Handshake.hexId(json["salt"]),
    acceptedProducers: producers.map(Handshake.hexId).flatMap((id) => (id === "" ? [] : [EndpointId.parse(id)]))
  }
}

/** Why a producer is refused. For logs only; see the like of `ConsumerAdmission.Refusal`. @since 0.1.0 */
export type Refusal = Credential.Denial | "Malformed" | "NoRoot" | "InstanceIdentity" | "Mesh" | "Full" | "Revoked"

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
  request: Handshake.AdmissionRequest | undefined,
  producer: EndpointId.EndpointId
): Effect.fn.Return<Result.Result<ProducerReply, Refusal>, never, Gates | AdmittedPeers | ProducerMesh> {
  const { root } = yield* Gates
  const mesh = yield* ProducerMesh
  const peers = yield* AdmittedPeers
  const parsed = request === undefined ? undefined : Credential.parseProducer(request.credential)
  if (request === undefined || parsed === undefined || Result.isFailure(parsed)) return Result.fail("Malformed")
  if (root === undefined) return Result.fail("NoRoot")
  const { attributes, expiresAt } = parsed.success
  const nowMillis = yield* Clock.currentTimeMillis
  const denial = Credential.check(parsed.success, { root, peer: producer, nowMillis })
  if (denial !== undefined) return Result.fail(denial)
  if (!(yield* InstanceIdentity.verify(attributes, request.iidToken, producer))) return Result.fail("InstanceIdentity")
  const join = guests.has(attributes.get("aster.role"))
    ? Effect.succeed<ProducerReply>({ accepted: true, salt: "", acceptedProducers: [] })
    : Effect.map(mesh.accept(producer), (acceptedProducers): ProducerReply => ({
        accepted: true,
        salt: mesh.salt,
        acceptedProducers
      }))
  return yield* peers.admissible(producer).pipe(
    Effect.andThen(join),
    Effect.tap(() => peers.admit({ endpointId: producer, attributes, expiresAt: Number(expiresAt) * 1000, path })),
    Effect.map((reply) => Result.succeed(reply)),
    Effect.catch((error) => Effect.as(Effect.logWarning(error.message), Result.fail(refusals[error._tag])))
  )
})

const refusals = { AdmittedPeersFull: "Full", PeerRevoked: "Revoked", MeshError: "Mesh" } as const

/** Producers by outcome. @since 0.1.0 */
export const admittedProducers = Metric.counter("aster_admission_producer_admitted_total", { incremental: true })
/** @since 0.1.0 */
export const deniedProducers = Metric.counter("aster_admission_producer_denied_total", { incremental: true })

/**
 * The handshake that admits into a mesh, as a protocol of a router.
 *
 * @since 0.1.0
 */
export const protocol = (
  mesh: ProducerMesh["Service"]
): Router.Protocol<Gates | AdmittedPeers | Handshake.HandshakeLimits> => ({
  alpn: AdmissionAlpn.PRODUCER,
  handler: (connection) => Effect.provideService(serve(connection), ProducerMesh, mesh)
})

/** Serves one connection of the producer admission protocol, within the limits of `Handshake.serve`. @since 0.1.0 */
export const serve = (
  connection: Connection,
  options: Handshake.ServeOptions = {}
): Effect.Effect<void, never, Gates | AdmittedPeers | ProducerMesh | Handshake.HandshakeLimits> =>
  Handshake.serve(
    connection,
    Effect.fnUntraced(function* (bytes) {
      const decision = yield* decide(Handshake.decodeRequest(bytes), connection.remoteId)
      if (Result.isSuccess(decision)) {
        yield* Metric.update(admittedProducers, 1)
        return encodeReply(decision.success)
      }
      yield* Metric.update(deniedProducers, 1)
      yield* Effect.logInfo("A producer is refused", { peer: connection.remoteId, reason: decision.failure })
      return encodeReply(refused)
    }),
    options
  )

/**
 * Asks for admission on a connection of the producer admission protocol.
 *
 * @param options.timeout for the whole exchange, default 10 seconds
 * @since 0.1.0
 */
export const request = Effect.fnUntraced(function* (
  connection: Connection,
  options: { readonly request: Handshake.AdmissionRequest; readonly timeout?: Duration.Input | undefined }
): Effect.fn.Return<ProducerReply, Handshake.HandshakeError | StreamError | ConnectionLost> {
  const reply = decodeReply(yield* Handshake.ask(connection, Handshake.encodeRequest(options.request), options))
  if (reply !== undefined) return reply
  const detail = "the answer is not a producer admission reply"
  return yield* new Handshake.HandshakeError({ reason: "Malformed", detail })
})
