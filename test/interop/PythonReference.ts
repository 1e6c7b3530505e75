import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as Cause from "effect/Cause"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"

/** The reference could not be installed or run; `message` carries what the command printed. */
export class PythonFailed extends Schema.TaggedError<PythonFailed>()("PythonFailed", { message: Schema.String }) {}

const Summary = Schema.Struct({
  name: Schema.String,
  version: Schema.Int,
  contract_id: Schema.String,
  channels: Schema.Record(Schema.String, Schema.String),
  pattern: Schema.String,
  serialization_modes: Schema.Array(Schema.String)
})

const Listening = Schema.fromJsonString(
  Schema.Struct({
    address: Schema.String,
    endpoint_addr_b64: Schema.String,
    endpoint_id: Schema.String,
    root_pubkey: Schema.NullOr(Schema.String),
    services: Schema.Array(Summary)
  })
)

/** What `producer.py` prints once it listens. */
export type Listening = typeof Listening.Type

const Outcome = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ scenario: Schema.String, ok: Schema.Literal(true), result: Schema.Unknown }),
    Schema.Struct({
      scenario: Schema.String,
      ok: Schema.Literal(false),
      error: Schema.Struct({
        code: Schema.NullOr(Schema.Int),
        message: Schema.String,
        details: Schema.Record(Schema.String, Schema.String),
        type: Schema.String,
        partial: Schema.Array(Schema.Unknown)
      })
    })
  ])
)

/** What `consumer.py` prints per scenario: the call's result, or how it failed. */
export type Outcome = typeof Outcome.Type

const Contracts = Schema.fromJsonString(
  Schema.Array(
    Schema.Struct({
      name: Schema.String,
      version: Schema.Int,
      module: Schema.String,
      contract_id: Schema.String,
      canonical_hex: Schema.String,
      types: Schema.Array(Schema.Struct({ key: Schema.String, hash: Schema.String, canonical_hex: Schema.String })),
      manifest: Schema.String
    })
  )
)

const Answer = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ ok: Schema.Literal(true), result: Schema.Unknown }),
    Schema.Struct({ ok: Schema.Literal(false), error: Schema.String })
  ])
)

/** Runs an operation of `trust.py`; the schema says what it answers. */
export type Ask = <A>(
  operation: string,
  args: { readonly [name: string]: unknown },
  result: Schema.Decoder<A>
) => Effect.Effect<A, PythonFailed | Schema.SchemaError>

/** What a command did. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** What the reference derives from one service definition. */
export type Contract = (typeof Contracts.Type)[number]

const scripts = fileURLToPath(new URL("./python", import.meta.url))
const cache = fileURLToPath(new URL("../../node_modules/.cache/interop-venv", import.meta.url))

const printed = (handle: ChildProcessSpawner.ChildProcessHandle) =>
  handle.all.pipe(Stream.decodeText(), Stream.mkString)

/** Runs a command to its end and answers everything it printed. */
const run = Effect.fnUntraced(function* (
  command: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
): Effect.fn.Return<string, PythonFailed, ChildProcessSpawner.ChildProcessSpawner> {
  const [output, code] = yield* ChildProcess.make(command, args, { stdin: "ignore", env, extendEnv: true }).pipe(
    Effect.flatMap((handle) => Effect.all([printed(handle), handle.exitCode])),
    Effect.scoped,
    Effect.mapError((cause) => new PythonFailed({ message: `${command} cannot be run: ${cause.message}` }))
  )
  return code === 0 ? output : yield* new PythonFailed({ message: `${command} ${args.join(" ")}: ${output}` })
})

/** The interpreter of a virtual environment with the pinned packages; made on first use, kept until the pins change. */
export const interpreter = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const requirements = `${scripts}/requirements.txt`
  const key = createHash("sha256")
    .update(yield* fs.readFile(requirements))
    .digest("hex")
  const venv = `${cache}/${key.slice(0, 16)}`
  if (yield* fs.exists(venv)) return `${venv}/bin/python`
  yield* run("python3", ["--version"]).pipe(
    Effect.mapError(() => new PythonFailed({ message: "The interop tests need python3 (3.11 or later) on the PATH." }))
  )
  // Test files run in several processes: each builds aside, the first rename wins.
  yield* fs.makeDirectory(cache, { recursive: true })
  const building = yield* fs.makeTempDirectory({ directory: cache, prefix: "building-" })
  yield* run("python3", ["-m", "venv", building]).pipe(
    Effect.andThen(run(`${building}/bin/python`, ["-m", "pip", "install", "--quiet", "--requirement", requirements])),
    Effect.andThen(fs.rename(building, venv)),
    Effect.catch((error) =>
      Effect.gen(function* () {
        yield* fs.remove(building, { recursive: true })
        if (!(yield* fs.exists(venv))) return yield* Effect.fail(error)
      })
    )
  )
  return `${venv}/bin/python`
})

