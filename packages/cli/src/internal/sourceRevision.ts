import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"

/** Which state of which repository a contract was generated from; null where git does not say. */
export interface SourceRevision {
  readonly vcsRevision: string | null
  readonly vcsTag: string | null
  readonly vcsUrl: string | null
}

/** A remote's URL without what may be a password or a token. */
export const withoutCredentials = (url: string): string => {
  // git@host:path, the short form of SSH, holds a user name only.
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  if (parsed.username === "" && parsed.password === "") return url
  parsed.password = ""
  if (parsed.protocol !== "ssh:") parsed.username = ""
  return parsed.href
}

const git = Effect.fnUntraced(function* (directory: string, ...args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner
  const command = ChildProcess.make("git", args, { cwd: directory, stdin: "ignore", stderr: "ignore" })
  const text = yield* spawner.string(command)
  return text.trim() === "" ? null : text.trim()
})

/** Asks git, at most 5 seconds each: the commit, the tag that is exactly there, and where `origin` is. */
export const of = (directory: string): Effect.Effect<SourceRevision, never, ChildProcessSpawner> => {
  const ask = (...args: ReadonlyArray<string>) =>
    git(directory, ...args).pipe(
      Effect.timeout("5 seconds"),
      Effect.catch(() => Effect.succeed(null))
    )
  return Effect.all(
    {
      vcsRevision: ask("rev-parse", "--verify", "HEAD"),
      vcsTag: ask("describe", "--tags", "--exact-match"),
      vcsUrl: Effect.map(ask("remote", "get-url", "origin"), (url) => (url === null ? null : withoutCredentials(url)))
    },
    { concurrency: 3 }
  )
}
