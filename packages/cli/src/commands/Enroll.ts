/**
 * `aster enroll node`: gives a node its key and a credential signed by the root key, both in one identity file.
 *
 * @since 0.1.0
 */
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as FileLock from "@aster-effect/config/FileLock"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import type { Credential } from "@aster-effect/trust/Credential"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import type * as RootKey from "@aster-effect/trust/RootKey"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { isRepresentable } from "../AttributeText.ts"
import { type CliFailure, misused, refused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"
import * as gitIgnore from "../internal/gitIgnore.ts"
import * as issue from "../internal/issue.ts"
import { profileHint } from "../internal/profileHint.ts"
import * as Lifetime from "../Lifetime.ts"
import { Locations, resolve } from "../Locations.ts"
import * as ProfileStore from "../ProfileStore.ts"
import * as RootKeyChange from "../RootKeyChange.ts"
import * as RootKeySource from "../RootKeySource.ts"

const config = {
  role: Flag.Literals("role", ["producer", "consumer"]).pipe(
    Flag.withAlias("r"),
    Flag.withDescription("What the node is: it serves (producer) or calls (consumer)")
  ),
  name: Flag.String("name").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("label"),
    Flag.withDescription("Label of the entry, unique in the file; an entry of that name is replaced")
  ),
  type: flags.type,
  attributes: flags.attributes,
  capabilities: flags.capabilities,
  expires: flags.expires,
  rootKey: flags.rootKey,
  profile: flags.profile,
  signer: Flag.String("signer").pipe(
    Flag.withMetavar("kind"),
    Flag.withDescription("Who signs; only local exists (default: the profile's signer, then local)"),
    Flag.optional
  ),
  identity: Flag.String("identity").pipe(
    Flag.withAlias("i"),
    Flag.withMetavar("path"),
    Flag.withDescription("Identity file to add to; wins over --out"),
    Flag.optional
  ),
  out: flags.out(".aster-identity", "Identity file to create or to add to"),
  quiet: Flag.Boolean("quiet").pipe(
    Flag.withAlias("q"),
    Flag.withDescription("Print one line only: path, endpoint id, expiry"),
    Flag.withDefault(false)
  )
}

const requireLocalSigner = (
  flag: Option.Option<string>,
  profile: ProfileStore.Profile | undefined
): Effect.Effect<void, CliFailure> => {
  const signer = Option.getOrElse(flag, () => profile?.["signer"] ?? "local")
  return signer === "local" || signer === ""
    ? Effect.void
    : Effect.fail(refused(`there is no signer "${String(signer)}", only local: pass --signer local`))
}

const requireLabel = (name: string): Effect.Effect<void, CliFailure> =>
  name !== "" && name.length <= 256 && isRepresentable(name)
    ? Effect.void
    : Effect.fail(refused("--name: 1 to 256 characters, without quotes, backslashes and control characters"))

/** Release 0.1.2 leaves signed attributes out when it rewrites the file; here they are put back. */
const withSignedAttributes =
  (file: string) =>
  (entry: IdentityFile.IdentityEntry): IdentityFile.IdentityEntry =>
    Result.match(CredentialFile.fromEntry(entry, file), {
      onFailure: () => entry,
      onSuccess: ({ attributes }) => (attributes === entry.attributes ? entry : { ...entry, attributes })
    })

/** The identity file with a node key in it: the one it has, or a new one. */
const loadIdentity = Effect.fnUntraced(function* (file: string) {
  const text = yield* BoundedFile.read(file).pipe(
    Effect.map((content) => content.text),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed("")
    )
  )
  const before = yield* Effect.fromResult(IdentityFile.parse(text, file))
  const identity = { ...before, peers: before.peers.map(withSignedAttributes(file)) }
  return identity.node === undefined
    ? { text, before, identity, node: IdentityFile.node(yield* SecretKey.generate), reused: false }
    : { text, before, identity, node: identity.node, reused: true }
})

interface Enrolled {
  readonly path: string
  readonly file: string
  readonly name: string
  readonly type: string
  readonly node: IdentityFile.Node
  readonly reused: boolean
  readonly credential: Credential
  readonly key: RootKey.RootKey
}

