import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import { expandHome } from "@aster-effect/config/HomeDirectory"
import * as KernelLock from "@aster-effect/config/KernelLock"
import * as FileAccess from "@aster-effect/iroh/FileAccess"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as fs from "node:fs/promises"
import * as nodePath from "node:path"
import { isDamage, NonceDatabase } from "./internal/nonceDatabase.ts"
import * as nonceFile from "./internal/nonceFile.ts"

/**
 * The store cannot say whether a nonce was used, so nobody may be admitted by one.
 *
 * | reason | meaning |
 * |---|---|
 * | `Damaged` | a file is not what this store writes; restore it, or remove it once every issued token has expired |
 * | `Locked` | other processes keep the database to themselves |
 * | `Unavailable` | a file could not be read or written |
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

const normalized = (nonce: string): Effect.Effect<string, NonceStoreError> =>
  /^[0-9a-fA-F]{64}$/.test(nonce)
    ? Effect.succeed(nonce.toLowerCase())
    : Effect.fail(new NonceStoreError({ reason: "Malformed", detail: "expected a nonce of 64 hex characters" }))

/**
 * The memory of one-time tokens: each nonce is accepted once. A store speaks for the servers that share it, and for no
 * others.
 *
 * A nonce is forgotten a day after its credential expired. Clocks are wrong at times, so a store remembers up to which
 * expiry it has forgotten, and refuses what expires no later as used: a clock that was ahead revives nothing.
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
>()("@aster-effect/trust/NonceStore") {
  /** Forgets everything when the process ends: tokens that are still valid then work once more. */
  static readonly layerMemory = (options: NonceStoreOptions = {}): Layer.Layer<NonceStore> =>
    Layer.effect(this, makeMemory(options))

  /**
   * Nonces in an SQLite database, `FILE.db`, that several processes may share, also from different containers: its lock is
   * the kernel's. A nonce is on disk before it is accepted.
   *
   * `FILE` itself is the JSON that release 0.1.2 reads and writes: `consumed`, a sorted array of hex, and `expires`, when
   * each may be forgotten. What it says counts too, whoever changed it. It is kept up to date with every use up to a
   * thousand nonces, beyond that when the store opens and closes. Where it or the database is damaged every token is
   * refused.
   */
  static readonly layerFile = (file: string, options: NonceStoreOptions = {}): Layer.Layer<NonceStore> =>
    Layer.effect(this, makeFile(file, options))
}

const defaultCapacity = 100_000

/** Uses a nonce up in an open transaction; whether that was its first use. */
const useIn = Effect.fnUntraced(function* (
  database: NonceDatabase,
  { expiresAt, nonce }: Use,
  capacity: number
): Effect.fn.Return<boolean, NonceStoreError> {
  database.forget(BigInt(Math.floor((yield* Clock.currentTimeMillis) / 1000)))
  if (database.has(nonce) || database.mayBeForgotten(expiresAt)) return false
  if (database.count >= capacity) {
    return yield* new NonceStoreError({ reason: "Full", detail: `${capacity} unexpired nonces are on record` })
  }
  database.add([[nonce, expiresAt]])
  return true
})

const makeMemory = Effect.fnUntraced(function* ({
  capacity = defaultCapacity
}: NonceStoreOptions): Effect.fn.Return<NonceStore["Service"], never, Scope.Scope> {
  // Made by the first token: most servers see none, and need not load SQLite.
  let opened: NonceDatabase | undefined
  const database = Effect.sync(() => (opened ??= new NonceDatabase(":memory:")))
  yield* Effect.addFinalizer(() => Effect.sync(() => opened?.[Symbol.dispose]()))
  return NonceStore.of({
    consume: Effect.fnUntraced(function* ({ expiresAt, nonce }) {
      const key = yield* normalized(nonce)
      return yield* useIn(yield* database, { nonce: key, expiresAt }, capacity)
    }),
    isConsumed: Effect.fnUntraced(function* (nonce) {
      const key = yield* normalized(nonce)
      return (yield* database).has(key)
    })
  })
})

/** Up to so many nonces the JSON file is written with every use: its cost grows with them. */
const mirrored = 1_000

/** About 150 bytes stand for one nonce. */
const bytesPerNonce = 160

const unavailable = (detail: string) => new NonceStoreError({ reason: "Unavailable", detail })

const damaged = (file: string) =>
  new NonceStoreError({
    reason: "Damaged",
    detail: `${file} is damaged; restore it, or remove it once every token issued has expired`
  })

