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
import * as FileLock from "@aster-effect/config/FileLock"
import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import { isTable, parse as parseToml, type Table } from "@aster-effect/config/TomlDocument"
import * as TomlEdit from "@aster-effect/config/TomlEdit"
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

/** The text of a file in which `before` became `after`; what is the same stays as it stands. */
const edited = (
  file: string,
  text: string,
  before: ProfileStore,
  after: ProfileStore
): Result.Result<string, AsterConfigError> => {
  if (text.trim() === "") return Result.succeed(format(after))
  const removed = [...before.profiles.keys()].filter((name) => !after.profiles.has(name))
  const keyed = (section: TomlEdit.Section): TomlEdit.Section => {
    if (section.path.length === 0 && before.active !== after.active) {
      return TomlEdit.withKey(section, "active_profile", after.active)
    }
    const name = section.path[0] === "profiles" && section.path.length === 2 ? section.path[1] : undefined
    const [old, next] = [before.profiles.get(name ?? ""), after.profiles.get(name ?? "")]
    return Object.entries(next ?? {})
      .filter(([key, value]) => old !== undefined && old[key] !== value)
      .reduce((kept, [key, value]) => TomlEdit.withKey(kept, key, value), section)
  }
  const sections = TomlEdit.sections(text)
    .filter((section) => !removed.some((name) => TomlEdit.isWithin(section, ["profiles", name])))
    .map(keyed)
  const added = [...after.profiles].filter(([name]) => !before.profiles.has(name))
  const lines = TomlText.lines({ profiles: Object.fromEntries(added) })
  return Result.gen(function* () {
    const parts = added.length === 0 ? sections : TomlEdit.withLines(sections, lines)
    // Defaults that the file does not spell out are no change to it.
    const { root } = yield* parseToml(file, text)
    const profiles = isTable(root["profiles"]) ? root["profiles"] : {}
    const expected = Object.fromEntries(
      [...after.profiles].map(([name, profile]) => {
        const stood = profiles[name]
        const old = before.profiles.get(name)
        const shown = Object.entries(profile).filter(
          ([key, value]) => !isTable(stood) || key in stood || old?.[key] !== value
        )
        return [name, Object.fromEntries(shown)]
      })
    )
    const active = "active_profile" in root || before.active !== after.active ? { active_profile: after.active } : {}
    const tables = after.profiles.size > 0 || "profiles" in root ? { profiles: expected } : {}
    const emptied = after.profiles.size === 0 && before.profiles.size > 0 ? { profiles: undefined } : {}
    return yield* TomlEdit.changed(file, parts, { ...root, ...active, ...tables, ...emptied })
  })
}

/** What stands in the file now, and its text. */
const read = Effect.fnUntraced(function* (): Effect.fn.Return<
  { readonly file: string; readonly text: string; readonly store: ProfileStore },
  AsterConfigError | FileError
> {
  const file = settingsFile(yield* Locations)
  const text = yield* BoundedFile.read(file).pipe(
    Effect.map((content) => content.text),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed("")
    )
  )
  return { file, text, store: yield* Effect.fromResult(parse(text, file)) }
})

/** What is in `~/.aster/config.toml`; without the file, no profile. @since 0.1.0 */
export const load: Effect.Effect<ProfileStore, AsterConfigError | FileError> = Effect.suspend(() =>
  Effect.map(read(), ({ store }) => store)
)

/**
 * Changes `~/.aster/config.toml` by what `change` makes of it, while no other command does. Comments, layout and what
 * nobody here knows stay as they are.
 *
 * @since 0.1.0
 */
export const update = <E, R>(
  change: (store: ProfileStore) => Effect.Effect<ProfileStore, E, R>
): Effect.Effect<ProfileStore, E | AsterConfigError | FileError, R> =>
  Effect.flatMap(Locations, (locations) =>
    FileLock.withLock(
      [settingsFile(locations)],
      Effect.gen(function* () {
        const { file, store, text } = yield* read()
        const next = yield* change(store)
        if (next !== store) yield* AtomicFile.write(file, yield* Effect.fromResult(edited(file, text, store, next)))
        return next
      })
    )
  )

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
