/**
 * Gossip of a server: who may take part, and where addresses are kept.
 *
 * @since 0.1.0
 */
import * as Role from "@aster-effect/admission/Role"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import type { Connection } from "@aster-effect/iroh/Connection"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type * as Router from "@aster-effect/iroh/Router"
import { AddressBook, type AddressBookOptions } from "@aster-effect/iroh-gossip/AddressBook"
import { Gossip, type GossipOptions as ProtocolOptions } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import type { Gates } from "@aster-effect/trust/Gates"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as path from "node:path"
import type { Members } from "./ServerMesh.ts"

/**
 * How a server takes part in gossip. Whoever may come in may join the topics that the server is a member of, as far as
 * `requires` lets it; the server dials nobody else either.
 *
 * @since 0.1.0
 */
export interface GossipOptions extends Omit<ProtocolOptions, "advertise" | "whileAdmitted">, AddressBookOptions {
  /** The roles of those who may take part. Default: none are needed. */
  readonly requires?: Role.Requirement | undefined
}

/**
 * The gossip of a server, with the address book of the context if there is one, else one in `gossip/addresses.json` under
 * the storage path, else one in memory.
 *
 * @since 0.1.0
 */
export const layer = (
  options: GossipOptions,
  config: Resolved,
  gates: Gates["Service"],
  members: Members
): Layer.Layer<Gossip, never, IrohNode> =>
  Layer.unwrap(
    Effect.map(ConnectionGate, (gate) =>
      Gossip.layer({ ...options, whileAdmitted: whileAdmitted(gates, members) }).pipe(
        Layer.provide(addressBook(options, config)),
        Layer.provide(
          Layer.succeed(ConnectionGate, {
            admit: (id, alpn) => (holds(options, gates, members, id) ? gate.admit(id, alpn) : Effect.succeed(false))
          })
        )
      )
    )
  )

/** Serves connections of those who may take part. @since 0.1.0 */
export const protocol = (
  options: GossipOptions,
  gossip: Gossip["Service"],
  gates: Gates["Service"],
  members: Members
): Router.Protocol => ({
  alpn: GossipProtocol.ALPN,
  handler: (connection, draining) =>
    holds(options, gates, members, connection.remoteId)
      ? gossip.accept(connection, draining)
      : connection.close(403, "not permitted")
})

/** Producers of the deployment need no role. */
const holds = ({ requires }: GossipOptions, gates: Gates["Service"], members: Members, peer: EndpointId): boolean =>
  requires === undefined || members.has(peer) || Role.isSatisfied(requires, gates.attributesOf(peer))

/**
 * Serves a connection for as long as its peer is admitted, or belongs to the mesh: a producer that was here before a restart
 * comes to gossip first, and shows its credential there.
 */
const whileAdmitted =
  (gates: Gates["Service"], members: Members) =>
  <A, E, R>(connection: Connection, serving: Effect.Effect<A, E, R>): Effect.Effect<A | void, E, R> => {
    if (!members.active) return gates.whileAdmitted(connection, serving)
    const { remoteId } = connection
    const ended = Effect.gen(function* () {
      while ((yield* gates.peers.get(remoteId)) === undefined && (yield* members.admits(remoteId)))
        yield* members.mayHaveLeft(remoteId)
      yield* gates.peers.awaitEnd(remoteId)
      yield* Effect.logInfo("A gossip connection is closed: its peer is admitted no longer", { peer: remoteId })
      yield* connection.close(403, "not admitted")
    })
    return Effect.raceFirst(serving, ended)
  }

/** A file that cannot be read costs addresses, which can be learnt again, and not the server. */
const addressBook = (options: GossipOptions, config: Resolved): Layer.Layer<AddressBook> =>
  Layer.unwrap(
    Effect.map(Effect.serviceOption(AddressBook), (existing) => {
      if (Option.isSome(existing)) return Layer.succeed(AddressBook, existing.value)
      const directory = NodeConfig.storageDirectory(config, "gossip")
      if (directory === undefined) return AddressBook.layerMemory(options)
      const file = AddressBook.layerFile({ ...options, path: path.join(directory, "addresses.json") })
      return Layer.effect(
        AddressBook,
        Layer.build(file).pipe(
          Effect.catch((error) =>
            Effect.andThen(Effect.logWarning(error.message), Layer.build(AddressBook.layerMemory(options)))
          ),
          Effect.map((context) => Context.get(context, AddressBook))
        )
      )
    })
  )
