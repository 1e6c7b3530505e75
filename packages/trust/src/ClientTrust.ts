import type { Identity, Resolved } from "@aster-effect/config/AsterConfig"
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import type { Anchor, RootPublicKey } from "@aster-effect/config/RootPublicKey"
import type { SecretKey } from "@aster-effect/iroh/SecretKey"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { configuredAnchor } from "./internal/configuredAnchor.ts"
import { checkEndpoint, conflictError, isExpired } from "./internal/identityChecks.ts"

/** What a client is given in code, beside its configuration. @since 0.1.0 */
export interface ClientTrustOptions {
  /** The name of the identity entry to present; default the first with role consumer. */
  readonly peer?: string | undefined
  /** The deployment's root key; a server with another one is refused. */
  readonly rootPubkey?: RootPublicKey | undefined
  /** A credential file; it beats every other source. */
  readonly enrollmentCredentialFile?: string | undefined
}

/**
 * The credential a client presents: an identity entry (from an identity file, or from a credential file of that format),
 * the text of a JSON credential file, or none. `file` is the label for messages.
 *
 * @since 0.1.0
 */
export type ClientCredential =
  | { readonly _tag: "Entry"; readonly entry: IdentityFile.IdentityEntry; readonly file: string }
  | { readonly _tag: "Json"; readonly text: Redacted.Redacted<string>; readonly file: string }
  | { readonly _tag: "None" }

/** Who a client is, what it presents and which root key it expects. @since 0.1.0 */
export interface ClientTrust {
  /** The node's key; absent means a fresh one. */
  readonly secretKey: SecretKey | undefined
  readonly credential: ClientCredential
  readonly root: Anchor | undefined
  /** Already logged. */
  readonly warnings: ReadonlyArray<string>
}

const none: ClientCredential = { _tag: "None" }

interface Chosen {
  readonly credential: ClientCredential
  readonly secretKey: SecretKey | undefined
  readonly warnings: ReadonlyArray<string>
}

/** An unreadable credential, in the words of whoever named the file. */
const unreadable = (path: string, detail: string) =>
  new AsterConfigError({ reason: "Unreadable", origin: { file: path }, detail: `the credential file: ${detail}` })

const unboundWarnings = ({ endpointId }: IdentityFile.IdentityEntry, file: string): ReadonlyArray<string> =>
  endpointId === undefined
    ? [`${file}: the credential is bound to no node, so whoever it is shown to can use it; issue a bound one`]
    : []

/**
 * A credential file is JSON, or TOML like an identity file. The latter brings its node key, unless a setting gave one or
 * an identity file was named: one that was merely found gives way together with its key.
 */
