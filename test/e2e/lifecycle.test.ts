/** How producers end and begin as processes: by signals, under load, one after the other. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { readFileSync } from "node:fs"
import { type Child, start } from "../faults/Child.ts"
import { type RestartedOptions, Waiting, WaitRequest } from "../faults/Waiting.ts"
import { free, get } from "../observability/Ports.ts"

const config = AsterConfig.load({ environment: false, identity: false })
const node = { bindAddress: "127.0.0.1:0", relayMode: "disabled" } as const

/** A producer, once it serves. */
const producer = Effect.fnUntraced(function* (options: RestartedOptions) {
  const child = yield* start("test/faults/restartedServer.ts", [JSON.stringify(options)])
  const { address, directAddress } = JSON.parse(yield* child.line) as { address: string; directAddress: string }
  return { child, address, bindAddress: directAddress }
})

const fresh = (n: number, healthPort = 0): RestartedOptions => ({
  bindAddress: "127.0.0.1:0",
  secretKey: n.toString(16).padStart(64, "0"),
  healthPort
})

const consumer = Effect.fnUntraced(function* (address: string) {
  const client = yield* Layer.build(AsterClient.layer({ config, node, address, connectTimeout: "5 seconds" }))
  return yield* Context.get(client, AsterClient).client(Waiting)
})

/** Waits for the process to be told, and not for how long that takes. */
const until = (condition: Effect.Effect<boolean>) =>
  Effect.repeat(condition, { until: (holds) => holds, schedule: Schedule.spaced("20 millis") }).pipe(
    Effect.timeout("1 minute")
  )

const ended = ({ ended }: Child) => Effect.timeout(ended, "1 minute")

describe("a producer that is told to end", () => {
  it.live("is not ready any more, finishes its calls, and takes no others", () =>
    Effect.gen(function* () {
      const port = yield* free
      const { address, child } = yield* producer(fresh(1, port))
      const waiting = yield* consumer(address)
      assert.strictEqual((yield* get(port, "/readyz")).status, 200)
      const running = yield* Effect.forkChild(waiting.wait(new WaitRequest({ ms: 3_000 })))
      yield* until(Effect.map(get(port, "/metrics"), ({ text }) => JSON.parse(text).rpc.in_flight === 1))
      child.process.kill("SIGTERM")
      yield* until(Effect.map(get(port, "/readyz"), ({ status }) => status === 503))
      const refused = yield* Effect.flip(waiting.wait(new WaitRequest({ ms: 0 })))
      assert.isTrue(refused.is("UNAVAILABLE"), refused.message)
      assert.isUndefined(running.pollUnsafe(), "the running call was not waited for")
      assert.strictEqual((yield* Fiber.join(running)).pid, child.process.pid)
      const { code, stderr } = yield* ended(child)
      assert.strictEqual(code, 0, stderr)
    })
  )

  it.live("ends at once when it is told again", () =>
    Effect.gen(function* () {
      const port = yield* free
      const { address, child } = yield* producer(fresh(1, port))
      const waiting = yield* consumer(address)
      yield* Effect.forkChild(Effect.ignore(waiting.wait(new WaitRequest({ ms: 60_000 }))))
      yield* until(Effect.map(get(port, "/metrics"), ({ text }) => JSON.parse(text).rpc.in_flight === 1))
      child.process.kill("SIGINT")
      // As npm does, which sends on what the terminal has sent already: no second time.
      child.process.kill("SIGINT")
      yield* until(Effect.map(get(port, "/readyz"), ({ status }) => status === 503))
      yield* Effect.sleep("600 millis")
      assert.isNull(child.process.exitCode)
      child.process.kill("SIGINT")
      assert.strictEqual((yield* ended(child)).code, 130)
    })
  )
})

describe("docs/observability.md", () => {
  it.live("shows what its example prints", () =>
    Effect.gen(function* () {
      const page = readFileSync(new URL("../../docs/observability.md", import.meta.url), "utf8")
      const [, shown = ""] = /^prints\n\n```text\n([^]*?)^```$/m.exec(page) ?? []
      const environment = { ASTER_HEALTH_PORT: String(yield* free), OTEL_EXPORTER_OTLP_ENDPOINT: undefined }
      const child = yield* start("examples/observability/producer.ts", [], [], { environment })
      let printed = ""
      while (printed !== shown) {
        printed += `${yield* child.line}\n`
        assert.isTrue(shown.startsWith(printed), printed)
      }
      assert.strictEqual((yield* ended(child)).code, 0)
    })
  )
})

describe("two producers that are restarted in turns", () => {
  const restarts = Number(process.env["ASTER_RESTARTS"] ?? "4")

  it.live(
    `lose no call in ${restarts} restarts`,
    () =>
      Effect.gen(function* () {
        const options = [fresh(1), fresh(2)]
        const running = yield* Effect.forEach(options, producer)
        // The same key and the same port: the producer that comes back is the one that was known.
        const places = running.map(({ bindAddress }, i) => ({ ...options[i]!, bindAddress }))
        const clients = yield* Effect.forEach(running, ({ address }) => consumer(address))

        let preferred = 0
        let calls = 0
        let failovers = 0
        const pids = new Set<number>()
        const unavailable = (error: RpcError) => error.is("UNAVAILABLE")
        /** At the producer that answered last; at the other one when that has none, as for a method that is idempotent. */
        const call = Effect.suspend(() => {
          const at = preferred
          return Effect.tapError(clients[at]!.wait(new WaitRequest({ ms: 20 })), (error) =>
            Effect.sync(() => {
              if (!unavailable(error) || preferred !== at) return
              failovers++
              preferred = 1 - at
            })
          )
        }).pipe(Effect.retry({ while: unavailable, times: 200, schedule: Schedule.spaced("20 millis") }))
        const load = Effect.forever(
          Effect.map(call, ({ pid }) => {
            calls++
            pids.add(pid)
          })
        )
        const workers = yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.forkChild(load))

        for (let i = 0; i < restarts; i++) {
          const before = calls
          yield* until(Effect.sync(() => calls > before + 20))
          const { child } = running[i % 2]!
          child.process.kill("SIGTERM")
          const { code, stderr } = yield* ended(child)
          assert.strictEqual(code, 0, stderr)
          running[i % 2] = yield* producer(places[i % 2]!)
        }
        const before = calls
        yield* until(Effect.sync(() => calls > before + 20))
        for (const worker of workers) {
          const exit = worker.pollUnsafe()
          assert.isUndefined(exit, `a call was lost: ${JSON.stringify(exit)}`)
        }
        assert.isAtLeast(failovers, restarts - 1)
        assert.isAtLeast(pids.size, restarts)
        yield* Effect.logInfo("restarts", { restarts, calls, failovers, processes: pids.size })
      }),
    60_000 + restarts * 40_000
  )
})
