/**
 * What a node still holds after very many calls and bytes: memory and handles at each tenth of the way.
 *
 * `npm run soak:native -- --calls 1000000` makes as many calls, each a stream of its own, 64 at a time;
 * `npm run soak:native -- --seconds 240` sends 1 MiB at a time back and forth for so long. Both nodes are in this process.
 * Options: `--binding native|number0`, `--mode inline|thread`.
 */
import type { Connection } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { readdirSync } from "node:fs"
import { parseArgs } from "node:util"
import { measure } from "../../../faults/Memory.ts"
import { call, echo } from "../echo.ts"

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "0" },
    seconds: { type: "string", default: "0" },
    binding: { type: "string", default: "native" },
    mode: { type: "string", default: "inline" }
  }
})
const alpn = "soak/1"
const binding = values.binding === "number0" ? "number0" : "native"
const mode = values.mode === "thread" ? "thread" : "inline"

const node = Effect.map(
  Layer.build(Layer.fresh(IrohNode.layer({ ...loopback, alpns: [alpn], binding, native: { mode } }))),
  (context) => Context.get(context, IrohNode)
)

const echoed = Effect.fnUntraced(function* (connection: Connection, bytes: Uint8Array) {
  const length = yield* call(connection, bytes)
  if (length !== bytes.length) throw new Error(`${bytes.length} bytes came back as ${length}`)
})

const row = (cells: ReadonlyArray<string | number>) => console.log(`| ${cells.join(" | ")} |`)
const handles = (kind: "fd" | "task"): number | string =>
  process.platform === "linux" ? readdirSync(`/proc/self/${kind}`).length : "-"

const report = Effect.fnUntraced(function* (done: string, seconds: number) {
  const { held, native } = yield* Effect.promise(measure)
  row([done, seconds.toFixed(1), held.toFixed(1), native.toFixed(1), handles("fd"), handles("task")])
})

const soak = Effect.gen(function* () {
  const [server, client] = [yield* node, yield* node]
  const accepting = yield* Effect.forkChild(server.accept)
  const connection = yield* client.connect(yield* server.address, alpn)
  const accepted = yield* Fiber.join(accepting)
  yield* Effect.forkChild(echo(accepted))
  row(["done", "seconds", "held, MiB", "native, MiB", "descriptors", "threads"])
  row(["---", ...Array.from({ length: 5 }, () => "---:")])
  const small = new Uint8Array(100)
  const large = new Uint8Array(1 << 20)
  yield* report("nothing", 0)

  const calls = Number(values.calls)
  for (let tenth = 1, begun = performance.now(); calls > 0 && tenth <= 10; tenth++) {
    const part = Array.from({ length: calls / 10 })
    yield* Effect.forEach(part, () => echoed(connection, small), { concurrency: 64, discard: true })
    yield* report(`${((calls / 10) * tenth).toLocaleString("en-US")} calls`, (performance.now() - begun) / 1000)
  }

  const seconds = Number(values.seconds)
  let sent = 0
  for (let tenth = 1, begun = performance.now(); seconds > 0 && tenth <= 10; tenth++) {
    const end = begun + (tenth * seconds * 1000) / 10
    const worker = Effect.whileLoop({
      while: () => performance.now() < end,
      body: () => echoed(connection, large),
      step: () => {
        sent += 2 * large.length
      }
    })
    yield* Effect.all([worker, worker, worker, worker], { concurrency: "unbounded" })
    yield* report(`${(sent / 2 ** 30).toFixed(1)} GiB`, (performance.now() - begun) / 1000)
  }
})

await Effect.runPromise(Effect.scoped(soak))
const left = (): string => `${handles("fd")} descriptors and ${handles("task")} threads are left`
console.log(left())
process.exit(0)
