import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import { expandHome } from "@aster-effect/config/HomeDirectory"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { withFileLock } from "./internal/fileLock.ts"

/**
 * The store cannot say whether a nonce was used, so nobody may be admitted by one.
 *
 * | reason | meaning |
 * |---|---|
 * | `Damaged` | the file is not what this store writes; restore it, or remove it once every issued token has expired |
 * | `Locked` | another process holds the lock |
 * | `Unavailable` | the file could not be read or written |
 * | `Full` | as many unexpired nonces as the store may hold |
 * | `Malformed` | not a nonce of 32 bytes |
 *
 * @since 0.1.0
 */
export class NonceStoreError extends Schema.TaggedError<NonceStoreError>()("NonceStoreError", {
  reason: Schema.Literals(["Damaged", "Locked", "Unavailable", "Full", "Malformed"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `one-time tokens are refused: ${this.detail}`
  }
}

/** A nonce to use up: 64 hex characters, and its credential's expiry in seconds since the Unix epoch. @since 0.1.0 */
export interface Use {
  readonly nonce: string
  readonly expiresAt: bigint
}

/** @since 0.1.0 */
export interface NonceStoreOptions {
  /** Most unexpired nonces held; default 100 000. */
  readonly capacity?: number | undefined
}

/** Used nonces and when each may be forgotten, in seconds; nonces of older files have no known expiry. */
type Used = Map<string, bigint | undefined>

/** Kept this long past its expiry, so that a clock set back does not revive a token. */
const graceSeconds = 86_400n

const forgetExpired = (used: Used, nowMillis: number): void => {
  const now = BigInt(Math.floor(nowMillis / 1000))
  for (const [nonce, expiresAt] of used)
    if (expiresAt !== undefined && expiresAt + graceSeconds < now) used.delete(nonce)
}

const normalized = (nonce: string): Effect.Effect<string, NonceStoreError> =>
  /^[0-9a-fA-F]{64}$/.test(nonce)
    ? Effect.succeed(nonce.toLowerCase())
    : Effect.fail(new NonceStoreError({ reason: "Malformed", detail: "expected a nonce of 64 hex characters" }))

/** Adds a nonce; whether that was its first use. Fails when there is no room. */
const use = (used: Used, { expiresAt, nonce }: Use, capacity: number): Effect.Effect<boolean, NonceStoreError> => {
  if (used.has(nonce)) return Effect.succeed(false)
  if (used.size >= capacity) {
    return Effect.fail(new NonceStoreError({ reason: "Full", detail: `${capacity} unexpired nonces are on record` }))
  }
  used.set(nonce, expiresAt)
  return Effect.succeed(true)
}

/**
 * The memory of one-time tokens: each nonce is accepted once. A store speaks for the servers that share it, and for no
 * others.
 *
 * @since 0.1.0
 */
export class NonceStore extends Context.Service<
  NonceStore,
  {
    /** True the first time for a nonce, and only after that is on record; false ever after. */
    readonly consume: (use: Use) => Effect.Effect<boolean, NonceStoreError>
    readonly isConsumed: (nonce: string) => Effect.Effect<boolean, NonceStoreError>
  }
>()("./NonceStore.ts") {
  /** Forgets everything when the process ends: tokens that are still valid then work once more. */
  static readonly layerMemory = (options: NonceStoreOptions = {}): Layer.Layer<NonceStore> =>
    Layer.sync(this, () => makeMemory(options))

  /**
   * A JSON file that 0.1.2 can read: `consumed`, a sorted array of hex, and `expires`, when each may be forgotten. Every
   * use re-reads it under a lock file, writes it anew (0600, synced, renamed) and only then answers true, so that
   * several processes may share it. A damaged file refuses every token.
   */
  static readonly layerFile = (file: string, options: NonceStoreOptions = {}): Layer.Layer<NonceStore> =>
    Layer.effect(this, makeFile(file, options))
}

const defaultCapacity = 100_000

const makeMemory = ({ capacity = defaultCapacity }: NonceStoreOptions): NonceStore["Service"] => {
  const used: Used = new Map()
  return {
    consume: Effect.fnUntraced(function* ({ expiresAt, nonce }) {
      const key = yield* normalized(nonce)
      forgetExpired(used, yield* Clock.currentTimeMillis)
      return yield* use(used, { nonce: key, expiresAt }, capacity)
    }),
    isConsumed: (nonce) => Effect.map(normalized(nonce), (key) => used.has(key))
  }
}

const Nonce = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))