/** Makes the file for its mode, unless somebody has. One that is there is left to SQLite: closing it gives up its locks. */
const makeDatabaseFile = async (file: string): Promise<void> => {
  await fs.mkdir(nodePath.dirname(file), { recursive: true, mode: 0o700 })
  if ((await nonceFile.fingerprint(file)) !== "") return
  try {
    await (await fs.open(file, "wx", 0o600)).close()
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause
  }
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const makeFile = Effect.fnUntraced(function* (
  given: string,
  { capacity = defaultCapacity }: NonceStoreOptions
): Effect.fn.Return<NonceStore["Service"], never, Scope.Scope> {
  const file = nodePath.resolve(expandHome(given))
  const databaseFile = `${file}.db`
  // Those of this process wait in line instead of trying, and leave other processes a chance in between.
  const turn = yield* Semaphore.make(1)
  const pause = KernelLock.pause()
  const inTurn = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Semaphore.withPermit(turn, Effect.andThen(pause.over, Effect.ensuring(effect, pause.begin)))

  const failureOf = (cause: unknown): NonceStoreError => {
    if (cause instanceof NonceStoreError) return cause
    if (KernelLock.isBusy(cause)) {
      return new NonceStoreError({ reason: "Locked", detail: `other processes keep ${databaseFile} to themselves` })
    }
    if (isDamage(cause)) return damaged(databaseFile)
    const told = FileAccess.explained(cause, [nodePath.dirname(file), databaseFile])
    return unavailable(`cannot use ${databaseFile}: ${messageOf(told)}`)
  }

  const attempt = <A>(run: () => A): Effect.Effect<A, NonceStoreError> => Effect.try({ try: run, catch: failureOf })

  /** A connection for each use: a file that was removed or replaced meanwhile is not written to. */
  const open = (patience: number) =>
    KernelLock.acquire(
      async () => {
        await makeDatabaseFile(databaseFile)
        return new NonceDatabase(databaseFile)
      },
      { patience }
    ).pipe(Effect.mapError(failureOf))

  const fingerprint = Effect.tryPromise({
    try: () => nonceFile.fingerprint(file),
    catch: (cause) => unavailable(`cannot read ${file}: ${messageOf(cause)}`)
  })

  /** Takes in what the JSON file says, if that is not known already. */
  const readMirror = Effect.fnUntraced(function* (database: NonceDatabase) {
    const found = yield* fingerprint
    if (found === "" || found === (yield* attempt(() => database.mirror))) return
    const { text } = yield* BoundedFile.read(file, 4_096 + 2 * capacity * bytesPerNonce).pipe(
      Effect.mapError(({ code, message }) =>
        code === "ETOOBIG" || code === "ENOTTEXT" ? damaged(file) : unavailable(message)
      )
    )
    const entries = nonceFile.parse(text)
    if (entries === undefined) return yield* damaged(file)
    yield* attempt(() => {
      database.add(entries)
      database.mirror = found
    })
  })

  const writeMirror = Effect.fnUntraced(function* (database: NonceDatabase) {
    const text = yield* attempt(() => nonceFile.format(database.entries()))
    yield* Effect.mapError(AtomicFile.write(file, text), ({ message }) => unavailable(message))
    const written = yield* fingerprint
    yield* attempt(() => {
      database.mirror = written
    })
  })

  /** Runs in a transaction that knows what the JSON file says. Committed when it succeeds. */
  const transaction = <A>(
    run: (database: NonceDatabase) => Effect.Effect<A, NonceStoreError>,
    patience = 10_000
  ): Effect.Effect<A, NonceStoreError> =>
    inTurn(
      Effect.acquireUseRelease(
        open(patience),
        (database) =>
          readMirror(database).pipe(
            Effect.andThen(run(database)),
            Effect.tap(() => attempt(() => database.commit()))
          ),
        (database) => Effect.sync(() => database[Symbol.dispose]())
      )
    )

  /** For release 0.1.2, beyond a thousand nonces. What stands in the way is reported where it matters. */
  const renewMirror = Effect.ignore(
    transaction((database) => (database.count > mirrored ? writeMirror(database) : Effect.void), 0)
  )
  const used = yield* fingerprintOf(databaseFile)
  if (used) yield* renewMirror
  yield* Effect.addFinalizer(() => renewMirror)

  return NonceStore.of({
    consume: Effect.fnUntraced(function* ({ expiresAt, nonce }) {
      const key = yield* normalized(nonce)
      return yield* transaction((database) =>
        // A commit or a write must not be left half way by an interruption that nobody would hear of.
        Effect.uninterruptible(
          useIn(database, { nonce: key, expiresAt }, capacity).pipe(
            Effect.catchDefect((cause) => Effect.fail(failureOf(cause))),
            Effect.tap((first) => (first && database.count <= mirrored ? writeMirror(database) : Effect.void))
          )
        )
      ).pipe(Effect.tapError((error) => Effect.logError(error.message)))
    }),
    isConsumed: Effect.fnUntraced(function* (nonce) {
      const key = yield* normalized(nonce)
      return yield* transaction((database) => attempt(() => database.has(key)))
    })
  })
})

/** Whether there is anything by that name yet. */
const fingerprintOf = (file: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    nonceFile.fingerprint(file).then(
      (found) => found !== "",
      () => false
    )
  )
