/**
 * Gate 0: whether a peer may hold a connection at all (Aster admission, Gate 0).
 *
 * @since 0.1.0
 */
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import type { Connection } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AdmittedPeers } from "./AdmittedPeers.ts"
import type { Attributes } from "./Credential.ts"
import type { GatePolicy, GateState } from "./GatePolicy.ts"
import * as RootKey from "./RootKey.ts"

/** The part of a policy that gates are made of. @since 0.1.0 */
export type Policy = Pick<GatePolicy, "consumers" | "producers" | "root">

/**
 * The gates of one node. As soon as one of them is closed, every protocol but those of admission is for admitted peers
 * only, and a connection ends with the admission of its peer.
 *
 * @since 0.1.0
 */
export class Gates extends Context.Service<
  Gates,
  {
    readonly consumers: GateState
    readonly producers: GateState
    /** Whether connections are looked at: at least one gate is closed. */
    readonly active: boolean
    /** What credentials are verified with; without one, every credential presented is refused. */
    readonly root: RootPublicKey | undefined
    /** The pair made for this process where a root key was needed and none was given. It signs credentials for tests. */
    readonly ephemeralRootKey: RootKey.RootKey | undefined
    /** The record they ask. */
    readonly peers: AdmittedPeers["Service"]
    /**
     * Whether a peer may have a connection for a protocol; its answer never waits. Protocols that admit peers in the first
     * place are not to be asked about: whoever serves them lets them by.
     */
    readonly admit: (id: EndpointId, alpn: string) => Effect.Effect<boolean>
    /** Serves a connection for as long as its peer is admitted, and then closes it with 403. */
    readonly whileAdmitted: <A, E, R>(
      connection: Connection,
      serving: Effect.Effect<A, E, R>
    ) => Effect.Effect<A | void, E, R>
    /** What a peer was admitted with; empty when it is not, or no longer. */
    readonly attributesOf: (id: EndpointId) => Attributes
  }
>()("@aster-effect/trust/Gates") {
  /** Gates as decided, see `GatePolicy.decide`. */
  static readonly layer = (policy: Policy): Layer.Layer<Gates, never, AdmittedPeers> => Layer.effect(this, make(policy))

  /** Everybody may come in, nobody has attributes, and nothing can verify a credential. */
  static readonly layerOpen: Layer.Layer<Gates, never, AdmittedPeers> = Layer.suspend(() =>
    Gates.layer({ consumers: "open", producers: "open", root: { _tag: "None" } })
  )
}

const make = Effect.fnUntraced(function* ({ consumers, producers, root }: Policy) {
  const peers = yield* AdmittedPeers
  const ephemeralRootKey = root._tag === "Ephemeral" ? yield* RootKey.generate : undefined
  const active = consumers === "closed" || producers === "closed"

  const admit = (id: EndpointId, alpn: string): Effect.Effect<boolean> => {
    if (!active) return Effect.succeed(true)
    return Effect.flatMap(peers.get(id), (peer) =>
      peer === undefined
        ? Effect.as(Effect.logInfo("A connection was refused: the peer is not admitted", { peer: id, alpn }), false)
        : Effect.succeed(true)
    )
  }

  const ended = (connection: Connection) =>
    Effect.flatMap(peers.awaitEnd(connection.remoteId), (reason) =>
      Effect.andThen(
        Effect.logInfo("A connection is closed: its peer is admitted no longer", {
          peer: connection.remoteId,
          alpn: connection.alpn,
          reason
        }),
        connection.close(403, "not admitted")
      )
    )

  return Gates.of({
    consumers,
    producers,
    active,
    root: root._tag === "Pinned" ? root.anchor.key : ephemeralRootKey?.publicKey,
    ephemeralRootKey,
    peers,
    admit,
    whileAdmitted: (connection, serving) => (active ? Effect.raceFirst(serving, ended(connection)) : serving),
    attributesOf: peers.attributesUnsafe
  })
})
