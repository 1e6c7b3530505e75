/**
 * `aster keygen root` and `aster keygen producer`.
 *
 * @since 0.1.0
 */
import type { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import type { FileError } from "@aster-effect/config/FileError"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as path from "node:path"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"
import { profileHint } from "../internal/profileHint.ts"
import { Keyring, type KeyringError } from "../Keyring.ts"
import { Locations, nodeKeyFile, resolve, rootKeyFile } from "../Locations.ts"
import * as ProfileStore from "../ProfileStore.ts"
import * as Progress from "../Progress.ts"
import * as RootKeyChange from "../RootKeyChange.ts"

/** What decides where a root key goes. */
interface Flags {
  readonly out: Option.Option<string>
  readonly profile: Option.Option<string>
}

/** `root.key` -> `root.pub`: only the file name's extension counts, dots in directories do not. */
const publicFileOf = (file: string): string => {
  const { dir, name } = path.parse(file)
  return path.join(dir, `${name}.pub`)
}

const exists = (file: string): Effect.Effect<boolean> =>
  BoundedFile.read(file).pipe(
    Effect.as(true),
    Effect.catch(({ code }) => Effect.succeed(code !== "ENOENT"))
  )

/** Whether a file holds the root key of another profile. */
const isOfAnother = (file: string, profile: string, store: ProfileStore.ProfileStore): Effect.Effect<boolean> =>
  BoundedFile.read(file).pipe(
    Effect.map(({ text }) => Result.getOrUndefined(RootPublicKey.fromFileText(text))),
    Effect.catch(() => Effect.succeed(undefined)),
    Effect.map((key) => (key === undefined ? undefined : ProfileStore.ownerOf(store, key))),
    Effect.map((owner) => owner !== undefined && owner !== profile)
  )

/** Where a root key's files go that nobody named: into `root.key` and `root.pub`, unless these are another profile's. */
const defaultFiles = Effect.fnUntraced(function* (
  locations: Locations,
  profile: string,
  store: ProfileStore.ProfileStore
): Effect.fn.Return<{ readonly keyFile: Option.Option<string>; readonly publicFile: string }> {
  const keyFile = rootKeyFile(locations)
  const publicFile = publicFileOf(keyFile)
  // A key left there would be found again one day, so it counts although nobody named it.
  const counts = (yield* exists(keyFile)) && !(yield* isOfAnother(keyFile, profile, store))
  return {
    keyFile: counts ? Option.some(keyFile) : Option.none(),
    publicFile: (yield* isOfAnother(publicFile, profile, store))
      ? path.join(path.dirname(publicFile), `${profile}.pub`)
      : publicFile
  }
})

/** Refuses to replace a root key that is on record anywhere. */
const requireNone = (force: boolean, found: ReadonlyArray<string>): Effect.Effect<void, CliFailure> =>
  force || found.length === 0
    ? Effect.void
    : Effect.fail(
        refused(
          `there is a root key already: ${found.join(", ")}. Use another --profile and --out for another deployment. ` +
            "To replace this one, which makes every credential it signed useless, pass --force"
        )
      )

/** Where a new root key is to go, and what is there now. */
interface Survey extends RootKeyChange.Places {
  readonly store: ProfileStore.ProfileStore
  /** Why the keyring cannot be used. */
  readonly unavailable: KeyringError | undefined
  /** Where a root key is on record, in words. */
  readonly occupied: ReadonlyArray<string>
}

/** Where the files go, before anything is looked at that may change. */
const targets = Effect.fnUntraced(function* (options: Flags) {
  const locations = yield* Locations
  const store = yield* ProfileStore.load
  const { name: profile } = yield* ProfileStore.choose(store, options.profile)
  const named = Option.map(options.out, (file) => resolve(locations, file))
  const files = Option.isSome(named)
    ? { keyFile: named, publicFile: publicFileOf(named.value) }
    : yield* defaultFiles(locations, profile, store)
  return { named, profile, store, ...files }
})

const survey = Effect.fnUntraced(function* (
  options: Flags
): Effect.fn.Return<Survey, CliFailure | AsterConfigError | FileError, Keyring> {
  const { keyFile, named, profile, publicFile, store } = yield* targets(options)
  const keyring = yield* Keyring
  if (Option.contains(named, publicFile)) {
    return yield* refused(`${publicFile}: .pub is the public key's name; choose another one for the private key`)
  }
  const stored = yield* Progress.during("Waiting for the OS keyring", Effect.result(keyring.get(profile)))
  const unavailable = Result.isFailure(stored) && stored.failure.reason === "Unavailable" ? stored.failure : undefined
  const inKeyring = unavailable === undefined && (Result.isFailure(stored) || Option.isSome(stored.success))
  const inProfile = store.profiles.get(profile)?.["root_pubkey"] ?? ""
  const occupied = [
    ...(inProfile === "" ? [] : [`in profile ${profile}`]),
    ...(inKeyring ? ["in the OS keyring"] : []),
    ...(yield* Effect.filter([...Option.toArray(keyFile), publicFile], exists))
  ]
  if (unavailable !== undefined && Option.isNone(named)) {
    return yield* refused(
      `${unavailable.message}, so the private key needs a file: pass --key-file PATH; it is written with mode 0600`
    )
  }
  return { profile, store, keyFile, publicFile, keyring: unavailable === undefined, unavailable, occupied }
})

const rootSummary = (
  { keyFile, profile, publicFile, store, unavailable }: Survey,
  { publicKey }: RootKey.RootKey
): ReadonlyArray<string> => [
  ...(store.profiles.has(profile) ? [] : [`Created profile ${profile}.`]),
  `Profile:     ${profile}`,
  `Public key:  ${publicKey}`,
  `             ${publicFile}`,
  ...(unavailable === undefined ? [`Private key: **** (in the OS keyring, aster / root_privkey:${profile})`] : []),
  ...Option.toArray(keyFile).map((file) => `${unavailable === undefined ? "            " : "Private key:"} ${file}`),
  "Keep the private key secret and backed up. Give the public key to nodes that verify credentials."
]

const root = Command.make(
  "root",
  {
    out: Flag.String("out").pipe(
      Flag.withAlias("key-file"),
      Flag.withMetavar("path"),
      Flag.withDescription(
        "Write the private key to this file too, mode 0600; required where there is no OS keyring. The public key goes " +
          "beside it, as .pub (default: the keyring alone, and ~/.aster/root.pub)"
      ),
      Flag.optional
    ),
    profile: flags.profile,
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Replace an existing root key in the profile, the keyring and the files"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("aster keygen root")(function* (options) {
    yield* RootKeyChange.recover
    const key = yield* RootKey.generate
    const free = Effect.tap(survey(options), ({ occupied }) => requireNone(options.force, occupied))
    // Once to refuse without a trace, and once more when nobody else can change the answer.
    const places = yield* RootKeyChange.exclusively(
      yield* free,
      Effect.tap(free, (found) => RootKeyChange.apply(found, key))
    )
    if (places.unavailable !== undefined) {
      yield* Effect.logWarning(`${places.unavailable.message}; the private key is in its file only`)
    }
    yield* Effect.forEach(rootSummary(places, key), (line) => Console.log(line))
  })
).pipe(
  Command.withDescription("Make a deployment's root key pair, which signs credentials"),
  Command.withExamples([
    { command: "aster keygen root", description: "Private key in the OS keyring" },
    { command: "aster keygen root --key-file root.key", description: "Private key in a file, mode 0600" }
  ])
)

