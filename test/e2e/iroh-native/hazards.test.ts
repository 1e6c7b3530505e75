/** What native code in a process of JavaScript can get wrong, in both modes. */
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { type IrohNodeOptions, loopback } from "@aster-effect/iroh/NodeOptions"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { execFile, spawn } from "node:child_process"
import { readdirSync } from "node:fs"
import { promisify } from "node:util"
import { measure, type Memory } from "../../faults/Memory.ts"
import { call, echo } from "./echo.ts"

const alpn = "hazards/1"

const bind = (options: IrohNodeOptions) =>
  Effect.map(
    Layer.build(Layer.fresh(IrohNode.layer({ ...loopback, alpns: [alpn], binding: "native", ...options }))),
    (context) => Context.get(context, IrohNode)
  )

/** A connection between two new nodes, from both sides. */
const pair = Effect.fnUntraced(function* (left: IrohNodeOptions, right: IrohNodeOptions = left) {
  const [a, b] = [yield* bind(left), yield* bind(right)]
  const accepting = yield* Effect.forkChild(a.accept)
  const client = yield* b.connect(yield* a.address, alpn)
  return { a, b, client, server: yield* Fiber.join(accepting) }
})

/** A process that answers, and blocks its thread for so many seconds. */
const blocked = Effect.fnUntraced(function* (mode: string, seconds: number) {
  const peer = spawn(process.execPath, programArguments("blocked", [mode, String(seconds)]), {
    stdio: ["ignore", "pipe", "ignore"]
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => peer.kill("SIGKILL")))
  const ticket = yield* Effect.promise(
    () => new Promise<string>((resolve) => peer.stdout.once("data", (line) => resolve(String(line).trim())))
  )
  return { peer, address: NodeAddr.parse(ticket) }
})

/**
 * Fails when this process holds more for each time that a body is run, in MiB, from the lowest of three times to that of the
 * next three. What allocators keep for the next time goes up and down by tens of MiB, and stays within these but for a busy
 * machine, whose next three are looked at then; what leaks comes on top every time.
 */
const mustNotGrow = Effect.fnUntraced(function* <E, R>(body: Effect.Effect<void, E, R>, most: Memory) {
  const three = Effect.gen(function* () {
    const lowest = { held: Infinity, native: Infinity }
    for (let time = 0; time < 3; time++) {
      yield* body
      const { held, native } = yield* Effect.promise(measure)
      lowest.held = Math.min(lowest.held, held)
      lowest.native = Math.min(lowest.native, native)
    }
    return lowest
  })
  const grown: Array<Memory> = []
  for (let before = yield* three; ;) {
    const after = yield* three
    const growth = { held: (after.held - before.held) / 3, native: (after.native - before.native) / 3 }
    grown.push(growth)
    if (growth.held < most.held && growth.native < most.native) return
    assert.isBelow(grown.length, 3, `MiB each time: ${JSON.stringify(grown)}`)
    before = after
  }
})

const programArguments = (name: string, args: ReadonlyArray<string>) => [
  "--conditions=@aster-effect/source",
  new URL(`./programs/${name}.ts`, import.meta.url).pathname,
  ...args
]
const run = (name: string, ...args: ReadonlyArray<string>) =>
  promisify(execFile)(process.execPath, programArguments(name, args), { timeout: 90_000 })

const descriptors = (): number => readdirSync("/proc/self/fd").length
const threads = (): number => readdirSync("/proc/self/task").length

