import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { hostname } from "node:os"
import * as path from "node:path"

const Holder = Schema.Struct({
  pid: Schema.Int,
  host: Schema.String,
  /** When the holding process began, in milliseconds since the Unix epoch: process ids come round again. */
  started: Schema.Int,
  token: Schema.String
})
type Holder = typeof Holder.Type

const decodeHolder = Schema.decodeUnknownOption(Schema.fromJsonString(Holder))

const started = Math.round(Date.now() - process.uptime() * 1000)

const hasCode = (cause: unknown, code: string): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === code

const isGone = ({ host, pid, started: theirs }: Holder): boolean => {
  if (host !== hostname()) return false
  if (pid === process.pid) return Math.abs(theirs - started) > 5_000
  try {
    process.kill(pid, 0)
    return false
  } catch (cause) {
    return hasCode(cause, "ESRCH")
  }
}

const readHolder = async (file: string): Promise<Holder | undefined> =>
  Option.getOrUndefined(decodeHolder(await fs.readFile(file, "utf8").catch(() => "")))

/** Takes away the lock of a process that is no more; a lock taken by mistake is put back. */
const removeStale = async (lock: string, stale: Holder): Promise<void> => {
  const aside = `${lock}.${randomUUID()}`
  try {
    await fs.rename(lock, aside)
    const taken = await readHolder(aside)
    if (taken?.token !== stale.token) await fs.link(aside, lock)
  } catch (cause) {
    if (!hasCode(cause, "ENOENT") && !hasCode(cause, "EEXIST")) throw cause
  } finally {
    await fs.rm(aside, { force: true })
  }
}

/** One attempt: a link appears with its content in one step, or not at all. */
const tryAcquire = async (lock: string): Promise<boolean> => {
  const holder = await readHolder(lock)
  if (holder !== undefined && isGone(holder)) await removeStale(lock, holder)
  const mine: Holder = { pid: process.pid, host: hostname(), started, token: randomUUID() }
  const temporary = `${lock}.${mine.token}`
  try {
    await fs.mkdir(path.dirname(lock), { recursive: true, mode: 0o700 })
    await fs.writeFile(temporary, JSON.stringify(mine), { flag: "wx", mode: 0o600 })
    await fs.link(temporary, lock)
    return true
  } catch (cause) {
    if (hasCode(cause, "EEXIST")) return false
    throw cause
  } finally {
    await fs.rm(temporary, { force: true })
  }
}

/** Why a lock was not had: somebody holds it, or the file system refused. */
export interface LockFailure {
  readonly held: boolean
  readonly cause: unknown
}

/** Runs an effect while holding `lock`, a file that excludes every other process; waits at most five seconds. */
export const withFileLock = <A, E, R>(
  lock: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | LockFailure, R> => {
  const attempt = Effect.tryPromise({
    try: () => tryAcquire(lock),
    catch: (cause): LockFailure => ({ held: false, cause })
  }).pipe(
    Effect.flatMap((acquired) => (acquired ? Effect.void : Effect.fail<LockFailure>({ held: true, cause: undefined }))),
    Effect.retry({ while: ({ held }) => held, schedule: Schedule.spaced("20 millis"), times: 250 })
  )
  const release = Effect.promise(() => fs.rm(lock, { force: true })).pipe(Effect.ignoreCause)
  return Effect.acquireUseRelease(
    attempt,
    () => effect,
    () => release
  )
}