const producer = Command.make(
  "producer",
  {
    out: Flag.String("out").pipe(
      Flag.withMetavar("path"),
      Flag.withDescription("Key file to write, mode 0600; must not exist (default: ~/.aster/node.key)"),
      Flag.optional
    )
  },
  Effect.fn("aster keygen producer")(function* ({ out }) {
    const locations = yield* Locations
    const file = resolve(
      locations,
      Option.getOrElse(out, () => nodeKeyFile(locations))
    )
    const key = yield* SecretKey.generate
    const endpointId = SecretKey.toEndpointId(key)
    const content = { secret_key: Hex.encode(Redacted.value(key)), node_id: endpointId }
    yield* AtomicFile.create(file, `${JSON.stringify(content, undefined, 2)}\n`).pipe(
      Effect.catchIf(
        ({ code }) => code === "EEXIST",
        () => Effect.fail(refused(`${file} exists; choose another path with --out`))
      )
    )
    yield* Console.log(`Node key: ${file}`)
    yield* Console.log(`Node id:  ${endpointId}`)
    yield* Console.log(`Next, sign its token: aster authorize --producer-id ${endpointId}`)
  })
).pipe(Command.withDescription("Make a node's key, which gives it a stable endpoint id"))

/** @since 0.1.0 */
export const command = Command.make("keygen").pipe(
  Command.withDescription("Make keys"),
  Command.withSubcommands([root, producer]),
  Command.provideEffectDiscard(profileHint)
)
