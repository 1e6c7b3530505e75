/**
 * Profiles: one per deployment an operator is in charge of. They stand in `~/.aster/config.toml`, mode 0600, in the form
 * of release 0.1.2:
 *
 * ```toml
 * active_profile = "prod"
 *
 * [profiles.prod]
 * root_pubkey = "<64 hex>"
 * handle = ""
 * ```
 *
 * The private half of a profile's root key is in the keyring, never here. Keys and tables that nobody here knows are kept.
 *
 * @since 0.1.0
 */
import { AsterConfigError } from "@aster-effect/config/AsterConfigError"
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import type { FileError } from "@aster-effect/config/FileError"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import { isTable, parse as parseToml, type Table } from "@aster-effect/config/TomlDocument"
import * as TomlText from "@aster-effect/config/TomlText"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { type CliFailure, refused } from "./CliFailure.ts"
import { Locations, settingsFile } from "./Locations.ts"

/** A profile's fields, the defaults filled in: `root_pubkey`, `handle`, `email`, `signer` and others. @since 0.1.0 */
export type Profile = Readonly<Record<string, unknown>>

/** @since 0.1.0 */
export interface ProfileStore {
  readonly active: string
  readonly profiles: ReadonlyMap<string, Profile>
  /** The file's other keys and tables. */
  readonly rest: Table
}

/** A new profile: all defaults, no root key. @since 0.1.0 */
export const emptyProfile: Profile = {
  handle: "",
  handle_status: "unregistered",
  handle_claimed_at: "",
  email: "",
  signer: "local",
  published_services: ""
}

const defaultService: Table = { enabled: true, node_id: "", relay: "", offline_banner: true }

const withDefaults = (table: Table, defaults: Table): Table => ({
  ...table,
  ...Object.fromEntries(Object.entries(defaults).filter(([key]) => !(key in table)))
})

const invalid = (file: string, origin: { readonly table?: string; readonly key?: string }, detail: string) =>
  new AsterConfigError({ reason: "InvalidValue", origin: { file, ...origin }, detail })

/** The store in a file's text; `file` is the name errors carry. @since 0.1.0 */
export const parse = (text: string, file: string): Result.Result<ProfileStore, AsterConfigError> =>
  Result.gen(function* () {
    const { root } = yield* parseToml(file, text)
    const { active_profile: active = "default", aster_service: service = {}, profiles = {}, ...rest } = root
    if (typeof active !== "string")
      return yield* Result.fail(invalid(file, { key: "active_profile" }, "expected a string"))
    if (!isTable(profiles)) return yield* Result.fail(invalid(file, { key: "profiles" }, "expected a table"))
    if (!isTable(service)) return yield* Result.fail(invalid(file, { key: "aster_service" }, "expected a table"))
    const found = new Map<string, Profile>()
    for (const [name, profile] of Object.entries(profiles)) {
      if (!isTable(profile))
        return yield* Result.fail(invalid(file, { table: `[profiles.${name}]` }, "expected a table"))
      found.set(name, withDefaults(profile, emptyProfile))
    }
    return { active, profiles: found, rest: { ...rest, aster_service: withDefaults(service, defaultService) } }
  })

/** @since 0.1.0 */
export const format = ({ active, profiles, rest }: ProfileStore): string =>
  TomlText.format({ active_profile: active, ...rest, profiles: Object.fromEntries(profiles) })

/** What is in `~/.aster/config.toml`; without the file, no profile. @since 0.1.0 */
export const load: Effect.Effect<ProfileStore, AsterConfigError | FileError> = Effect.gen(function* () {
  const file = settingsFile(yield* Locations)
  const text = yield* BoundedFile.read(file).pipe(
    Effect.map((content) => content.text),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed("")
    )
  )
  return yield* Effect.fromResult(parse(text, file))
})

/** Replaces `~/.aster/config.toml`. @since 0.1.0 */
export const save = (store: ProfileStore): Effect.Effect<void, FileError> =>
  Effect.flatMap(Locations, (locations) => AtomicFile.write(settingsFile(locations), format(store)))

/** The store with one profile added or replaced; the first of all becomes the active one. @since 0.1.0 */
export const withProfile = (store: ProfileStore, name: string, profile: Profile): ProfileStore => ({
  ...store,
  active: store.profiles.size === 0 ? name : store.active,
  profiles: new Map([...store.profiles, [name, profile]])
})

/** The store without a profile; if it was the active one, the first by name is now, or `default`. @since 0.1.0 */
export const withoutProfile = (store: ProfileStore, name: string): ProfileStore => {
  const profiles = new Map([...store.profiles].filter(([other]) => other !== name))
  const active = store.active === name ? ([...profiles.keys()].toSorted()[0] ?? "default") : store.active
  return { ...store, active, profiles }
}

/** Names become TOML headers and keyring accounts. @since 0.1.0 */
export const checkName = (name: string): Effect.Effect<string, CliFailure> =>
  /^[A-Za-z0-9_-]{1,64}$/.test(name)
    ? Effect.succeed(name)
    : Effect.fail(refused("a profile name has 1 to 64 letters, digits, hyphens and underscores (A-Z a-z 0-9 - _)"))

/**
 * The profile to work with: the one named by the flag, else by `ASTER_PROFILE`, else the active one. `explicit` tells the
 * first two from the last.
 *
 * @since 0.1.0
 */
export const choose = Effect.fn("ProfileStore.choose")(function* (
  store: ProfileStore,
  flag: Option.Option<string>
): Effect.fn.Return<{ readonly name: string; readonly explicit: boolean }, CliFailure> {
  const variable = yield* Effect.orDie(Config.option(Config.String("ASTER_PROFILE")))
  const named = Option.orElse(flag, () => Option.filter(variable, (name) => name !== ""))
  const name = yield* checkName(Option.getOrElse(named, () => store.active))
  return { name, explicit: Option.isSome(named) }
})

/** A profile's root public key, if it has one. @since 0.1.0 */
export const rootPublicKey = Effect.fn("ProfileStore.rootPublicKey")(function* (
  store: ProfileStore,
  name: string
): Effect.fn.Return<RootPublicKey.RootPublicKey | undefined, AsterConfigError> {
  const value = store.profiles.get(name)?.["root_pubkey"]
  if (value === undefined || value === "") return undefined
  const key = typeof value === "string" ? RootPublicKey.fromHex(value) : Result.fail("expected a string")
  if (Result.isSuccess(key)) return key.success
  const file = settingsFile(yield* Locations)
  return yield* invalid(file, { table: `[profiles.${name}]`, key: "root_pubkey" }, key.failure)
})

/** The profile that has this root key on record. @since 0.1.0 */
export const ownerOf = ({ profiles }: ProfileStore, key: RootPublicKey.RootPublicKey): string | undefined =>
  [...profiles].find(([, profile]) => profile["root_pubkey"] === key)?.[0]
