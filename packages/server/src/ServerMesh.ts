/**
 * The mesh of a server: the other producers of its deployment, and who of them gossip is for.
 *
 * @since 0.1.0
 */
import type { Resolved } from "@aster-effect/config/AsterConfig"
import type * as Service from "@aster-effect/core/service/Service"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { TicketError } from "@aster-effect/iroh/Ticket"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import { Mesh, type MeshOptions as Options } from "@aster-effect/mesh/Mesh"
import { ProducerMesh } from "@aster-effect/mesh/ProducerMesh"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import type { EnrollmentCredential } from "@aster-effect/trust/Credential"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import type { Gates } from "@aster-effect/trust/Gates"
import * as RootKey from "@aster-effect/trust/RootKey"
import type { ServerTrust } from "@aster-effect/trust/ServerTrust"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** How a server takes part in the mesh of its deployment's producers. @since 0.1.0 */
export interface MeshOptions extends Omit<Options, "contacts"> {
  /**
   * Producers to ask for admission: `aster1` tickets, base64 node addresses or endpoint ids. What they say about who else
   * belongs to the mesh is believed. Default: `ASTER_MESH_CONTACTS`, separated by commas, else none.
   */
  readonly contacts?: ReadonlyArray<string> | undefined
  /** Default: the producer's entry of the identity file. */
  readonly credential?: EnrollmentCredential | undefined
}

/** Who may take part in gossip for being a producer of this deployment. @since 0.1.0 */
export interface Members {
  /** Whether there is a mesh. */
  readonly active: boolean
  readonly has: (id: EndpointId) => boolean
  /** Whether it is one of them and was not put out. */
  readonly admits: (id: EndpointId) => Effect.Effect<boolean>
  /** Waits until a producer may be none of them any more. */
  readonly mayHaveLeft: (id: EndpointId) => Effect.Effect<void>
}

/** How often it is looked whether a member was put out that no admission is on record of. */
const lookInterval = "5 seconds"

/** @since 0.1.0 */
export const members = (
  options: MeshOptions | false | undefined,
  gates: Gates["Service"],
  membership: ProducerMesh["Service"] | undefined
): Members => {
  if (options === false || membership === undefined || gates.producers === "open") {
    return { active: false, has: () => false, admits: () => Effect.succeed(false), mayHaveLeft: () => Effect.void }
  }
  return {
    active: true,
    has: membership.accepts,
    admits: Effect.fnUntraced(function* (id) {
      if (!membership.accepts(id) || (yield* gates.peers.isRevoked(id))) return false
      const { producer_expiry } = yield* membership.state
      return (producer_expiry[id] ?? Infinity) > (yield* Clock.currentTimeMillis)
    }),
    mayHaveLeft: (id) =>
      membership.changes.pipe(
        Stream.filter(({ accepted_producers }) => !accepted_producers.includes(id)),
        Stream.runHead,
        Effect.timeoutOption(lookInterval),
        Effect.asVoid
      )
  }
}

/** What a mesh is joined with. @since 0.1.0 */
export interface JoinContext {
  readonly config: Resolved
  readonly members: Members
  /** The producer's entry of the identity file. */
  readonly peer: ServerTrust["peer"]
  readonly gates: Gates["Service"]
  readonly gossip: Gossip["Service"]
  readonly membership: ProducerMesh["Service"]
  readonly services: ReadonlyArray<Service.Any>
}

/**
 * Joins the mesh for as long as the scope, and says there what the server serves. Where there is none, it is the producers
 * that this server lets in; undefined without a root key.
 *
 * @since 0.1.0
 */
export const join = Effect.fnUntraced(function* (
  options: MeshOptions | false | undefined,
  context: JoinContext
): Effect.fn.Return<Mesh["Service"] | undefined, TicketError | Config.ConfigError, IrohNode | Scope.Scope> {
  const { gates, gossip, members, membership, services } = context
  const { root } = gates
  if (root === undefined) return undefined
  const { endpointId } = yield* IrohNode
  const given = options === false ? {} : (options ?? {})
  const takesPart = members.active
  const contacts = yield* Effect.forEach(takesPart ? (given.contacts ?? (yield* configuredContacts)) : [], parseAddress)
  const credential = given.credential ?? (yield* ownCredential(context, endpointId))
  const built = yield* Layer.build(Mesh.layer({ ...given, contacts, credential, root, takesPart })).pipe(
    Effect.provide([
      Layer.succeed(ProducerMesh, membership),
      Layer.succeed(Gossip, gossip),
      Layer.succeed(AdmittedPeers, gates.peers)
    ])
  )
  const mesh = Context.get(built, Mesh)
  yield* mesh.serve(
    services.map(({ contract, name, version }) => ({ service: name, version, contractId: contract.contractId }))
  )
  return mesh
})

const configuredContacts = Config.option(Config.String("ASTER_MESH_CONTACTS")).pipe(
  Config.map((text) =>
    Option.getOrElse(text, () => "")
      .split(",")
      .map((address) => address.trim())
      .filter((address) => address !== "")
  )
)

const parseAddress = (text: string): Effect.Effect<NodeAddr.NodeAddr, TicketError> =>
  Effect.try({
    try: () => NodeAddr.parse(text.trim()),
    catch: (error) => (error instanceof TicketError ? error : new TicketError({ problem: String(error) }))
  })

/** Longer than a run of a process lasts whose root key ends with it. */
const EPHEMERAL_SECONDS = 10 * 365 * 86_400

/** The identity file's; with a root key of this run, one signed by it. */
const ownCredential = Effect.fnUntraced(function* (
  { config, gates, peer }: JoinContext,
  endpointId: EndpointId
): Effect.fn.Return<EnrollmentCredential | undefined> {
  const { ephemeralRootKey } = gates
  if (ephemeralRootKey !== undefined) {
    const expiresAt = BigInt(Math.floor((yield* Clock.currentTimeMillis) / 1000) + EPHEMERAL_SECONDS)
    return RootKey.signProducer(ephemeralRootKey, { endpointId, expiresAt, attributes: new Map() })
  }
  if (peer === undefined) return undefined
  const credential = Result.getOrUndefined(CredentialFile.fromEntry(peer, config.identity?.label ?? "identity"))
  return credential?.kind === "producer" && credential.rootPubkey === gates.root ? credential : undefined
})
