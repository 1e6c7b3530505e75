/**
 * The operating system's keyring, where root private keys live: Keychain, Credential Manager, or the Secret Service of a
 * Linux desktop. Entries are those of release 0.1.2: service `aster`, account `root_privkey:<profile>`, the seed in hex.
 *
 * @since 0.1.0
 */
import * as RootKey from "@aster-effect/trust/RootKey"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * `Unavailable`: there is no keyring here, or it is locked; `Malformed`: the entry is not a seed of 64 hex characters.
 *
 * @since 0.1.0
 */
export class KeyringError extends Schema.TaggedError<KeyringError>()("KeyringError", {
  reason: Schema.Literals(["Unavailable", "Malformed"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.reason === "Unavailable" ? `no OS keyring is available (${this.detail})` : this.detail
  }
}

/** @since 0.1.0 */
export class Keyring extends Context.Service<
  Keyring,
  {
    /** A profile's root key. */
    readonly get: (profile: string) => Effect.Effect<Option.Option<RootKey.RootKey>, KeyringError>
    /** Stores a profile's root key, replacing the one before. */
    readonly set: (profile: string, key: RootKey.RootKey) => Effect.Effect<void, KeyringError>
    /** Forgets a profile's root key; answers whether there was one. */
    readonly remove: (profile: string) => Effect.Effect<boolean, KeyringError>
  }
>()("@aster-effect/cli/Keyring") {
  /** The keyring of the operating system; nothing is loaded before it is used. */
  static readonly layerOs: Layer.Layer<Keyring> = Layer.sync(this, () => ({
    get: (profile) =>
      Effect.flatMap(
        onEntry(profile, (entry, signal) => entry.getPassword(signal)),
        (text) => (text === null ? Effect.succeedNone : Effect.map(parse(profile, text), Option.some))
      ),
    set: (profile, key) =>
      onEntry(profile, (entry, signal) => entry.setPassword(Hex.encode(Redacted.value(key.seed)), signal)),
    remove: (profile) => onEntry(profile, (entry, signal) => entry.deleteCredential(signal))
  }))

  /** A keyring in memory. */
  static readonly layerMemory: Layer.Layer<Keyring> = Layer.sync(this, () => {
    const keys = new Map<string, RootKey.RootKey>()
    return {
      get: (profile) => Effect.sync(() => Option.fromUndefinedOr(keys.get(profile))),
      set: (profile, key) => Effect.sync(() => void keys.set(profile, key)),
      remove: (profile) => Effect.sync(() => keys.delete(profile))
    }
  })

  /** A machine without a keyring. */
  static readonly layerUnavailable = (detail: string): Layer.Layer<Keyring> => {
    const fail = Effect.fail(new KeyringError({ reason: "Unavailable", detail }))
    return Layer.succeed(this, { get: () => fail, set: () => fail, remove: () => fail })
  }
}

interface Entry {
  readonly getPassword: (signal: AbortSignal) => Promise<string | null>
  readonly setPassword: (password: string, signal: AbortSignal) => Promise<void>
  readonly deleteCredential: (signal: AbortSignal) => Promise<boolean>
}

/**
 * Runs one operation. On Linux only the Secret Service will do: what the library would fall back to, the kernel's
 * keyring, forgets everything when the machine restarts.
 */
const onEntry = <A>(
  profile: string,
  run: (entry: Entry, signal: AbortSignal) => Promise<A>
): Effect.Effect<A, KeyringError> =>
  Effect.tryPromise({
    try: async (signal) => {
      const { AsyncEntry } = await import("@napi-rs/keyring")
      return run(new AsyncEntry("aster", `root_privkey:${profile}`, { linux: { store: "secret-service" } }), signal)
    },
    catch: (cause) => new KeyringError({ reason: "Unavailable", detail: firstLine(cause) })
  })

/** What the library says of a desktop bus that is not there helps nobody. */
const firstLine = (cause: unknown): string => {
  const line = String(cause instanceof Error ? cause.message : cause).split("\n")[0] ?? ""
  return /d-?bus|secret.?service|org\.freedesktop/i.test(line) ? "no Secret Service is running" : line
}

const parse = (profile: string, text: string): Effect.Effect<RootKey.RootKey, KeyringError> =>
  Effect.fromResult(
    Result.flatMap(
      Result.mapError(Hex.decode(text), () => ""),
      RootKey.fromSeed
    )
  ).pipe(
    Effect.mapError(
      () =>
        new KeyringError({
          reason: "Malformed",
          detail: `the keyring entry aster / root_privkey:${profile} holds no root key of 64 hex characters; delete it, or create the key anew with --force`
        })
    )
  )
