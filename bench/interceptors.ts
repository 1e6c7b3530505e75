/**
 * What interceptors cost: unary calls and streamed messages within one process, with none and with several around them,
 * on both sides. `npm run bench:interceptors` prints a table and writes it to its section of `bench/RESULTS.md`;
 * `-- --quick` only prints it.
 */
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as CallMetrics from "@aster-effect/core/interceptor/CallMetrics"
import type { Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import { writeSection } from "./ResultsFile.ts"

const quick = process.argv.includes("--quick")
const CALLS = quick ? 5_000 : 40_000
const MESSAGES = quick ? 50_000 : 400_000
const ROUNDS = quick ? 2 : 7

class Item extends Wire.Class<Item>("bench/Item")({ n: Wire.Int }) {}

const Bench = Service.make("Interceptors").add(
  Rpc.unary("echo", { request: Item, response: Item }),
  Rpc.serverStream("count", { request: Item, response: Item })
)
const item = new Item({ n: 1 })
const BenchLive = Bench.toLayer({
  echo: Effect.succeed,
  count: ({ n }) => Stream.map(Stream.range(1, n), () => item)
})

/** Looks at the call and at how it ends, as metrics or a log would. */
const watching: Interceptor = (call, next) =>
  Effect.onExit(next(call), () => (call.method === "" ? Effect.die("unnamed") : Effect.void))
/** Looks at every message too. */
const reading: Interceptor = (call, next) => next(call, { response: Effect.succeed })

const rows: ReadonlyArray<readonly [string, ReadonlyArray<Interceptor>]> = [
  ["none", []],
  ["1", [watching]],
  ["5", Array.from({ length: 5 }, () => watching)],
  ["1 that sees messages", [reading]],
  ["CallMetrics, as servers have it by default", [CallMetrics.make("server", { messages: false })]]
]

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

const table = Effect.gen(function* () {
  const implementations = Service.implementationsIn(yield* Layer.build(BenchLive))
  const clients = yield* Effect.forEach(rows, ([, interceptors]) =>
    Effect.gen(function* () {
      const dispatcher = yield* Dispatcher.make({ implementations, interceptors })
      return (yield* LocalTransport.make(dispatcher, { interceptors }))(Bench)
    })
  )
  const results = rows.map(() => ({ call: [] as Array<number>, message: [] as Array<number> }))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, client] of clients.entries()) {
      const begin = performance.now()
      yield* Effect.forEach(Array.from({ length: CALLS }), () => client.echo(item), { discard: true })
      const between = performance.now()
      yield* Stream.runDrain(client.count(new Item({ n: MESSAGES })))
      const end = performance.now()
      // The first round warms up.
      if (round === 0) continue
      results[i]?.call.push(((between - begin) / CALLS) * 1000)
      results[i]?.message.push(((end - between) / MESSAGES) * 1000)
    }
  }
  const lines = rows.map(([name], i) => {
    const { call, message } = results[i] ?? { call: [], message: [] }
    return `| ${name} | ${median(call).toFixed(2)} | ${median(message).toFixed(3)} |`
  })
  return [
    "Calls within the process, XLANG, the same interceptors at the client and at the server; medians of " +
      `${ROUNDS} rounds.`,
    "",
    "| interceptors on each side | unary call, us | message of a server stream, us |",
    "|---|---|---|",
    ...lines
  ].join("\n")
})

const page = await Effect.runPromise(Effect.scoped(table))
console.log(page)
if (!quick) writeSection(fileURLToPath(new URL("./RESULTS.md", import.meta.url)), "interceptors", page)