/**
 * The Aster reference, release 0.1.2, in a Python process of its own. Every node it starts is on 127.0.0.1 and has no
 * relay.
 */
export class PythonReference extends Context.Service<
  PythonReference,
  {
    /** A producer of the kitchen services; it ends with the scope. `args` are those of `producer.py`. */
    readonly producer: (args?: ReadonlyArray<string>) => Effect.Effect<Listening, PythonFailed, Scope.Scope>
    /** Runs scenarios of `consumer.py` in order against the producer at `address`; all of them when none is named. */
    readonly consumer: (
      address: string,
      options?: { readonly scenarios?: ReadonlyArray<string> | undefined; readonly identity?: string | undefined }
    ) => Effect.Effect<ReadonlyArray<Outcome>, PythonFailed>
    /** The contracts of every service in `contracts.py`. */
    readonly contracts: Effect.Effect<ReadonlyArray<Contract>, PythonFailed>
    /** Runs another script to its end and answers what it printed; fails with that when it does not end well. */
    readonly script: (
      path: string,
      args?: ReadonlyArray<string>,
      env?: Readonly<Record<string, string>>
    ) => Effect.Effect<string, PythonFailed>
    /** Runs `aster shell` at a producer and types the lines once the producer's manifests are there. */
    readonly shell: (
      at: { readonly home: string; readonly directory: string },
      address: string,
      lines: ReadonlyArray<string>
    ) => Effect.Effect<Ran, PythonFailed>
    /** A process of `trust.py`, which ends with the scope; operations run one after the other. */
    readonly trust: Effect.Effect<Ask, PythonFailed, Scope.Scope>
    /** Runs the reference's `aster` command in a home and a working directory, without a keyring. */
    readonly aster: (
      at: { readonly home: string; readonly directory: string },
      args: ReadonlyArray<string>
    ) => Effect.Effect<Ran, PythonFailed>
    /** The command line of the reference's `aster`, to be completed with arguments. */
    readonly asterCommand: ReadonlyArray<string>
  }
