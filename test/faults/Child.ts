/**
 * Programs of this repository as processes of their own.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import type * as Cause from "effect/Cause"
import type * as Scope from "effect/Scope"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

/** How a process ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Everything it wrote to standard error. */
  readonly stderr: string
}

/** A running process. */
export interface Child {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>
  /** The next line on its standard output. Dies when there is none any more. */
  readonly line: Effect.Effect<string>
  readonly ended: Effect.Effect<Ended>
}

/** Where a process runs, and what it knows: variables that are undefined are taken away. Default: as this one. */
export interface Place {
  readonly directory?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
}

/** Starts a program with this Node.js; `path` is relative to the root of the repository. Killed with the scope. */
export const start = (
  path: string,
  args: ReadonlyArray<string> = [],
  nodeOptions: ReadonlyArray<string> = [],
  { directory, environment }: Place = {}
): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const file = fileURLToPath(new URL(`../../${path}`, import.meta.url))
      const child = spawn(process.execPath, ["--conditions=@aster-effect/source", ...nodeOptions, file, ...args], {
        cwd: directory,
        env: { ...process.env, ...environment },
        stdio: ["pipe", "pipe", "pipe"]
      })
      const lines = Effect.runSync(Queue.unbounded<string, Cause.Done>())
      let stderr = ""
      child.stderr.on("data", (bytes) => (stderr += bytes))
      const reading = createInterface({ input: child.stdout })
      reading.on("line", (line) => Queue.offerUnsafe(lines, line))
      reading.on("close", () => Effect.runFork(Queue.end(lines)))
      const exit = new Promise<Ended>((resolve) =>
        child.on("close", (code, signal) => resolve({ code, signal, stderr }))
      )
      const line = Effect.catchTag(Queue.take(lines), "Done", () =>
        Effect.die(new Error(`${path} has said all it had to say: ${stderr}`))
      )
      return { process: child, line, ended: Effect.promise(() => exit) }
    }),
    ({ ended, process }) =>
      Effect.suspend(() => {
        process.kill("SIGKILL")
        return Effect.asVoid(ended)
      })
  )
