/**
 * Credentials in files: JSON tokens, and the entries of identity files.
 *
 * Release 0.1.2 leaves `aster.role` and `aster.name` out of an identity entry when they repeat its labels, although the
 * signature covers them. Reading therefore looks for the set of attributes that verifies.
 *
 * @since 0.1.0
 */
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import type { FileError } from "@aster-effect/config/FileError"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  type Attributes,
  type Credential,
  hasSoundStructure,
  isSignedBy,
  type MalformedCredential,
  parseConsumer,
  parseProducer,
  toJson
} from "./Credential.ts"
import { parseJson } from "./internal/losslessJson.ts"

/**
 * A file holds no credential that could be presented: `Malformed` (not the format, or a field is wrong) or `Signature`
 * (its own root key did not sign it).
 *
 * @since 0.1.0
 */
export class CredentialFileError extends Schema.TaggedError<CredentialFileError>()("CredentialFileError", {
  reason: Schema.Literals(["Malformed", "Signature"]),
  file: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.detail}`
  }
}

const signatureError = (file: string) =>
  new CredentialFileError({
    reason: "Signature",
    file,
    detail: "the credential's signature is not valid for its contents; issue it again"
  })

const malformedError = (file: string, detail: string) => new CredentialFileError({ reason: "Malformed", file, detail })

/** A credential that every server would refuse is reported where it was read. */
const presentable = (credential: Credential, file: string): Result.Result<Credential, CredentialFileError> =>
  hasSoundStructure(credential)
    ? Result.succeed(credential)
    : Result.fail(
        malformedError(file, "a one-time token needs a nonce, and a policy credential has none; issue it again")
      )

/** What the signature may cover, in the order to try: the file's attributes, then with the labels 0.1.2 leaves out. */
const candidates = ({ attributes, name, role }: IdentityFile.IdentityEntry): ReadonlyArray<Attributes> => {
  const adding = (...labels: ReadonlyArray<readonly [string, string | undefined]>): Attributes => {
    const complete = new Map(attributes)
    for (const [key, value] of labels) if (value !== undefined && !complete.has(key)) complete.set(key, value)
    return complete
  }
  const roleLabel = ["aster.role", role] as const
  const nameLabel = ["aster.name", name] as const
  return [attributes, adding(roleLabel), adding(roleLabel, nameLabel), adding(nameLabel)]
}

const entryCredential = (entry: IdentityFile.IdentityEntry, attributes: Attributes): Credential | undefined => {
  const shared = {
    rootPubkey: entry.rootPubkey,
    expiresAt: BigInt(entry.expiresAt),
    attributes,
    signature: Redacted.value(entry.signature)
  }
  const { endpointId, nonce, type } = entry
  if (entry.role === "consumer") return { kind: "consumer", type, endpointId, nonce, ...shared }
  return endpointId === undefined ? undefined : { kind: "producer", endpointId, ...shared }
}

/**
 * The credential of an identity entry, with the attributes that were signed. Fails with `Signature` when no set of
 * attributes verifies, so that a useless credential is reported here instead of being sent.
 *
 * @since 0.1.0
 */
export const fromEntry = (
  entry: IdentityFile.IdentityEntry,
  file: string
): Result.Result<Credential, CredentialFileError> => {
  for (const attributes of candidates(entry)) {
    const credential = entryCredential(entry, attributes)
    if (credential === undefined) return Result.fail(malformedError(file, "a producer entry needs an endpoint_id"))
    if (isSignedBy(credential, entry.rootPubkey)) return presentable(credential, file)
  }
  return Result.fail(signatureError(file))
}

/** An identity entry for a credential; all signed attributes are kept. @since 0.1.0 */
export const toEntry = (
  credential: Credential,
  rootPubkey: RootPublicKey.RootPublicKey,
  name: string
): IdentityFile.IdentityEntry => ({
  name,
  role: credential.kind,
  type: credential.kind === "producer" ? "policy" : credential.type,
  rootPubkey,
  endpointId: credential.endpointId,
  expiresAt: Number(credential.expiresAt),
  nonce: credential.kind === "producer" ? undefined : credential.nonce,
  signature: Redacted.make(credential.signature, { label: "signature" }),
  attributes: credential.attributes,
  extra: {}
})

const parseJsonFile = (text: string, file: string): Result.Result<Credential, CredentialFileError> =>
  Result.gen(function* () {
    const json = yield* Result.mapError(parseJson(text), (expected) => malformedError(file, expected))
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      return yield* Result.fail(malformedError(file, "expected a JSON object"))
    }
    const named: unknown = "type" in json ? json.type : undefined
    const lenient = { attributes: {}, credential_type: named ?? "policy", ...json }
    const parsed: Result.Result<Credential, MalformedCredential> =
      named === "producer" ? parseProducer(lenient) : parseConsumer(lenient)
    const credential = yield* Result.mapError(parsed, ({ expected, field }) =>
      malformedError(file, `${field}: ${expected}`)
    )
    const root = yield* Result.mapError(RootPublicKey.fromHex(credential.rootPubkey), (expected) =>
      malformedError(file, `root_pubkey: ${expected}`)
    )
    return yield* isSignedBy(credential, root) ? presentable(credential, file) : Result.fail(signatureError(file))
  })

const parseTomlFile = (text: string, file: string): Result.Result<Credential, CredentialFileError> =>
  Result.gen(function* () {
    const { peers } = yield* Result.mapError(IdentityFile.parse(text, file), ({ message }) =>
      malformedError(file, message)
    )
    const entry = peers.find(({ role }) => role === "consumer") ?? peers[0]
    if (entry === undefined) return yield* Result.fail(malformedError(file, "no [[peers]] entry"))
    return yield* fromEntry(entry, file)
  })

/**
 * Parses a credential file: JSON when it begins with `{`, TOML when with `[` or `#`. In JSON the type is
 * `credential_type`, else `type`, else `policy`; in TOML the credential is the first consumer entry, else the first.
 * The signature is checked against the credential's own root key.
 *
 * @since 0.1.0
 */
export const parse = (text: string, file: string): Result.Result<Credential, CredentialFileError> =>
  /^\s*[[#]/.test(text) ? parseTomlFile(text, file) : parseJsonFile(text, file)

/** Reads a credential file. @since 0.1.0 */
export const read = (file: string): Effect.Effect<Credential, CredentialFileError | FileError> =>
  Effect.flatMap(BoundedFile.read(file), ({ text }) => Effect.fromResult(parse(text, file)))

/**
 * Writes a JSON credential file, mode 0600: an `ott`, or a credential bound to no node, is as good as a password.
 *
 * @since 0.1.0
 */
export const write = (file: string, credential: Credential): Effect.Effect<void, FileError> =>
  AtomicFile.write(file, toJson(credential, "file"))
