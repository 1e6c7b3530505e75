/**
 * Finding the root private key to sign with: the file that was named, else the keyring's entry of the profile, else
 * `~/.aster/root.key`.
 *
 * @since 0.1.0
 */
import type { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import type { FileError } from "@aster-effect/config/FileError"
import type * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CliFailure, refused } from "./CliFailure.ts"
import { Keyring, type KeyringError } from "./Keyring.ts"
import { Locations, resolve, rootKeyFile } from "./Locations.ts"
import * as ProfileStore from "./ProfileStore.ts"
import * as Progress from "./Progress.ts"

/** What decides where to look. @since 0.1.0 */
export interface RootKeySourceOptions {
  /** The key file named on the command line; it must exist. */
  readonly keyFile: Option.Option<string>
  readonly profile: { readonly name: string; readonly explicit: boolean }
  readonly store: ProfileStore.ProfileStore
}

/** Reads a key file that only its owner can read. @since 0.1.0 */
export const readFile = Effect.fn("RootKeySource.readFile")(function* (
  file: string
): Effect.fn.Return<RootKey.RootKey, CliFailure | AsterConfigError | FileError> {
  const { readableByOthers, text } = yield* BoundedFile.read(file)
  if (readableByOthers) {
    return yield* refused(`${file}: others can read this root private key; run: chmod 600 ${file}`)
  }
  return yield* Effect.fromResult(RootKey.parse(text, file))
})

const fromDefaultFile = Effect.fnUntraced(function* () {
  const file = rootKeyFile(yield* Locations)
  return yield* readFile(file).pipe(
    Effect.map((key) => Option.some({ key, place: file })),
    Effect.catchIf(
      (error) => error._tag === "FileError" && error.code === "ENOENT",
      () => Effect.succeedNone
    )
  )
})

const requireMatch = (
  key: RootKey.RootKey,
  place: string,
  profile: string,
  expected: RootPublicKey.RootPublicKey | undefined
): Effect.Effect<void, CliFailure> =>
  expected === undefined || expected === key.publicKey
    ? Effect.void
    : Effect.fail(
        refused(
          `the root key in ${place} is not the one of profile ${profile} (${expected.slice(0, 16)}...): ` +
            "choose another profile with --profile, or another key with --root-key"
        )
      )

/** A profile without a key on record does not borrow that of another deployment. */
const requireNoOther = (owner: string | undefined, place: string, profile: string): Effect.Effect<void, CliFailure> =>
  owner === undefined || owner === profile
    ? Effect.void
    : Effect.fail(
        refused(
          `the root key in ${place} is that of profile ${owner}, and profile ${profile} has none: choose another profile ` +
            "with --profile, or another key with --root-key"
        )
      )

/**
 * The root key, which must be the one whose public half the profile has on record. A file that was named beats an active
 * profile that was not: it then signs, with a warning when they differ.
 *
 * @since 0.1.0
 */
export const find = Effect.fn("RootKeySource.find")(function* ({
  keyFile,
  profile,
  store
}: RootKeySourceOptions): Effect.fn.Return<
  RootKey.RootKey,
  CliFailure | AsterConfigError | FileError | KeyringError,
  Keyring
> {
  const expected = yield* ProfileStore.rootPublicKey(store, profile.name)
  if (Option.isSome(keyFile)) {
    const key = yield* readFile(resolve(yield* Locations, keyFile.value))
    if (profile.explicit) yield* requireMatch(key, keyFile.value, profile.name, expected)
    else if (expected !== undefined && expected !== key.publicKey) {
      yield* Effect.logWarning(`the root key in ${keyFile.value} is not the one of the active profile ${profile.name}`)
    }
    return key
  }
  const keyring = yield* Keyring
  const stored = yield* Progress.during("Waiting for the OS keyring", Effect.result(keyring.get(profile.name)))
  if (stored._tag === "Failure" && stored.failure.reason === "Malformed") return yield* stored.failure
  if (stored._tag === "Success" && Option.isSome(stored.success)) {
    const key = stored.success.value
    yield* requireMatch(key, "the OS keyring", profile.name, expected)
    return key
  }
  const fallback = yield* fromDefaultFile()
  if (Option.isSome(fallback)) {
    const { key, place } = fallback.value
    yield* requireMatch(key, place, profile.name, expected)
    yield* requireNoOther(ProfileStore.ownerOf(store, key.publicKey), place, profile.name)
    return key
  }
  const keyringWords =
    stored._tag === "Failure" ? stored.failure.message : `the OS keyring has no root key for profile ${profile.name}`
  return yield* refused(
    `no root private key: ${keyringWords}, and ${rootKeyFile(yield* Locations)} does not exist. ` +
      "Name a key file with --key-file PATH, or make a root key with: aster keygen root"
  )
})
