/**
 * Putting a new root key into every place that holds one: its file, the keyring, the public file and the profile.
 *
 * No disk changes several places at once, so what is about to change is written down first, in
 * `~/.aster/root-key-change.json`, without anything secret. A command that finds the note was preceded by one that did not
 * end, and finishes its work: where the new private key is, the other places follow; where it is nowhere, nothing had
 * changed yet.
 *
 * @since 0.1.0
 */
import type { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import { FileError } from "@aster-effect/config/FileError"
import * as FileLock from "@aster-effect/config/FileLock"
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { type CliFailure, refused } from "./CliFailure.ts"
import * as transaction from "./internal/transaction.ts"
import { Keyring, type KeyringError } from "./Keyring.ts"
import { Locations, settingsFile } from "./Locations.ts"
import * as ProfileStore from "./ProfileStore.ts"

const Note = Schema.Struct({
  profile: Schema.String,
  public_key: Schema.String,
  /** Null: the private key goes into the keyring alone. */
  key_file: Schema.NullOr(Schema.String),
  public_file: Schema.String,
  keyring: Schema.Boolean
})

/** Where a root key goes. @since 0.1.0 */
export interface Places {
  readonly profile: string
  /** For the private key; none means the keyring alone. */
  readonly keyFile: Option.Option<string>
  readonly publicFile: string
  /** Whether there is a keyring to put it into. */
  readonly keyring: boolean
}

const noteFile = (locations: Locations): string =>
  path.join(path.dirname(settingsFile(locations)), "root-key-change.json")

const formatNote = ({ keyFile, keyring, profile, publicFile }: Places, publicKey: RootPublicKey): string => {
  const note: typeof Note.Type = {
    profile,
    public_key: publicKey,
    key_file: Option.getOrNull(keyFile),
    public_file: publicFile,
    keyring
  }
  return `${JSON.stringify(note, undefined, 2)}\n`
}

/** Files that a change touches; their lock keeps other commands from seeing half of it. */
const filesOf = (locations: Locations, { keyFile, publicFile }: Pick<Places, "keyFile" | "publicFile">) => [
  settingsFile(locations),
  publicFile,
  ...Option.toArray(keyFile)
]

/** Runs an effect while no other command changes these places. @since 0.1.0 */
export const exclusively = <A, E, R>(
  places: Pick<Places, "keyFile" | "publicFile">,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | FileError, R> =>
  Effect.flatMap(Locations, (locations) => FileLock.withLock(filesOf(locations, places), effect))

const remove = (file: string): Effect.Effect<void, FileError> =>
  Effect.tryPromise({
    try: () => fs.rm(file, { force: true }),
    catch: (cause) => FileError.of("write", file, cause)
  })

const inProfile = (profile: string, key: RootPublicKey) =>
  ProfileStore.update((store) => {
    const fields = { ...(store.profiles.get(profile) ?? ProfileStore.emptyProfile), root_pubkey: key }
    return Effect.succeed(ProfileStore.withProfile(store, profile, fields))
  })

const withoutKey = (profile: string, before: ProfileStore.ProfileStore) =>
  ProfileStore.update((store) => {
    const fields = before.profiles.get(profile)
    const restored = fields === undefined ? ProfileStore.withoutProfile(store, profile) : undefined
    return Effect.succeed(restored ?? ProfileStore.withProfile(store, profile, fields ?? {}))
  })

/** The public key is there to be read by others. */
const writePublic = (file: string, key: RootPublicKey): Effect.Effect<void, FileError> =>
  AtomicFile.write(file, RootKey.publicFileText(key), { mode: 0o644 })

type Failure = FileError | KeyringError | AsterConfigError

/** Everything but the note: every place, or none when one refuses. The private key comes first. */
const put = Effect.fnUntraced(function* (
  { keyFile, keyring: hasKeyring, profile, publicFile }: Places,
  key: RootKey.RootKey
): Effect.fn.Return<void, Failure, Keyring> {
  const keyring = yield* Keyring
  const store = yield* ProfileStore.load
  const stored = hasKeyring ? yield* Effect.result(keyring.get(profile)) : undefined
  const earlier = stored?._tag === "Success" ? Option.getOrUndefined(stored.success) : undefined
  const backInKeyring = earlier === undefined ? keyring.remove(profile) : keyring.set(profile, earlier)
  yield* transaction.run<Failure>([
    ...Option.toArray(keyFile).map((file) => transaction.file(file, RootKey.write(file, key))),
    ...(hasKeyring ? [transaction.place(keyring.set(profile, key), backInKeyring)] : []),
    transaction.file(publicFile, writePublic(publicFile, key.publicKey)),
    transaction.place(inProfile(profile, key.publicKey), withoutKey(profile, store))
  ])
})

/**
 * Puts a key into every place, or changes none when one refuses. To be run within `exclusively`.
 *
 * @since 0.1.0
 */
export const apply = Effect.fn("RootKeyChange.apply")(function* (
  places: Places,
  key: RootKey.RootKey
): Effect.fn.Return<void, Failure, Keyring> {
  const note = noteFile(yield* Locations)
  yield* Effect.uninterruptible(
    AtomicFile.write(note, formatNote(places, key.publicKey)).pipe(
      Effect.andThen(put(places, key)),
      Effect.ensuring(Effect.ignore(remove(note), { log: "Warn" }))
    )
  )
})

/** The new private key, if it got anywhere; fails where that cannot be told. */
const findNew = Effect.fnUntraced(function* ({
  key_file,
  keyring,
  profile,
  public_key
}: typeof Note.Type): Effect.fn.Return<RootKey.RootKey | undefined, CliFailure, Keyring> {
  const unknown = ({ message }: { readonly message: string }) =>
    refused(`aster keygen root did not end the last time, and this stands in the way of finishing it: ${message}`)
  const isNew = (key: RootKey.RootKey | undefined) => key?.publicKey === public_key
  const inFile =
    key_file === null
      ? undefined
      : yield* RootKey.read(key_file).pipe(
          Effect.catchIf(
            (error) => error._tag === "FileError" && error.code === "ENOENT",
            () => Effect.succeed(undefined)
          ),
          Effect.mapError(unknown)
        )
  if (isNew(inFile) || !keyring) return isNew(inFile) ? inFile : undefined
  const stored = yield* (yield* Keyring).get(profile).pipe(
    // What is damaged is not what was about to be written.
    Effect.catchIf(
      ({ reason }) => reason === "Malformed",
      () => Effect.succeedNone
    ),
    Effect.mapError(unknown)
  )
  const inKeyring = Option.getOrUndefined(stored)
  return isNew(inKeyring) ? inKeyring : undefined
})

const decodeNote = Schema.decodeUnknownOption(Schema.fromJsonString(Note))

/**
 * Finishes what a command began that was killed. Does nothing when there is no note.
 *
 * @since 0.1.0
 */
export const recover: Effect.Effect<void, CliFailure | Failure, Keyring> = Effect.gen(function* () {
  const locations = yield* Locations
  const file = noteFile(locations)
  const read = BoundedFile.read(file).pipe(
    Effect.map(({ text }) => Option.some(text)),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeedNone
    )
  )
  const begun = Option.getOrUndefined(yield* read)
  if (begun === undefined) return
  const note = Option.getOrUndefined(decodeNote(begun))
  if (note === undefined) {
    return yield* refused(`${file} is damaged: remove it once the root key and its public key agree everywhere`)
  }
  const places: Places = {
    profile: note.profile,
    keyFile: Option.fromNullishOr(note.key_file),
    publicFile: note.public_file,
    keyring: note.keyring
  }
  yield* FileLock.withLock(
    filesOf(locations, places),
    Effect.gen(function* () {
      // Whoever wrote it may just have been at work.
      if (Option.getOrUndefined(yield* read) !== begun) return
      const key = yield* findNew(note)
      if (key !== undefined) {
        yield* put(places, key)
        yield* Effect.logWarning(
          `aster keygen root did not end the last time; its work is finished: profile ${note.profile} has the root key ` +
            key.publicKey
        )
      }
      yield* remove(file)
    })
  )
})
