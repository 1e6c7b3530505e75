import { HandshakeSlots } from "@aster-effect/admission/HandshakeSlots"
import type { Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { SecretKey } from "@aster-effect/iroh/SecretKey"
import { type MeshError, ProducerMesh } from "@aster-effect/mesh/ProducerMesh"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import { Gates } from "@aster-effect/trust/Gates"
import { NonceStore } from "@aster-effect/trust/NonceStore"
import * as ServerTrust from "@aster-effect/trust/ServerTrust"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as nodePath from "node:path"

/** What a server is told about trust, beside its configuration. */
export interface TrustOptions extends NodeConfig.ConfigOptions, Omit<ServerTrust.ServerTrustOptions, "rootPubkey"> {
  readonly rootPubkey?: Uint8Array | string | undefined
  readonly gates?: Gates["Service"] | undefined
  readonly admittedPeers?: AdmittedPeers["Service"] | undefined
  readonly nonceStore?: NonceStore["Service"] | undefined
}

/** The configuration and what follows from it, before there is a node. */
export interface ResolvedTrust {
  readonly config: Resolved
  readonly trust: ServerTrust.ServerTrust
}

/** Resolves whom a server trusts before it has a node. */
export const resolve = Effect.fnUntraced(function* (
  options: TrustOptions,
  secretKey: SecretKey | undefined
): Effect.fn.Return<ResolvedTrust, AsterConfigError> {
  const config = yield* NodeConfig.resolve(options, secretKey)
  const rootPubkey = yield* NodeConfig.rootPubkey(options.rootPubkey)
  const trust = yield* ServerTrust.resolve(config, { ...options, rootPubkey, ...decided(options.gates) })
  yield* ServerTrust.requireSigned(trust, config)
  return { config, trust }
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

/** Everything that decides who comes in. `ProducerMesh` is there as soon as there is a root key. */
export const layer = (
  { admittedPeers, gates, nonceStore }: TrustOptions,
  resolved: ResolvedTrust
): Layer.Layer<
  Gates | AdmittedPeers | NonceStore | HandshakeSlots,
  AsterConfigError | Config.ConfigError | MeshError,
  IrohNode
> =>
  Layer.mergeAll(
    ownCredential(resolved.trust),
    nonceStore === undefined ? nonces(resolved) : Layer.succeed(NonceStore, nonceStore),
    HandshakeSlots.layer,
    Layer.provideMerge(
      mesh(resolved),
      gates === undefined
        ? Layer.provideMerge(Gates.layer(resolved.trust), record(admittedPeers, resolved.trust))
        : Layer.merge(Layer.succeed(Gates, gates), Layer.succeed(AdmittedPeers, gates.peers))
    )
  )

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

const record = (given: AdmittedPeers["Service"] | undefined, { consumers }: ServerTrust.ServerTrust) =>
  given === undefined
    ? AdmittedPeers.layer({ whenFull: consumers === "closed" ? "refuse" : "evict" })
    : Layer.succeed(AdmittedPeers, given)

const meshDirectory = Config.option(Config.String("ASTER_MESH_STATE_DIR"))

/** On disk where there is a place for it. */
const nonces = ({ config, trust }: ResolvedTrust) =>
  Layer.unwrap(
    Effect.gen(function* () {
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
const mesh = ({ config }: ResolvedTrust) =>
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