>()("test/interop/PythonReference") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function* () {
      const python = yield* interpreter
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner

      /** Starts a script; `read` sees its output lines. A failure carries what the script wrote to its error stream. */
      const start = Effect.fnUntraced(function* <A>(
        script: string,
        args: ReadonlyArray<string>,
        read: (
          lines: Stream.Stream<string, PlatformError.PlatformError>
        ) => Effect.Effect<A, PlatformError.PlatformError | Schema.SchemaError | Cause.NoSuchElementError>
      ): Effect.fn.Return<A, PythonFailed, Scope.Scope> {
        const handle = yield* spawner
          .spawn(
            ChildProcess.make(python, [`${scripts}/${script}`, ...args], {
              env: { PYTHONDONTWRITEBYTECODE: "1" },
              extendEnv: true,
              forceKillAfter: "5 seconds"
            })
          )
          .pipe(Effect.mapError((error) => new PythonFailed({ message: error.message })))
        const errors = yield* handle.stderr.pipe(
          Stream.decodeText(),
          Stream.mkString,
          Effect.orElseSucceed(() => ""),
          Effect.forkScoped
        )
        return yield* read(handle.stdout.pipe(Stream.decodeText(), Stream.splitLines)).pipe(
          Effect.catch((error) =>
            handle.kill().pipe(
              Effect.andThen(Fiber.join(errors)),
              Effect.orElseSucceed(() => ""),
              Effect.flatMap((text) => new PythonFailed({ message: `${script}: ${error.message}\n${text}` }))
            )
          )
        )
      })

      const trust = Effect.gen(function* () {
        const failed = (cause: { readonly message: string }) =>
          new PythonFailed({ message: `trust.py: ${cause.message}` })
        const requests = yield* Queue.unbounded<Uint8Array>()
        const handle = yield* spawner
          .spawn(
            ChildProcess.make(python, [`${scripts}/trust.py`], {
              stdin: Stream.fromQueue(requests),
              stderr: "inherit",
              env: { PYTHONDONTWRITEBYTECODE: "1" },
              extendEnv: true,
              forceKillAfter: "5 seconds"
            })
          )
          .pipe(Effect.mapError(failed))
        const answers = yield* handle.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.toPull)
        const turn = yield* Semaphore.make(1)
        const ask: Ask = (operation, args, result) =>
          Effect.gen(function* () {
            yield* Queue.offer(requests, new TextEncoder().encode(`${JSON.stringify({ op: operation, ...args })}\n`))
            const [line] = yield* Effect.mapError(answers, () => failed({ message: "it ended" }))
            const answer = yield* Schema.decodeEffect(Answer)(line)
            if (!answer.ok) return yield* failed({ message: `${operation}: ${answer.error}` })
            return yield* Schema.decodeUnknownEffect(result)(answer.result)
          }).pipe(Semaphore.withPermit(turn))
        return ask
      })

      const runAster = (
        { directory, home }: { readonly home: string; readonly directory: string },
        args: ReadonlyArray<string>,
        stdin: "ignore" | Stream.Stream<Uint8Array>
      ) =>
        Effect.gen(function* () {
          const handle = yield* ChildProcess.make(python, [`${scripts}/cli.py`, ...args], {
            cwd: directory,
            env: {
              HOME: home,
              NO_COLOR: "1",
              PYTHONDONTWRITEBYTECODE: "1",
              PYTHON_KEYRING_BACKEND: "keyring.backends.fail.Keyring"
            },
            extendEnv: true,
            stdin
          })
          const text = (from: typeof handle.stdout) => from.pipe(Stream.decodeText(), Stream.mkString)
          const [out, err, code] = yield* Effect.all([text(handle.stdout), text(handle.stderr), handle.exitCode], {
            concurrency: "unbounded"
          })
          return { code, out, err }
        }).pipe(
          Effect.scoped,
          Effect.mapError(({ message }) => new PythonFailed({ message: `aster ${args.join(" ")}: ${message}` })),
          Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner)
        )

      const aster: PythonReference["Service"]["aster"] = (at, args) => runAster(at, args, "ignore")

      const shell: PythonReference["Service"]["shell"] = (at, address, lines) => {
        const typed = (line: string) => new TextEncoder().encode(`${line}\n`)
        // Commands wait for one another, but for manifests only the first one that needs them does.
        const stdin = Stream.make("describe /services").pipe(
          Stream.concat(Stream.fromEffect(Effect.as(Effect.sleep("5 seconds"), "pwd"))),
          Stream.concat(Stream.fromIterable(lines)),
          Stream.concat(Stream.fromEffect(Effect.as(Effect.sleep("3 seconds"), "exit"))),
          Stream.map(typed)
        )
        return runAster(at, ["shell", address], stdin)
      }

      return PythonReference.of({
        shell,
        producer: (args = []) =>
          start("producer.py", args, (lines) =>
            lines.pipe(
              Stream.runHead,
              Effect.flatMap(Effect.fromOption),
              Effect.flatMap(Schema.decodeEffect(Listening))
            )
          ),
        consumer: (address, options = {}) =>
          start(
            "consumer.py",
            [
              address,
              ...(options.scenarios ?? []).flatMap((name) => ["--scenario", name]),
              ...(options.identity === undefined ? [] : ["--identity", options.identity])
            ],
            (lines) =>
              lines.pipe(
                Stream.mapEffect((line) => Schema.decodeEffect(Outcome)(line)),
                Stream.runCollect
              )
          ).pipe(Effect.scoped),
        contracts: start("contracts.py", [], (lines) =>
          lines.pipe(Stream.mkString, Effect.flatMap(Schema.decodeEffect(Contracts)))
        ).pipe(Effect.scoped),
        script: (path, args = [], env = {}) =>
          Effect.provideService(
            run(python, ["-B", path, ...args], env),
            ChildProcessSpawner.ChildProcessSpawner,
            spawner
          ),
        trust,
        aster,
        asterCommand: [python, `${scripts}/cli.py`]
      })
    })
  ).pipe(Layer.provide(NodeServices.layer))
}
