/** The peer of `iroh-rs`: the released Rust protocols on iroh 1.4 in a process of their own, told what to do in JSON. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { cache } from "../../tools/native/cargo.ts"

const project = fileURLToPath(new URL("iroh-rs", import.meta.url))

/** The peer could not be started, or a command failed. */
export class RustPeerFailed extends Data.TaggedError("RustPeerFailed")<{ readonly message: string }> {}

/** Builds the peer, which takes minutes the first time; answers the path of the program, or what is in the way. */
const build = async (): Promise<{ readonly program: string } | { readonly obstacle: string }> => {
  const cargo = spawn("cargo", ["build", "--locked", "--message-format=json"], {
    cwd: project,
    env: { ...process.env, CARGO_TARGET_DIR: cache },
    stdio: ["ignore", "pipe", "ignore"]
  })
  const ended = new Promise<string>((resolve) => {
    cargo.on("error", (error) => resolve(`cargo cannot be run (${error.message})`))
    cargo.on("close", (code) => resolve(`cargo build ended with ${code}`))
  })
  let program: string | undefined
  for await (const line of createInterface({ input: cargo.stdout })) {
    const message = JSON.parse(line) as { executable?: string | null; target?: { name?: string } }
    if (message.target?.name === "rustpeer" && typeof message.executable === "string") program = message.executable
  }
  const end = await ended
  return program === undefined ? { obstacle: end } : { program }
}

const built = await build()

/** Whether there is a peer. Where it cannot be built its tests are skipped, but in CI there has to be one. */
export const hasRustPeer: boolean = "program" in built || process.env["CI"] === "true"
if ("obstacle" in built) console.warn(`The Rust peer cannot be built: ${built.obstacle}`)

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
  /** Ends the process at once, as a crash does, and waits until it is gone. */
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
  if ("obstacle" in built) return yield* new RustPeerFailed({ message: built.obstacle })
  const { program } = built
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
    kill: Effect.callback((resume) => {
      const gone = () => resume(Effect.void)
      if (child.exitCode !== null || child.signalCode !== null) return gone()
      child.once("exit", gone)
      child.kill("SIGKILL")
    })
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

/**
 * Has a peer download. It gives a connection one second, which is short on a busy machine; so it is told again when it
 * could not.
 */
export const fetchBlob = (
  { run }: RustPeer,
  args: Readonly<Record<string, unknown>>
): Effect.Effect<Record<string, unknown>, RustPeerFailed> =>
  Effect.retry(run("blob.download", args), { schedule: Schedule.spaced("250 millis"), times: 60 })