const fromFile = Effect.fnUntraced(function* (
  config: Resolved,
  path: string,
  options: ClientTrustOptions
): Effect.fn.Return<Chosen, AsterConfigError> {
  const { text } = yield* BoundedFile.read(path).pipe(Effect.mapError(({ message }) => unreadable(path, message)))
  if (!/^\s*[[#]/.test(text)) {
    return {
      credential: { _tag: "Json", text: Redacted.make(text, { label: "credential" }), file: path },
      secretKey: config.secretKey,
      warnings: []
    }
  }
  const file = yield* Effect.fromResult(IdentityFile.parse(text, path))
  const role = file.peers.some(({ role }) => role === "consumer") ? "consumer" : file.peers[0]?.role
  if (role === undefined) return yield* unreadable(path, "it holds no [[peers]] entry")
  const selection = { role, peer: options.peer, file: path }
  const peer = yield* Effect.fromResult(IdentityFile.select(file, selection))
  if (peer === undefined) return yield* unreadable(path, "it holds no usable [[peers]] entry")
  const merelyFound = config.source("secretKey").kind === "identity" && config.identity?.explicit === false
  const borrowed = file.node !== undefined && (config.secretKey === undefined || merelyFound)
  const secretKey = borrowed ? file.node.secretKey : config.secretKey
  const source: Resolved["source"] = (name) =>
    borrowed && name === "secretKey" ? { kind: "file", label: path, origin: { file: path } } : config.source(name)
  yield* checkEndpoint({ secretKey, source }, { label: path }, peer)
  return { credential: { _tag: "Entry", entry: peer, file: path }, secretKey, warnings: unboundWarnings(peer, path) }
})

/** The identity's entry; without one, a configured credential file still counts. */
const fromIdentity = Effect.fnUntraced(function* (
  config: Resolved,
  identity: Pick<Identity, "label" | "file">,
  options: ClientTrustOptions
): Effect.fn.Return<Chosen, AsterConfigError> {
  const selection = { role: "consumer", peer: options.peer, file: identity.label } as const
  const peer = yield* Effect.fromResult(IdentityFile.select(identity.file, selection))
  if (peer === undefined) {
    const { enrollmentCredentialFile } = config
    if (enrollmentCredentialFile !== undefined) return yield* fromFile(config, enrollmentCredentialFile, options)
    const warning = `${identity.label}: no entry with role "consumer"; connecting without a credential`
    return { credential: none, secretKey: config.secretKey, warnings: [warning] }
  }
  yield* checkEndpoint(config, identity, peer)
  return {
    credential: { _tag: "Entry", entry: peer, file: identity.label },
    secretKey: config.secretKey,
    warnings: unboundWarnings(peer, identity.label)
  }
})

/**
 * The order: the file given in code; an identity file that was named; a credential file from the environment or given
 * in code with the configuration; a discovered identity file; a credential file from TOML; none.
 */
const choose = (config: Resolved, options: ClientTrustOptions): Effect.Effect<Chosen, AsterConfigError> => {
  const { enrollmentCredentialFile: configured, identity } = config
  if (options.enrollmentCredentialFile !== undefined) return fromFile(config, options.enrollmentCredentialFile, options)
  const explicitFile = config.source("enrollmentCredentialFile").kind !== "file"
  if (identity !== undefined && (identity.explicit || configured === undefined || !explicitFile)) {
    return fromIdentity(config, identity, options)
  }
  if (configured !== undefined) return fromFile(config, configured, options)
  if (options.peer === undefined) return Effect.succeed({ credential: none, secretKey: config.secretKey, warnings: [] })
  const detail = `"${options.peer}" asks for an entry of an identity file, and there is none`
  return Effect.fail(new AsterConfigError({ reason: "UnknownPeer", origin: { option: "peer" }, detail }))
}

/**
 * Settles a client's trust. Fails before anything is sent: an unknown or wrong entry, an entry issued to another node,
 * an expired credential, an unreadable file, or root keys that differ. Whether a signature is valid is decided where
 * the credential is presented: see `PresentedCredential`.
 *
 * @since 0.1.0
 */
export const resolve = Effect.fn("ClientTrust.resolve")(function* (
  config: Resolved,
  options: ClientTrustOptions = {}
): Effect.fn.Return<ClientTrust, AsterConfigError> {
  const { credential, secretKey, warnings } = yield* choose(config, options)
  const configured =
    options.rootPubkey === undefined ? yield* configuredAnchor(config) : { key: options.rootPubkey, source: "inline" }
  const presented =
    credential._tag === "Entry" ? { key: credential.entry.rootPubkey, source: credential.file } : undefined
  if (presented !== undefined && configured !== undefined && presented.key !== configured.key) {
    return yield* conflictError({ identity: presented, configured })
  }
  if (credential._tag === "Entry" && isExpired(credential.entry, yield* Clock.currentTimeMillis)) {
    const since = new Date(credential.entry.expiresAt * 1000)
    const when = Number.isNaN(since.getTime()) ? "" : ` on ${since.toISOString()}`
    const origin = { file: credential.file, table: "[[peers]]", key: "expires_at" }
    const detail = `the credential expired${when}; enrol this node again`
    return yield* new AsterConfigError({ reason: "ExpiredCredential", origin, detail })
  }
  yield* Effect.forEach(warnings, (warning) => Effect.logWarning(warning), { discard: true })
  return { secretKey, credential, root: configured ?? presented, warnings }
})