const StoreFile = Schema.fromJsonString(
  Schema.Struct({
    consumed: Schema.Array(Nonce),
    expires: Schema.optionalKey(
      Schema.Record(Nonce, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })))
    )
  })
)

const decodeStore = Schema.decodeUnknownOption(StoreFile)

/** About 150 bytes stand for one nonce. */
const bytesPerNonce = 160

const makeFile = Effect.fnUntraced(function* (file: string, { capacity = defaultCapacity }: NonceStoreOptions) {
  const path = expandHome(file)
  const turn = yield* Semaphore.make(1)

  const unavailable = (detail: string) => new NonceStoreError({ reason: "Unavailable", detail })

  const load = BoundedFile.read(path, 4_096 + capacity * bytesPerNonce).pipe(
    Effect.map(({ text }) => text),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed('{"consumed":[]}')
    ),
    Effect.mapError(({ code, message }) =>
      code === "ETOOBIG" || code === "ENOTTEXT"
        ? new NonceStoreError({ reason: "Damaged", detail: message })
        : unavailable(message)
    ),
    Effect.flatMap((text) => {
      const stored = Option.getOrUndefined(decodeStore(text))
      if (stored === undefined) {
        const detail = `${path} is damaged; restore it, or remove it once every token issued has expired`
        return Effect.fail(new NonceStoreError({ reason: "Damaged", detail }))
      }
      const expires = new Map(Object.entries(stored.expires ?? {}))
      const expiryOf = (nonce: string) => {
        const seconds = expires.get(nonce)
        return seconds === undefined ? undefined : BigInt(seconds)
      }
      return Effect.succeed<Used>(new Map(stored.consumed.map((nonce) => [nonce, expiryOf(nonce)])))
    })
  )

  const save = (used: Used) => {
    const consumed = [...used.keys()].toSorted()
    const expires = Object.fromEntries(
      [...used].flatMap(([nonce, expiresAt]) =>
        // A moment JSON cannot hold exactly is as good as never.
        expiresAt === undefined || expiresAt > Number.MAX_SAFE_INTEGER ? [] : [[nonce, Number(expiresAt)]]
      )
    )
    return AtomicFile.write(path, `${JSON.stringify({ consumed, expires })}\n`).pipe(
      Effect.mapError(({ message }) => unavailable(message))
    )
  }

  const exclusively = <A>(effect: Effect.Effect<A, NonceStoreError>): Effect.Effect<A, NonceStoreError> =>
    Semaphore.withPermit(turn, withFileLock(`${path}.lock`, effect)).pipe(
      Effect.mapError((failure) => {
        if (failure instanceof NonceStoreError) return failure
        return failure.held
          ? new NonceStoreError({
              reason: "Locked",
              detail: `${path}.lock is held by another process; remove it if that process is gone`
            })
          : unavailable(`cannot lock ${path}: ${String(failure.cause)}`)
      }),
      Effect.tapError((error) => Effect.logError(error.message))
    )

  return NonceStore.of({
    consume: Effect.fnUntraced(function* ({ expiresAt, nonce }) {
      const key = yield* normalized(nonce)
      return yield* exclusively(
        Effect.gen(function* () {
          const used = yield* load
          forgetExpired(used, yield* Clock.currentTimeMillis)
          const first = yield* use(used, { nonce: key, expiresAt }, capacity)
          if (first) yield* save(used)
          return first
        })
      )
    }),
    isConsumed: Effect.fnUntraced(function* (nonce) {
      const key = yield* normalized(nonce)
      return (yield* load).has(key)
    })
  })
})