const usage = ({ credential, path }: Enrolled): ReadonlyArray<string> =>
  credential.kind === "producer"
    ? [
        "With it a server is recognised as part of your deployment, and trusts what your root key signs. Use it:",
        `  set ASTER_IDENTITY_FILE=${path} for your server, or keep it as .aster-identity in its working directory`
      ]
    : [
        "With it a consumer is let in by your producers, with the capabilities above. Use it:",
        `  aster call <address> Service.method '{}' --rcan ${path}`,
        `  aster shell <address> --rcan ${path}   (aster-cli of release 0.1.2)`
      ]

const summary = (enrolled: Enrolled): ReadonlyArray<string> => {
  const { credential, file, key, name, node, reused, type } = enrolled
  return [
    `${reused ? "Kept the node key of the file" : "Made a new node key"} (endpoint id ${node.endpointId.slice(0, 16)}...)`,
    "",
    `✓ Enrolled ${name}`,
    "",
    `  File:         ${file}`,
    "  Format:       TOML: [node] with the key, [[peers]] with the credentials",
    `  Peer:         ${name}`,
    `  Role:         ${credential.kind} (${type})`,
    `  Capabilities: ${credential.attributes.get("aster.role") ?? "(none)"}`,
    `  Endpoint id:  ${node.endpointId.slice(0, 16)}...`,
    `  Root key:     ${key.publicKey.slice(0, 16)}...`,
    `  Expires:      ${Lifetime.formatExpiry(Number(credential.expiresAt))}`,
    "",
    ...usage(enrolled),
    "",
    "Keep this file secret: it is an identity and a credential in one."
  ]
}

const node = Command.make(
  "node",
  config,
  Effect.fn("aster enroll node")(function* (options) {
    const { name, role, type } = options
    if (role === "producer" && type === "ott") {
      return yield* misused("--type ott is for consumers: a producer's credential is bound to its node and used again")
    }
    yield* requireLabel(name)
    yield* RootKeyChange.recover
    const store = yield* ProfileStore.load
    const profile = yield* ProfileStore.choose(store, options.profile)
    yield* requireLocalSigner(options.signer, store.profiles.get(profile.name))
    const path = Option.getOrElse(options.identity, () => options.out)
    const file = resolve(yield* Locations, path)
    const key = yield* RootKeySource.find({ keyFile: options.rootKey, profile, store })
    const { credential, ignored, node, reused } = yield* FileLock.withLock(
      [file],
      Effect.gen(function* () {
        const { before, identity, node, reused, text } = yield* loadIdentity(file)
        const { endpointId } = node
        const credential =
          role === "producer"
            ? yield* issue.producer(key, endpointId, options, role)
            : yield* issue.consumer(key, { endpointId, type }, options, role)
        const entry = CredentialFile.toEntry(credential, key.publicKey, name)
        const after = IdentityFile.withEntry({ ...identity, node }, entry)
        yield* AtomicFile.write(file, yield* Effect.fromResult(IdentityFile.edit(file, text, before, after)))
        return { credential, ignored: yield* gitIgnore.addTo(file), node, reused }
      })
    )
    const { endpointId } = node
    if (options.quiet) {
      return yield* Console.log(`${path} ${endpointId} ${Lifetime.formatExpiry(Number(credential.expiresAt))}`)
    }
    yield* Effect.forEach(summary({ path, file, name, type, node, reused, credential, key }), (line) =>
      Console.log(line)
    )
    if (Option.isSome(ignored)) yield* Console.log(`Added its name to ${ignored.value}.`)
  })
).pipe(
  Command.withDescription("Give a node an identity: its key and a credential signed by the root key"),
  Command.withExamples([
    {
      command: "aster enroll node --role producer --name billing",
      description: "Enrol a server, in .aster-identity, for 30 days"
    },
    {
      command: "aster enroll node --role consumer --name ops --capabilities ops.status,ops.logs --out ops.cred",
      description: "Enrol a consumer with capabilities"
    }
  ])
)

/** @since 0.1.0 */
export const command = Command.make("enroll").pipe(
  Command.withDescription("Enrol nodes in a deployment"),
  Command.withSubcommands([node]),
  Command.provideEffectDiscard(profileHint)
)
