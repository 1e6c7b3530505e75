/**
 * What a consumer presents when it asks for admission, checked before anything is sent.
 *
 * @since 0.1.0
 */
import { AsterConfigError, type Origin } from "@aster-effect/config/AsterConfigError"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ClientTrust } from "./ClientTrust.ts"
import * as Credential from "./Credential.ts"
import * as CredentialFile from "./CredentialFile.ts"

/** A credential and where it came from. @since 0.1.0 */
export interface PresentedCredential {
  readonly credential: Credential.ConsumerEnrollmentCredential
  /** The file's label, or `inline`. */
  readonly source: string
}

/** What to present, and whom to expect. @since 0.1.0 */
export interface Presentation {
  /** Undefined: the consumer has no credential. */
  readonly presented: PresentedCredential | undefined
  /** The producer's root key has to be this one; undefined accepts any. */
  readonly root: RootPublicKey.RootPublicKey | undefined
}

/**
 * Settles what this node presents. Fails with `AsterConfigError` or `CredentialFileError`, and nothing is sent, when the
 * credential could not be accepted: not a consumer's, not signed by the key it names, of another deployment than the
 * configured one, expired, malformed, or issued to another node.
 *
 * @param inline a credential given in code; it beats those of files
 * @since 0.1.0
 */
export const resolve = Effect.fnUntraced(function* (
  trust: Pick<ClientTrust, "credential" | "root">,
  inline: Credential.ConsumerEnrollmentCredential | undefined,
  own: EndpointId
): Effect.fn.Return<Presentation, AsterConfigError | CredentialFile.CredentialFileError> {
  const found = yield* Effect.fromResult(credentialOf(trust, inline))
  if (found === undefined) return { presented: undefined, root: trust.root?.key }
  const { source, ...given } = found
  const refuse = (reason: AsterConfigError["reason"], detail: string) =>
    new AsterConfigError({ reason, origin: originOf(source), detail })
  if (given.credential.kind !== "consumer") {
    return yield* refuse("WrongRole", "it is a producer's credential, and this node needs a consumer's")
  }
  const { credential } = given
  const root = RootPublicKey.fromHex(credential.rootPubkey)
  if (Result.isFailure(root)) return yield* refuse("InvalidValue", `its root key: ${root.failure}`)
  if (trust.root !== undefined && trust.root.key !== root.success) {
    return yield* refuse("Conflict", `it is signed by ${root.success}, not by ${trust.root.key} (${trust.root.source})`)
  }
  const denial = Credential.check(credential, {
    root: root.success,
    peer: own,
    nowMillis: yield* Clock.currentTimeMillis
  })
  if (denial !== undefined) return yield* refuse(...problems[denial](credential, own))
  if (credential.endpointId === undefined && trust.credential._tag !== "Entry") {
    yield* Effect.logWarning(
      `${source}: the credential is bound to no node, so whoever it is shown to can use it; issue a bound one`
    )
  }
  return { presented: { credential, source }, root: root.success }
})

const originOf = (source: string): Origin => (source === INLINE ? { option: "credential" } : { file: source })

const INLINE = "inline"

const credentialOf = (
  { credential }: Pick<ClientTrust, "credential">,
  inline: Credential.ConsumerEnrollmentCredential | undefined
): Result.Result<
  { readonly credential: Credential.Credential; readonly source: string } | undefined,
  CredentialFile.CredentialFileError
> => {
  if (inline !== undefined) return Result.succeed({ credential: inline, source: INLINE })
  if (credential._tag === "None") return Result.succeed(undefined)
  const { file } = credential
  const read =
    credential._tag === "Entry"
      ? CredentialFile.fromEntry(credential.entry, file)
      : CredentialFile.parse(Redacted.value(credential.text), file)
  return Result.map(read, (credential) => ({ credential, source: file }))
}

type Problem = (
  credential: Credential.ConsumerEnrollmentCredential,
  own: EndpointId
) => readonly [reason: AsterConfigError["reason"], detail: string]

/** `ForeignRoot` cannot be: the credential is checked against the key it names. */
const problems: Readonly<Record<Credential.Denial, Problem>> = {
  ForeignRoot: () => ["Conflict", "it names another root key"],
  Structure: () => ["InvalidValue", "a one-time token needs a nonce, and a policy credential has none; issue it again"],
  Signature: () => ["InvalidValue", "its signature is not valid for its contents; issue it again"],
  Expired: ({ expiresAt }) => [
    "ExpiredCredential",
    `it expired on ${new Date(Number(expiresAt) * 1000).toISOString()}; ask for a new one`
  ],
  OtherEndpoint: ({ endpointId }, own) => [
    "EndpointMismatch",
    `it was issued to ${endpointId}, and this node is ${own}; use the secret key it was issued for`
  ]
}
