import * as Aster from "@aster-effect/cli/Aster"
import { Keyring } from "@aster-effect/cli/Keyring"
import { Locations } from "@aster-effect/cli/Locations"
import { ProgressLine } from "@aster-effect/cli/Progress"
import { LOCK_NAME } from "@aster-effect/config/FileLock"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { TerminalStreams } from "../../packages/cli/src/internal/shell/lineInput.ts"

/** What one run of the command did. */
export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A command under way. */
export interface Started {
  readonly fiber: Fiber.Fiber<number>
  /** What it has printed, as soon as that is anything. Dies with what it complained of if it has ended instead. */
  readonly out: Effect.Effect<string>
  /** What it has printed and complained of so far. */
  readonly printed: Effect.Effect<string>
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** What is typed, line by line; then the input ends. */
  readonly input?: ReadonlyArray<string>
  /** What comes on standard input, in these pieces. Default: nothing. */
  readonly stdin?: ReadonlyArray<string> | undefined
  /** Standard input and output are a terminal with these ends. Default: no terminal. */
  readonly terminal?: (typeof TerminalStreams)["Service"] | undefined
}

/** A home directory and a working directory of their own, a keyring in memory, and the command in them. */
export interface Sandbox {
  readonly home: string
  readonly directory: string
  readonly run: (args: ReadonlyArray<string>, options?: RunOptions) => Effect.Effect<Outcome>
  /** Starts a command that does not end by itself; it is interrupted with the scope. */
  readonly start: (args: ReadonlyArray<string>, options?: RunOptions) => Effect.Effect<Started, never, Scope.Scope>
  /** Runs arguments without spaces in them. */
  readonly aster: (line: string, options?: RunOptions) => Effect.Effect<Outcome>
  readonly file: (name: string) => string
  readonly read: (name: string) => Effect.Effect<string>
  readonly write: (name: string, text: string, mode?: number) => Effect.Effect<void>
  readonly mode: (name: string) => Effect.Effect<string>
  /** Files and directories, apart from the lock. */
  readonly list: (name: string) => Effect.Effect<ReadonlyArray<string>>
}

const typing = (lines: ReadonlyArray<string>) => {
  const left = [...lines]
  return Layer.effect(
    Terminal.Terminal,
    Effect.map(Terminal.Terminal, (terminal) =>
      Terminal.make({
        ...terminal,
        display: (text) => Console.log(text),
        readLine: Effect.suspend(() => {
          const line = left.shift()
          return line === undefined ? Effect.fail(new Terminal.QuitError({})) : Effect.succeed(line)
        })
      })
    )
  )
}

/** Names are relative to the working directory; `~/` is the home directory. */
export const sandbox = Effect.fnUntraced(function* (keyring: Layer.Layer<Keyring> = Keyring.layerMemory) {
  const root = yield* Effect.acquireRelease(
    Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "aster-cli-"))),
    (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true }))
  )
  const home = path.join(root, "home")
  const directory = path.join(root, "work")
  yield* Effect.promise(async () => {
    await fs.mkdir(home)
    await fs.mkdir(directory)
  })
  // One keyring for all runs.
  const keys = Layer.succeedContext(yield* Layer.build(keyring))
  const file = (name: string) => (name.startsWith("~/") ? path.join(home, name.slice(2)) : path.join(directory, name))
  const running = (args: ReadonlyArray<string>, options: RunOptions, console: Console.Console) =>
    Aster.run(args).pipe(
      Effect.provide(
        Layer.mergeAll(
          Layer.provideMerge(typing(options.input ?? []), NodeServices.layer),
          keys,
          ConfigProvider.layer(ConfigProvider.fromEnv({ env: options.env ?? {}, preserveEmptyStrings: true })),
          Layer.succeed(Locations, { home, directory }),
          Layer.succeed(ProgressLine, undefined),
          Layer.succeed(Console.Console, console),
          ...(options.stdin === undefined
            ? []
            : [Stdio.layerTest({ stdin: Stream.encodeText(Stream.fromIterable(options.stdin)) })]),
          ...(options.terminal === undefined
            ? []
            : [
                Layer.succeed(TerminalStreams, options.terminal),
                Stdio.layerTest({ stdinIsTerminal: Effect.succeed(true), stdoutIsTerminal: Effect.succeed(true) })
              ])
        )
      )
    )
  const run = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options: RunOptions = {}) {
    const console = yield* TestConsole.make
    const code = yield* running(args, options, console)
    return {
      code,
      out: (yield* console.logLines).join("\n"),
      err: (yield* console.errorLines).join("\n")
    }
  })
  const start = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options: RunOptions = {}) {
    const console = yield* TestConsole.make
    const fiber = yield* Effect.forkScoped(running(args, options, console))
    const printed = Effect.map(console.logLines, (lines) => lines.join("\n"))
    const out = Effect.repeat(printed, { until: (text) => text !== "", schedule: Schedule.spaced("20 millis") })
    const ended = Effect.andThen(
      Fiber.await(fiber),
      Effect.flatMap(console.errorLines, (lines) => Effect.die(new Error(lines.join("\n"))))
    )
    const complained = Effect.map(console.errorLines, (lines) => lines.join("\n"))
    const both = Effect.zipWith(printed, complained, (out, err) => `${out}\n${err}`)
    return { fiber, out: Effect.raceFirst(out, ended), printed: both }
  })
  const sandbox: Sandbox = {
    home,
    directory,
    file,
    run,
    start,
    aster: (line, options) => run(line.split(" "), options),
    read: (name) => Effect.promise(() => fs.readFile(file(name), "utf8")),
    write: (name, text, mode = 0o600) =>
      Effect.promise(async () => {
        await fs.mkdir(path.dirname(file(name)), { recursive: true })
        await fs.writeFile(file(name), text, { mode })
      }),
    mode: (name) => Effect.promise(async () => ((await fs.stat(file(name))).mode & 0o777).toString(8)),
    list: (name) =>
      Effect.promise(async () =>
        (await fs.readdir(file(name)).catch(() => [])).filter((entry) => entry !== LOCK_NAME).toSorted()
      )
  }
  return { ...sandbox, keyring: Context.get(yield* Layer.build(keys), Keyring) }
})

/** When sandboxes of `enrolling` are. */
export const now = Date.UTC(2030, 0, 1)

/** A sandbox on 1 January 2030 with a root key in `root.key` and no keyring. */
export const enrolling = Effect.gen(function* () {
  yield* TestClock.setTime(now)
  const made = yield* sandbox(Keyring.layerUnavailable("none in this test"))
  yield* made.aster("keygen root --key-file root.key")
  const identity = (file = ".aster-identity") =>
    Effect.map(made.read(file), (text) => Result.getOrThrow(IdentityFile.parse(text, file)))
  return { ...made, identity }
})

/** The private key in a `root.key` file. */
export const seedIn = (keyFile: string): string => JSON.parse(keyFile).private_key
