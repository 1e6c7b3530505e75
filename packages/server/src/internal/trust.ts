import * as nodePath from "node:path"
import { AdmittedPeers } from "@aster-effect/admission/AdmittedPeers"
import * as CredentialFile from "@aster-effect/admission/CredentialFile"
import { Gates } from "@aster-effect/admission/Gates"
import { HandshakeLimits } from "@aster-effect/admission/Handshake"
import * as NodeConfig from "@aster-effect/admission/NodeConfig"
import { NonceStore } from "@aster-effect/admission/NonceStore"
import { type MeshError, ProducerMesh } from "@aster-effect/admission/ProducerMesh"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as ServerTrust from "@aster-effect/config/ServerTrust"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { SecretKey } from "@aster-effect/iroh/SecretKey"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/** What a server is told about trust, beside its configuration. */
export interface TrustOptions extends NodeConfig.ConfigOptions, Omit<ServerTrust.ServerTrustOptions, "rootPubkey"> {
  readonly rootPubkey?: Uint8Array | string | undefined
}

/** The configuration and what follows from it. */
export interface Settled {
  readonly config: Resolved
  readonly trust: ServerTrust.ServerTrust
  /** Gates that the program made itself. */
  readonly gates: Gates["Service"] | undefined
}

/** Settles whom a server trusts before it has a node. */
export const settle = Effect.fnUntraced(function* (
  options: TrustOptions,
  secretKey: SecretKey | undefined
): Effect.fn.Return<Settled, AsterConfigError> {
  const config = yield* NodeConfig.resolve(options, secretKey)
  const rootPubkey = yield* NodeConfig.rootPubkey(options.rootPubkey)
  const gates = Option.getOrUndefined(yield* Effect.serviceOption(Gates))
  const trust = yield* ServerTrust.resolve(config, { ...options, rootPubkey, ...decided(gates) })
  yield* requireSigned(trust, config)
  return { config, trust, gates }
})

/** Gates that exist are a decision, which nothing else can change. */
const decided = (gates: Gates["Service"] | undefined): Partial<ServerTrust.ServerTrustOptions> =>
  gates === undefined
    ? {}
    : {
        rootPubkey: gates.root,
        allowAllConsumers: gates.consumers === "open",
        allowAllProducers: gates.producers === "open"
      }

/** The entry's root key becomes the anchor, so the entry has to be what that key signed. */
const requireSigned = ({ peer }: ServerTrust.ServerTrust, { identity }: Resolved) => {
  if (peer === undefined || identity === undefined) return Effect.void
  const origin = { file: identity.label, table: "[[peers]]", key: "signature" }
  return Effect.fromResult(CredentialFile.fromPeer(peer, identity.label)).pipe(
    Effect.mapError(({ detail }) => new AsterConfigError({ reason: "InvalidValue", origin, detail }))
  )
}

/** Everything that decides who comes in. `ProducerMesh` is there as soon as there is a root key. */
export const layer = (
  settled: Settled
): Layer.Layer<
  Gates | AdmittedPeers | NonceStore | HandshakeLimits,
  AsterConfigError | Config.ConfigError | MeshError,
  IrohNode
> => {
  const { gates: given, trust } = settled
  const gates =
    given === undefined
      ? Layer.provideMerge(Gates.layer(trust), admittedPeers(trust))
      : Layer.merge(Layer.succeed(Gates, given), Layer.succeed(AdmittedPeers, given.peers))
  return Layer.mergeAll(ownCredential(trust), nonceStore(settled), HandshakeLimits.layer).pipe(
    Layer.merge(Layer.provideMerge(mesh(settled), gates))
  )
}

/** A credential is only good for the node it was issued to. */
const ownCredential = ({ peer }: ServerTrust.ServerTrust) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { endpointId } = yield* IrohNode
      if (peer?.endpointId === undefined || peer.endpointId === endpointId) return
      const detail = `the entry was issued to ${peer.endpointId}, and this node is ${endpointId}`
      const origin = { table: "[[peers]]", key: "endpoint_id" }
      return yield* new AsterConfigError({ reason: "EndpointMismatch", origin, detail })
    })
  )

/** A record that is in the context already is shared. */
const admittedPeers = ({ consumers }: ServerTrust.ServerTrust) =>
  Layer.unwrap(
    Effect.map(Effect.serviceOption(AdmittedPeers), (given) =>
      Option.isSome(given)
        ? Layer.succeed(AdmittedPeers, given.value)
        : AdmittedPeers.layer({ whenFull: consumers === "closed" ? "refuse" : "evict" })
    )
  )

const meshDirectory = Config.option(Config.String("ASTER_MESH_STATE_DIR"))

/** One from the context, else a file where there is a place for it. */
const nonceStore = ({ config, trust }: Settled) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const given = yield* Effect.serviceOption(NonceStore)
      if (Option.isSome(given)) return Layer.succeed(NonceStore, given.value)
      const directory = config.storagePath ?? Option.getOrUndefined(yield* meshDirectory)
      if (directory !== undefined) return NonceStore.layerFile(nodePath.join(directory, "nonces.json"))
      if (trust.consumers === "closed") {
        yield* Effect.logWarning(
          "one-time tokens are remembered in memory only and work again after a restart; set ASTER_STORAGE_PATH"
        )
      }
      return NonceStore.layerMemory()
    })
  )

/** Kept where there is a place for it, unless the root key itself ends with the process. */
const mesh = ({ config }: Settled) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { ephemeralRootKey, root } = yield* Gates
      const { endpointId: self } = yield* IrohNode
      if (root === undefined) return Layer.empty
      const directory = Option.getOrUndefined(yield* meshDirectory) ?? config.storagePath
      return directory === undefined || ephemeralRootKey !== undefined
        ? ProducerMesh.layerMemory({ root, self })
        : ProducerMesh.layerDirectory(directory, { root, self })
    })
  )
