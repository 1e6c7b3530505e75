/** The commands of a page of the docs, as processes in a place of their own. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { assert } from "@effect/vitest"
import { join } from "node:path"
import { directory } from "../admission/Deployment.ts"
import { type Child, type Ended, start } from "./Child.ts"

/** Splits as a shell would, where words are plain, in single quotes, or in double quotes. */
const words = (line: string, variables: Readonly<Record<string, string>>): ReadonlyArray<string> => {
  const filled = (text: string) => text.replaceAll(/\$([A-Z_]+)/g, (_, name: string) => variables[name] ?? "")
  return [...line.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, single, double, plain = ""]) => single ?? filled(double?.replaceAll(/\\(.)/g, "$1") ?? plain)
  )
}

/** What a command that has ended said. */
export interface Outcome extends Pick<Ended, "code" | "stderr"> {
  /** Of standard output. */
  readonly lines: ReadonlyArray<string>
}

/** An empty directory, and a shell in it that knows `aster`, `node`, variables, and nothing of the user's. */
export interface Shell {
  readonly place: string
  /** For the command lines. */
  readonly variables: Record<string, string>
  /** For the programs. */
  readonly environment: Record<string, string | undefined>
  /** Starts a command, in a directory below the place. */
  readonly run: (line: string, below?: string) => Effect.Effect<Child, never, Scope.Scope>
  readonly ended: (line: string, below?: string) => Effect.Effect<Outcome, never, Scope.Scope>
}

export const shell: Effect.Effect<Shell, never, Scope.Scope> = Effect.gen(function* () {
  const place = yield* directory
  const variables: Record<string, string> = {}
  const environment: Record<string, string | undefined> = {
    HOME: place,
    NO_COLOR: "1",
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${place}/none`
  }
  for (const name of Object.keys(process.env)) if (name.startsWith("ASTER_")) environment[name] = undefined
  // Which binding is chosen is not what is walked through, and one that is chosen by itself says so.
  environment["ASTER_IROH_BINDING"] = process.env["ASTER_IROH_BINDING"]
  const run = (line: string, below = ""): Effect.Effect<Child, never, Scope.Scope> => {
    const [...rest] = words(line, variables)
    const own = { ...environment }
    while (/^\w+=/.test(rest[0] ?? "")) {
      const [name, value] = rest.shift()!.split("=")
      own[name!] = value
    }
    const [program, ...args] = rest
    const path = program === "aster" ? "packages/cli/bin/aster.js" : join(below, args.shift() ?? "", "index.js")
    return start(path, args, [], { directory: join(place, below), environment: own })
  }
  const ended = (line: string, below?: string) =>
    Effect.gen(function* () {
      const child = yield* run(line, below)
      const { code, stderr } = yield* child.ended
      const lines: Array<string> = []
      for (let next = yield* said(child); next !== undefined; next = yield* said(child)) lines.push(next)
      return { code, stderr, lines }
    })
  return { place, variables, environment, run, ended }
})

/** The next line of a child, if there is one. */
const said = ({ line }: Child) => Effect.catchCause(line, () => Effect.succeed(undefined))

/** The first line that matches; what is logged before is passed over. */
export const line = ({ line }: Child, pattern: RegExp) =>
  Effect.repeat(line, { until: (text) => pattern.test(text) }).pipe(
    Effect.map((text) => pattern.exec(text)!),
    Effect.timeout("1 minute")
  )

/** Ends a child as a service manager does, which has to be without complaint. */
export const stop = (child: Child) =>
  Effect.gen(function* () {
    child.process.kill("SIGTERM")
    const { stderr, ...ended } = yield* Effect.timeout(child.ended, "1 minute")
    assert.deepStrictEqual(ended, { code: 0, signal: null })
    const logged = /^[\d:.]{12} (INFO |WARNING) aster — /
    const complaints = stderr.split("\n").filter((line) => line !== "" && !logged.test(line))
    assert.deepStrictEqual(complaints, [])
  })
