/** The peer of `iroh-rs`: the released Rust protocols on iroh 1.4 in a process of their own, told what to do in JSON. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { cache } from "../../tools/native/cargo.ts"

const project = fileURLToPath(new URL("iroh-rs", import.meta.url))

/** Whether there is a Rust tool chain. In CI there has to be one. */
export const hasCargo: boolean = spawnSync("cargo", ["--version"]).status === 0 || process.env["CI"] === "true"

/** The peer could not be built or started, or a command failed. */
export class RustPeerFailed extends Data.TaggedError("RustPeerFailed")<{ readonly message: string }> {}

let built: string | undefined

/** Builds the peer, once in a process; answers the path of the program. */
const build = Effect.sync(() => {
  if (built !== undefined) return built
  const run = spawnSync("cargo", ["build", "--locked", "--message-format=json-render-diagnostics"], {
    cwd: project,
    env: { ...process.env, CARGO_TARGET_DIR: cache },
    maxBuffer: 1 << 28,
    encoding: "utf8"
  })
  for (const line of run.stdout.split("\n")) {
    const message = line.startsWith("{")
      ? (JSON.parse(line) as { executable?: string | null; target?: { name?: string } })
      : {}
    if (message.target?.name === "rustpeer" && typeof message.executable === "string") built = message.executable
  }
  return built
}).pipe(
  Effect.flatMap((path) =>
    path === undefined
      ? Effect.fail(new RustPeerFailed({ message: "the Rust peer cannot be built" }))
      : Effect.succeed(path)
  )
)

/** What a peer prints on its own. */
export type RustEvent = { readonly event: string } & Record<string, unknown>

/** A running peer. */
export interface RustPeer {
  /** Endpoint id, addresses and ticket. */
  readonly addr: { readonly id: string; readonly addrs: ReadonlyArray<string>; readonly ticket: string }
  /** Events so far. */
  readonly events: ReadonlyArray<RustEvent>
  /** Runs a command of the peer and answers its result. */
  readonly run: (
    cmd: string,
    args?: Readonly<Record<string, unknown>>
  ) => Effect.Effect<Record<string, unknown>, RustPeerFailed>
  /** Ends the process at once, as a crash does. */
  readonly kill: Effect.Effect<void>
}

interface Answer {
  readonly id?: number
  readonly ok?: Record<string, unknown>
  readonly error?: string
  readonly event?: string
  readonly addr?: RustPeer["addr"]
}

/** Starts a peer, which ends with the scope. `args` are those of its command line. */
export const rustPeer = Effect.fnUntraced(function* (args: ReadonlyArray<string> = []) {
  const program = yield* build
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(program, ["--bind", "127.0.0.1:0", ...args], { stdio: ["pipe", "pipe", "ignore"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const waiting = new Map<number, (answer: Answer) => void>()
  const events: Array<RustEvent> = []
  let count = 0
  const ready = Promise.withResolvers<RustPeer["addr"]>()
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer = JSON.parse(line) as Answer
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer)
    else if (answer.event === "ready" && answer.addr !== undefined) ready.resolve(answer.addr)
    else if (answer.event !== undefined) events.push(answer as RustEvent)
  })
  child.on("exit", (code) => {
    ready.reject(new Error(`the peer ended with ${code}`))
    for (const resolve of waiting.values()) resolve({ error: "the peer has ended" })
  })
  const addr = yield* Effect.tryPromise({
    try: () => ready.promise,
    catch: (error) => new RustPeerFailed({ message: String(error) })
  })
  const peer: RustPeer = {
    addr,
    events,
    run: runner(child, waiting, () => ++count),
    kill: Effect.sync(() => void child.kill("SIGKILL"))
  }
  return peer
})

const runner =
  (child: ChildProcess, waiting: Map<number, (answer: Answer) => void>, nextId: () => number): RustPeer["run"] =>
  (cmd, args = {}) =>
    Effect.callback<Record<string, unknown>, RustPeerFailed>((resume) => {
      const id = nextId()
      waiting.set(id, ({ error, ok }) => {
        waiting.delete(id)
        resume(
          error === undefined
            ? Effect.succeed(ok ?? {})
            : Effect.fail(new RustPeerFailed({ message: `${cmd}: ${error}` }))
        )
      })
      child.stdin?.write(`${JSON.stringify({ id, cmd, ...args })}\n`)
    })
