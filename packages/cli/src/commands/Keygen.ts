/**
 * `aster keygen root` and `aster keygen producer`.
 *
 * @since 0.1.0
 */
import * as RootKey from "@aster-effect/admission/RootKey"
import * as NodeKey from "@aster-effect/config/NodeKey"
import type * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as SecretFile from "@aster-effect/config/SecretFile"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"
import { profileHint } from "../internal/profileHint.ts"
import * as transaction from "../internal/transaction.ts"
import { Keyring, type KeyringError } from "../Keyring.ts"
import { Locations, nodeKeyFile, resolve, rootKeyFile } from "../Locations.ts"
import * as ProfileStore from "../ProfileStore.ts"
import * as Progress from "../Progress.ts"

/** `root.key` -> `root.pub`: only the file name's extension counts, dots in directories do not. */
const publicFileOf = (file: string): string => {
  const { dir, name } = path.parse(file)
  return path.join(dir, `${name}.pub`)
}

const exists = (file: string): Effect.Effect<boolean> =>
  SecretFile.read(file).pipe(
    Effect.as(true),
    Effect.catch(({ code }) => Effect.succeed(code !== "ENOENT"))
  )

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

/** The public key is there to be read by others. */
const writePublic = (file: string, key: RootPublicKey.RootPublicKey): Effect.Effect<void, SecretFile.FileError> =>
  Effect.andThen(
    SecretFile.write(file, RootKey.publicFileText(key)),
    Effect.ignore(Effect.tryPromise(() => fs.chmod(file, 0o644)))
  )

const inKeyring = (
  keyring: Keyring["Service"],
  profile: string,
  key: RootKey.RootKey,
  earlier: RootKey.RootKey | undefined
): transaction.Step<KeyringError, never> =>
  transaction.place(
    keyring.set(profile, key),
    earlier === undefined ? keyring.remove(profile) : keyring.set(profile, earlier)
  )

const inProfileStore = (
  store: ProfileStore.ProfileStore,
  name: string,
  key: RootPublicKey.RootPublicKey
): transaction.Step<SecretFile.FileError, never> => {
  const profile = { ...(store.profiles.get(name) ?? ProfileStore.emptyProfile), root_pubkey: key }
  return transaction.place(ProfileStore.save(ProfileStore.withProfile(store, name, profile)), ProfileStore.save(store))
}

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
    const locations = yield* Locations
    const keyring = yield* Keyring
    const store = yield* ProfileStore.load
    const { name } = yield* ProfileStore.choose(store, options.profile)
    const defaultFile = rootKeyFile(locations)
    const named = Option.map(options.out, (file) => resolve(locations, file))
    const publicFile = publicFileOf(Option.getOrElse(named, () => defaultFile))
    if (Option.contains(named, publicFile)) {
      return yield* refused(`${publicFile}: .pub is the public key's name; choose another one for the private key`)
    }
    const stored = yield* Progress.during("Waiting for the OS keyring", Effect.result(keyring.get(name)))
    const earlier = Result.isSuccess(stored) ? Option.getOrUndefined(stored.success) : undefined
    const unavailable = Result.isFailure(stored) && stored.failure.reason === "Unavailable" ? stored.failure : undefined
    if (unavailable !== undefined && Option.isNone(named)) {
      return yield* refused(
        `${unavailable.message}, so the private key needs a file: pass --key-file PATH; it is written with mode 0600`
      )
    }
    // A key left in the default file would be found again one day, so it counts although nobody named it.
    const keyFile = Option.isSome(named) || !(yield* exists(defaultFile)) ? named : Option.some(defaultFile)
    const inProfile = store.profiles.get(name)?.["root_pubkey"] ?? ""
    yield* requireNone(options.force, [
      ...(inProfile === "" ? [] : [`in profile ${name}`]),
      ...(earlier !== undefined || (Result.isFailure(stored) && unavailable === undefined)
        ? ["in the OS keyring"]
        : []),
      ...(yield* Effect.filter([...Option.toArray(keyFile), publicFile], exists))
    ])
    const key = yield* RootKey.generate
    yield* transaction.run<SecretFile.FileError | KeyringError>([
      ...Option.toArray(keyFile).map((file) => transaction.file(file, RootKey.write(file, key))),
      ...(unavailable === undefined ? [inKeyring(keyring, name, key, earlier)] : []),
      transaction.file(publicFile, writePublic(publicFile, key.publicKey)),
      inProfileStore(store, name, key.publicKey)
    ])
    if (!store.profiles.has(name)) yield* Console.log(`Created profile ${name}.`)
    if (unavailable !== undefined) {
      yield* Effect.logWarning(`${unavailable.message}; the private key is in its file only`)
    }
    const places = [
      ...(unavailable === undefined ? [`**** (in the OS keyring, aster / root_privkey:${name})`] : []),
      ...Option.toArray(keyFile)
    ]
    yield* Console.log(`Profile:     ${name}`)
    yield* Console.log(`Public key:  ${key.publicKey}`)
    yield* Console.log(`             ${publicFile}`)
    yield* Effect.forEach(places, (place, index) =>
      Console.log(`${index === 0 ? "Private key: " : "             "}${place}`)
    )
    yield* Console.log(
      "Keep the private key secret and backed up. Give the public key to nodes that verify credentials."
    )
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
    if (yield* exists(file)) return yield* refused(`${file} exists; choose another path with --out`)
    const key = yield* NodeKey.generate
    const endpointId = NodeKey.endpointId(key)
    const content = { secret_key: Hex.encode(Redacted.value(key)), node_id: endpointId }
    yield* SecretFile.write(file, `${JSON.stringify(content, undefined, 2)}\n`)
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
