/**
 * One writer at a time for files that several processes change.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { attempt, FileError } from "./FileError.ts"
import { realTarget } from "./internal/realTarget.ts"
import * as KernelLock from "./KernelLock.ts"

/** The file that stands for the lock of a directory. It stays: to remove it would let in two at once. @since 0.1.0 */
export const LOCK_NAME = ".aster.lock"

/** Directories whose lock the running fiber holds already. */
const Held = Context.Reference<ReadonlySet<string>>("@aster-effect/config/FileLock/Held", {
  defaultValue: () => new Set()
})

/**
 * Takes the lock of a directory without waiting. It is SQLite's, and so the kernel's: it ends with its process, however
 * that ends, and holds between containers that share a disk.
 */
const tryLock = async (directory: string): Promise<Disposable> => {
  await fs.mkdir(directory, { recursive: true, mode: 0o700 })
  await fs.access(directory, fs.constants.W_OK)
  const file = path.join(directory, LOCK_NAME)
  // Of another user's lock SQLite would say that it is a database for reading.
  await fs.access(file, fs.constants.R_OK | fs.constants.W_OK).catch((cause: unknown) => {
    if (!isAbsent(cause)) throw cause
  })
  const { DatabaseSync } = process.getBuiltinModule("node:sqlite")
  const lock = new DatabaseSync(file, { timeout: 0 })
  try {
    // Nothing is ever written, so this takes no journal and no waiting for the disk.
    lock.exec("BEGIN IMMEDIATE")
  } catch (cause) {
    lock.close()
    throw cause
  }
  return { [Symbol.dispose]: () => lock.close() }
}

const isAbsent = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === "ENOENT"

const leftover = /^\..+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/

/** Whoever was killed while writing may have left a copy of what is secret. With the lock held, nobody needs it. */
const removeLeftovers = async (directory: string): Promise<void> => {
  for (const name of await fs.readdir(directory)) {
    if (leftover.test(name)) await fs.rm(path.join(directory, name), { force: true })
  }
}

const lock = (directory: string): Effect.Effect<Disposable, FileError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.mapError(
      KernelLock.acquire(() => tryLock(directory)),
      (cause) =>
        KernelLock.isBusy(cause)
          ? new FileError({ operation: "lock", path: directory, code: "ELOCKED" })
          : FileError.of("lock", directory, cause)
    ),
    (held) => Effect.sync(() => held[Symbol.dispose]()),
    { interruptible: true }
  ).pipe(Effect.tap(() => attempt("lock", directory, () => removeLeftovers(directory))))

/**
 * Runs an effect while nobody else changes any of these files: what is read inside may be changed and written inside.
 * The lock is that of the directories the files are in, where symbolic links lead to; it waits at most 10 seconds, and
 * missing directories are made with mode 0700. It may be taken again inside.
 *
 * @since 0.1.0
 */
export const withLock = <A, E, R>(
  files: ReadonlyArray<string>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | FileError, R> =>
  Effect.gen(function* () {
    const held = yield* Held
    const targets = yield* Effect.forEach(files, (file) => attempt("lock", file, () => realTarget(file)))
    // All take them in the same order, so that no two wait for each other.
    const directories = [...new Set(targets.map((target) => path.dirname(target)))]
      .filter((directory) => !held.has(directory))
      .toSorted()
    return yield* Effect.forEach(directories, lock, { discard: true }).pipe(
      Effect.andThen(Effect.provideService(effect, Held, new Set([...held, ...directories]))),
      Effect.scoped
    )
  })
