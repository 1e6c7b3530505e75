import type { Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import type { SecretKey } from "@aster-effect/iroh/SecretKey"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as CredentialFile from "./CredentialFile.ts"
import * as GatePolicy from "./GatePolicy.ts"
import { configuredAnchor } from "./internal/configuredAnchor.ts"
import { checkEndpoint, conflictError, isExpired } from "./internal/identityChecks.ts"

/** What a server is given in code, beside its configuration. @since 0.1.0 */
export interface ServerTrustOptions {
  /** The name of the identity entry to use; default the first with role producer. */
  readonly peer?: string | undefined
  readonly rootPubkey?: RootPublicKey | undefined
  readonly allowAllConsumers?: boolean | undefined
  readonly allowAllProducers?: boolean | undefined
}

/**
 * Whom a server trusts and whom it lets in. With an `Ephemeral` root the server makes a key pair of its own; with `None`
 * it must refuse every credential presented.
 *
 * @since 0.1.0
 */
export interface ServerTrust {
  readonly consumers: GatePolicy.GateState
  readonly producers: GatePolicy.GateState
  readonly root: GatePolicy.Root
  /** The node's key; absent means a fresh one. */
  readonly secretKey: SecretKey | undefined
  /** The producer credential in use. */
  readonly peer: IdentityFile.IdentityEntry | undefined
  /** Already logged. */
  readonly warnings: ReadonlyArray<string>
}

const warningTexts: Readonly<Record<GatePolicy.GateWarning, string>> = {
  DevMode:
    "dev mode: there is no root key and no identity file, so every consumer is let in; enrol this node " +
    "(.aster-identity, or ASTER_IDENTITY_FILE) or set ASTER_ROOT_PUBKEY_FILE to require credentials",
  EphemeralRoot:
    "a gate is closed and there is no root key: a temporary one is used, and only credentials signed in this process " +
    "will be accepted; set ASTER_ROOT_PUBKEY_FILE or enrol this node"
}

const noEntry = (label: string) =>
  new AsterConfigError({
    reason: "MissingRootKey",
    origin: { file: label },
    detail:
      'no entry with role "producer", so there is no root key to verify consumers with; enrol this node as a ' +
      "producer, set ASTER_ROOT_PUBKEY_FILE, or set ASTER_ALLOW_ALL_CONSUMERS"
  })

/**
 * Settles a server's trust from its configuration and options: the identity entry, the anchor, the gates. Every doubt is
 * an `AsterConfigError`: an unknown or wrong entry, two different root keys, an endpoint id that is not this node's, an
 * unreadable root key file, or required admission without a root key. An expired producer credential is a warning, since
 * the server itself can still serve.
 *
 * @since 0.1.0
 */
export const resolve = Effect.fn("ServerTrust.resolve")(function* (
  config: Resolved,
  options: ServerTrustOptions = {}
): Effect.fn.Return<ServerTrust, AsterConfigError> {
  const { identity } = config
  if (identity === undefined && options.peer !== undefined) {
    const detail = `"${options.peer}" asks for an entry of an identity file, and there is none`
    return yield* new AsterConfigError({ reason: "UnknownPeer", origin: { option: "peer" }, detail })
  }
  const peer =
    identity === undefined
      ? undefined
      : yield* Effect.fromResult(
          IdentityFile.select(identity.file, { role: "producer", peer: options.peer, file: identity.label })
        )
  const configured = yield* configuredAnchor(config)
  const allowAllConsumers = options.allowAllConsumers ?? config.allowAllConsumers
  if (
    identity !== undefined &&
    peer === undefined &&
    options.rootPubkey === undefined &&
    configured === undefined &&
    allowAllConsumers === undefined
  ) {
    return yield* noEntry(identity.label)
  }
  if (identity !== undefined && peer !== undefined) yield* checkEndpoint(config, identity, peer)
  const decided = GatePolicy.decide({
    inline: options.rootPubkey === undefined ? undefined : { key: options.rootPubkey, source: "inline" },
    identity:
      peer === undefined || identity === undefined ? undefined : { key: peer.rootPubkey, source: identity.label },
    configured,
    identityFile: identity !== undefined,
    allowAllConsumers,
    allowAllProducers: options.allowAllProducers ?? config.allowAllProducers
  })
  if (Result.isFailure(decided)) return yield* conflictError(decided.failure)
  const { consumers, producers, root } = decided.success
  const expired = peer !== undefined && isExpired(peer, yield* Clock.currentTimeMillis)
  const warnings = [
    ...decided.success.warnings.map((warning) => warningTexts[warning]),
    ...(expired ? [`${identity?.label}: the producer credential has expired; enrol this node again`] : [])
  ]
  yield* Effect.forEach(warnings, (warning) => Effect.logWarning(warning), { discard: true })
  return { consumers, producers, root, secretKey: config.secretKey, peer, warnings }
})

/**
 * The entry's root key becomes the anchor, so the entry has to be what that key signed: `InvalidValue` otherwise. A server
 * requires it before it starts; whoever only shows a configuration need not.
 *
 * @since 0.1.0
 */
export const requireSigned = (
  { peer }: Pick<ServerTrust, "peer">,
  { identity }: Pick<Resolved, "identity">
): Effect.Effect<void, AsterConfigError> => {
  if (peer === undefined || identity === undefined) return Effect.void
  const origin = { file: identity.label, table: "[[peers]]", key: "signature" }
  return Effect.fromResult(CredentialFile.fromEntry(peer, identity.label)).pipe(
    Effect.mapError(({ detail }) => new AsterConfigError({ reason: "InvalidValue", origin, detail })),
    Effect.asVoid
  )
}
