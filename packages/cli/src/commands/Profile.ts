/**
 * `aster profile list|create|use|show|delete`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Terminal from "effect/Terminal"
import { refused } from "../CliFailure.ts"
import { printable } from "../internal/printable.ts"
import { Keyring } from "../Keyring.ts"
import * as ProfileStore from "../ProfileStore.ts"
import * as RootKeyChange from "../RootKeyChange.ts"

const nameArgument = Argument.String("name").pipe(Argument.withDescription("The profile's name"))

const requireProfile = Effect.fnUntraced(function* (store: ProfileStore.ProfileStore, name: string) {
  const profile = store.profiles.get(name)
  if (profile !== undefined) return profile
  const names = [...store.profiles.keys()].toSorted().join(", ")
  return yield* refused(
    `there is no profile "${name}"; ${names === "" ? "make one with: aster profile create NAME" : `there are: ${names}`}`
  )
})

const rootOf = (profile: ProfileStore.Profile): string | undefined => {
  const key = profile["root_pubkey"]
  return typeof key === "string" && key !== "" ? key : undefined
}

const list = Command.make(
  "list",
  {},
  Effect.fn("aster profile list")(function* () {
    const { active, profiles } = yield* ProfileStore.load
    if (profiles.size === 0)
      return yield* Console.log("There are no profiles. Make one with: aster profile create NAME")
    for (const [name, profile] of [...profiles].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const root = rootOf(profile)
      const shown = root === undefined ? "<no root key>" : `${root.slice(0, 16)}...`
      yield* Console.log(printable(`  ${name}${name === active ? " *" : ""}  root_pubkey=${shown}`))
    }
  })
).pipe(Command.withDescription("List the profiles; * marks the active one"))

const create = Command.make(
  "create",
  { name: nameArgument },
  Effect.fn("aster profile create")(function* ({ name }) {
    yield* ProfileStore.checkName(name)
    const created = yield* ProfileStore.update((store) =>
      store.profiles.has(name)
        ? Effect.fail(refused(`profile "${name}" exists already`))
        : Effect.succeed(ProfileStore.withProfile(store, name, ProfileStore.emptyProfile))
    )
    yield* Console.log(`Created profile ${name}.${created.active === name ? " It is the active one." : ""}`)
    yield* Console.log(`It has no root key yet: aster keygen root --profile ${name}`)
  })
).pipe(Command.withDescription("Make a profile, without a key; the first one becomes active"))

const use = Command.make(
  "use",
  { name: nameArgument },
  Effect.fn("aster profile use")(function* ({ name }) {
    yield* ProfileStore.update((store) => Effect.as(requireProfile(store, name), { ...store, active: name }))
    yield* Console.log(`The active profile is now ${name}.`)
  })
).pipe(Command.withDescription("Make a profile the active one"))

const show = Command.make(
  "show",
  { name: Argument.optional(nameArgument) },
  Effect.fn("aster profile show")(function* ({ name: given }) {
    const store = yield* ProfileStore.load
    const name = Option.getOrElse(given, () => store.active)
    const profile = yield* requireProfile(store, name)
    const stored = yield* Effect.result((yield* Keyring).get(name))
    const privateKey = Result.isFailure(stored)
      ? `<${stored.failure.message}>`
      : Option.isSome(stored.success)
        ? "**** (in the OS keyring)"
        : "<not set>"
    yield* Console.log(printable(`Profile: ${name}${name === store.active ? " (active)" : ""}`))
    yield* Console.log(printable(`  root_pubkey: ${rootOf(profile) ?? "<not set>"}`))
    yield* Console.log(printable(`  root_privkey: ${privateKey}`))
    for (const [field, value] of Object.entries(profile)) {
      if (field !== "root_pubkey") yield* Console.log(printable(`  ${field}: ${fieldText(value)}`))
    }
  })
).pipe(Command.withDescription("Show a profile, by default the active one"))

const fieldText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** Anything but y or yes is a no, the end of input too. */
const confirmed = Effect.fnUntraced(function* (question: string) {
  const terminal = yield* Terminal.Terminal
  yield* terminal.display(`${question} [y/N] `)
  const answer = yield* Effect.catchTag(terminal.readLine, "QuitError", () => Effect.succeed(""))
  return /^\s*y(es)?\s*$/i.test(answer)
})

const remove = Command.make(
  "delete",
  {
    name: nameArgument,
    yes: Flag.Boolean("yes").pipe(Flag.withAlias("y"), Flag.withDescription("Do not ask"), Flag.withDefault(false))
  },
  Effect.fn("aster profile delete")(function* ({ name, yes }) {
    const store = yield* ProfileStore.load
    const root = rootOf(yield* requireProfile(store, name))
    if (!yes && !(yield* confirmed(`Delete profile ${printable(name)} and its root key in the OS keyring?`))) {
      return yield* Console.log("Nothing was deleted.")
    }
    const removed = yield* Effect.result((yield* Keyring).remove(name))
    yield* ProfileStore.update((now) => Effect.succeed(ProfileStore.withoutProfile(now, name)))
    yield* Console.log(printable(`Deleted profile ${name}.`))
    if (Result.isFailure(removed)) {
      if (root !== undefined) yield* Effect.logWarning(`${removed.failure.message}: nothing was deleted there`)
    } else if (removed.success) yield* Console.log("Its root private key is gone from the OS keyring.")
  })
).pipe(Command.withDescription("Delete a profile and its root key in the OS keyring"))

/** @since 0.1.0 */
export const command = Command.make("profile").pipe(
  Command.withDescription("Manage operator profiles, one per deployment"),
  Command.withSubcommands([list, create, use, show, remove]),
  // These show and change what an interrupted keygen left; what keeps it from being finished keeps nobody from looking.
  Command.provideEffectDiscard(Effect.catch(RootKeyChange.recover, ({ message }) => Effect.logWarning(message)))
)