describe.each(["inline", "thread"] as const)("native binding, %s", (mode) => {
  const native = { mode }

  it.live(
    "nodes that come and go leave nothing",
    () =>
      Effect.gen(function* () {
        const cycle = Effect.scoped(
          Effect.gen(function* () {
            const { client, server } = yield* pair({ native })
            yield* Effect.forkChild(echo(server))
            assert.strictEqual(yield* call(client, new Uint8Array(10_000)), 10_000)
            yield* client.openBi // left as it is
          })
        )
        const cycles = Effect.forEach(Array.from({ length: 40 }), () => cycle, { discard: true })
        yield* cycles
        const before = { descriptors: descriptors(), threads: threads() }
        yield* mustNotGrow(cycles, { held: 3, native: 10 })
        assert.isAtMost(descriptors() - before.descriptors, 6)
        assert.isAtMost(threads() - before.threads, 2)
      }),
    240_000
  )

  it.live(
    "streams and bytes pass through without trace",
    () =>
      Effect.gen(function* () {
        const { client, server } = yield* pair({ native })
        yield* Effect.forkChild(echo(server))
        const small = new Uint8Array(100)
        const large = new Uint8Array(1 << 20)
        const round = (calls: number, megabytes: number) =>
          Effect.gen(function* () {
            yield* Effect.forEach(Array.from({ length: calls }), () => call(client, small), {
              concurrency: 64,
              discard: true
            })
            for (let i = 0; i < megabytes; i++) assert.strictEqual(yield* call(client, large), large.length)
          })
        yield* round(5_000, 60)
        yield* mustNotGrow(round(8_000, 60), { held: 3, native: 15 })
      }),
    240_000
  )

  it("worker threads may be terminated in traffic", { timeout: 100_000 }, async () => {
    const { stdout } = await run("workers", mode, "10")
    assert.strictEqual(stdout, "alive\n")
  })

  it("the process may exit in traffic", { timeout: 100_000 }, async () => {
    for (let i = 0; i < 6; i++) {
      const exit = await run("exiting", mode).then(
        () => "0",
        (error: { readonly code?: unknown; readonly signal?: unknown }) => `${error.code} ${error.signal}`
      )
      assert.strictEqual(exit, "7 null")
    }
  })

  it("the processes of a cluster each have nodes of their own", { timeout: 100_000 }, async () => {
    const { stdout } = await run("cluster", mode)
    assert.strictEqual(stdout, "worker: 0 null\nworker: 0 null\nprimary: closed\n")
  })

  it.live(
    "a thread blocked for longer than peers wait keeps its connections",
    () =>
      Effect.gen(function* () {
        const { address } = yield* blocked(mode, 35)
        const node = yield* bind({ native })
        const connection = yield* node.connect(address, "blocked/1")
        assert.strictEqual(yield* call(connection, new Uint8Array(1000)), 1000)
        assert.isFalse(connection.isClosed())
        yield* connection.close(0, "")
      }),
    60_000
  )

  it.live(
    "a peer that is held up keeps its connections while it is dialled again where it was",
    () =>
      Effect.gen(function* () {
        const { address, peer } = yield* blocked(mode, 0)
        const node = yield* bind({ native })
        const connection = yield* node.connect(address, "blocked/1")
        peer.kill("SIGSTOP")
        const calling = yield* Effect.forkChild(call(connection, new Uint8Array(1000)))
        const dialling = yield* Effect.forkChild(node.connect(address, "blocked/1"))
        // More than the half second that dials are waited for and the 2.5 that connections may be silent then.
        yield* Effect.sleep("5 seconds")
        assert.isFalse(connection.isClosed())
        assert.isUndefined(dialling.pollUnsafe())
        peer.kill("SIGCONT")
        assert.strictEqual(yield* Fiber.join(calling), 1000)
        yield* Fiber.join(dialling)
      }),
    60_000
  )

  it.live("speaks with the other modes and the other binding, both ways", () =>
    Effect.gen(function* () {
      const others: ReadonlyArray<IrohNodeOptions> = [
        { native: { mode: "inline" } },
        { native: { mode: "thread" } },
        { binding: "number0" }
      ]
      for (const other of others) {
        const { client, server } = yield* pair({ native }, other)
        yield* Effect.forkChild(echo(server))
        assert.strictEqual(yield* call(client, new Uint8Array(300_000)), 300_000)
        const send = yield* server.openUni
        yield* send.write(new Uint8Array(7))
        yield* send.finish
        assert.lengthOf((yield* (yield* client.acceptUni).read()) ?? [], 7)
      }
    })
  )

  it.live("spinning changes nothing but time", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ native: { mode, spin: 100 } })
      yield* Effect.forkChild(echo(server))
      for (let i = 0; i < 200; i++) assert.strictEqual(yield* call(client, new Uint8Array(i)), i)
    })
  )

  it.live("an event loop that is busy with other things still gets its turns", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair({ native })
      yield* Effect.forkChild(echo(server))
      let ticks = 0
      const ticking = setInterval(() => ticks++, 1)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(ticking)))
      const bytes = new Uint8Array(4 << 20)
      yield* Effect.all(
        Array.from({ length: 8 }, () => call(client, bytes)),
        { concurrency: "unbounded" }
      )
      assert.isAbove(ticks, 10)
    })
  )
})
