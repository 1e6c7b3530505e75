/**
 * Gossip of a server: who may take part, and where addresses are kept.
 *
 * @since 0.1.0
 */
import * as Role from "@aster-effect/admission/Role"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
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
  gates: Gates["Service"]
): Layer.Layer<Gossip, never, IrohNode> =>
  Layer.unwrap(
    Effect.map(ConnectionGate, (gate) =>
      Gossip.layer({ ...options, whileAdmitted: gates.whileAdmitted }).pipe(
        Layer.provide(addressBook(options, config)),
        Layer.provide(
          Layer.succeed(ConnectionGate, {
            admit: (id, alpn) => (holds(options, gates, id) ? gate.admit(id, alpn) : Effect.succeed(false))
          })
        )
      )
    )
  )

/** Serves connections of those who may take part. @since 0.1.0 */
export const protocol = (
  options: GossipOptions,
  gossip: Gossip["Service"],
  gates: Gates["Service"]
): Router.Protocol => ({
  alpn: GossipProtocol.ALPN,
  handler: (connection, draining) =>
    holds(options, gates, connection.remoteId)
      ? gossip.accept(connection, draining)
      : connection.close(403, "not permitted")
})

const holds = ({ requires }: GossipOptions, gates: Gates["Service"], peer: EndpointId): boolean =>
  requires === undefined || Role.isSatisfied(requires, gates.attributesOf(peer))

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
