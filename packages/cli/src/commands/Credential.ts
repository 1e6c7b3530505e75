/**
 * `aster credential inspect`.
 *
 * @since 0.1.0
 */
import * as Role from "@aster-effect/admission/Role"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import type { Credential } from "@aster-effect/trust/Credential"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { refused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"
import { jsonText } from "../internal/jsonText.ts"
import { printable } from "../internal/printable.ts"
import * as Lifetime from "../Lifetime.ts"
import { Locations, resolve } from "../Locations.ts"

/** A credential of a file, by the name of its entry, or why it is worth nothing. */
interface Found {
  readonly name: string | undefined
  readonly credential: Result.Result<Credential, CredentialFile.CredentialFileError>
}

/** Every credential in a file: the entries of an identity file, or the one of a token. */
const credentialsIn = (text: string, file: string) =>
  Effect.gen(function* () {
    if (!/^\s*[[#]/.test(text)) return [{ name: undefined, credential: CredentialFile.parse(text, file) }]
    const { peers } = yield* Effect.fromResult(IdentityFile.parse(text, file))
    return peers.map((entry): Found => ({ name: entry.name, credential: CredentialFile.fromEntry(entry, file) }))
  })

/** What a credential says, and nothing that would let somebody use it. */
const report = (name: string | undefined, credential: Credential, nowMillis: number) => {
  const expired = credential.expiresAt <= BigInt(Math.floor(nowMillis / 1000))
  return {
    name: name ?? null,
    role: credential.kind,
    type: credential.kind === "producer" ? "policy" : credential.type,
    roles: [...Role.heldRoles(credential.attributes)],
    endpoint_id: credential.endpointId ?? null,
    root_pubkey: credential.rootPubkey,
    expires_at: credential.expiresAt,
    expires: Lifetime.formatExpiry(Number(credential.expiresAt)),
    expired,
    attributes: Object.fromEntries(credential.attributes)
  }
}

const lines = (shown: ReturnType<typeof report>): ReadonlyArray<string> => [
  ...(shown.name === null ? [] : [`Name:        ${shown.name}`]),
  `For:         a ${shown.role}${shown.type === "ott" ? ", once" : ""}`,
  `Roles:       ${shown.roles.join(", ") || "(none)"}`,
  `Node:        ${shown.endpoint_id ?? "(any: whoever has this file can use it)"}`,
  `Root key:    ${shown.root_pubkey}`,
  `Expires:     ${shown.expires}${shown.expired ? " (it has expired)" : ""}`,
  ...Object.entries(shown.attributes)
    .filter(([key]) => key !== "aster.role")
    .map(([key, value]) => `Attribute:   ${key} = ${value}`)
]

const inspect = Command.make(
  "inspect",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("A token, or a file made by aster enroll node, such as .aster-identity")
    ),
    json: flags.json
  },
  Effect.fn("aster credential inspect")(function* ({ file, json }) {
    const { readableByOthers, text } = yield* BoundedFile.read(resolve(yield* Locations, file))
    const found = yield* credentialsIn(text, file)
    if (found.length === 0) return yield* refused(`${file} holds no credential, only a node's key`)
    if (readableByOthers) yield* Effect.logWarning(`${file}: others can read it; run chmod 600`)
    const now = yield* Clock.currentTimeMillis
    const good = found.flatMap(({ credential, name }) =>
      Result.isSuccess(credential) ? [report(name, credential.success, now)] : []
    )
    if (json) yield* Console.log(jsonText(good))
    else if (good.length > 0) yield* Console.log(printable(good.map((shown) => lines(shown).join("\n")).join("\n\n")))
    const bad = found.flatMap(({ credential, name }) =>
      Result.isFailure(credential)
        ? [`${credential.failure.message}${name === undefined ? "" : ` (entry "${name}")`}`]
        : []
    )
    if (bad.length > 0) return yield* refused(bad.join("\n"))
  })
).pipe(
  Command.withDescription(
    "Show whom a credential is for, its roles, root key and expiry; whether its signature is valid"
  ),
  Command.withExamples([{ command: "aster credential inspect ops.cred", description: "Of a consumer" }])
)

/** @since 0.1.0 */
export const command = Command.make("credential").pipe(
  Command.withDescription("Look at credentials"),
  Command.withSubcommands([inspect])
)
