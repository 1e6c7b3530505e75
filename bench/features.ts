/**
 * What features cost beside plain calls: tracing, sessions, a group of effect/rpc over TCP and over iroh; and how soon a
 * call that is given up ends two hops away. `npm run bench:features` prints tables and writes them to their section of
 * `bench/RESULTS.md`, within four minutes; `-- --quick` only prints them.
 */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as Tracing from "@aster-effect/core/interceptor/Tracing"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import { type BindingChoice, loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as LocalTransport from "@aster-effect/transport/LocalTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { fileURLToPath } from "node:url"
import { description } from "./Machine.ts"
import { runPair } from "./Pair.ts"
import { MorePeers, Peers } from "./Peers.ts"
import { writeSection } from "./ResultsFile.ts"
import { median, quantile } from "./Statistics.ts"

const quick = process.argv.includes("--quick")
const ROUNDS = quick ? 2 : 5
const LOCAL_CALLS = quick ? 2_000 : 20_000
const CALLS = quick ? 200 : 2_000
const HOPS = quick ? 20 : 200
const PAIR_ROUNDS = quick ? 1 : 2

class Item extends Wire.Class<Item>("bench/Item")({ n: Wire.Int }) {}
const item = new Item({ n: 1 })

const Plain = Service.make("Plain").add(Rpc.unary("echo", { request: Item, response: Item }))
const Kept = Service.make("Kept", { scope: "session" }).add(Rpc.unary("echo", { request: Item, response: Item }))
const Hang = Service.make("Hang").add(Rpc.unary("hang", { request: Item, response: Item }))
const Relay = Service.make("Relay").add(Rpc.unary("hang", { request: Item, response: Item }))

const PlainLive = Plain.toLayer({ echo: Effect.succeed })
const KeptLive = Kept.toLayer({ echo: Effect.succeed })

/** Microseconds of each call, one after the other. */
const timed = <E>(call: Effect.Effect<unknown, E>, calls: number) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    for (let i = 0; i < calls; i++) {
      const begin = performance.now()
      yield* call
      times.push((performance.now() - begin) * 1000)
    }
    return times
  })

/** The median and the 99th percentile of each, from rounds that visit them in turn; the first warms up. */
const compare = <E>(calls: ReadonlyArray<Effect.Effect<unknown, E>>, count: number) =>
  Effect.gen(function* () {
    const times = calls.map(() => [] as Array<number>)
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [i, call] of calls.entries()) {
        const measured = yield* timed(call, count)
        if (round > 0) times[i]!.push(...measured)
      }
    }
    return times.map((all) => [median(all), quantile(all, 0.99)] as const)
  })

// A tracer that is installed, unlike the one that is always there. It does what that one does.
const tracer = Tracer.make({ span: (options) => Tracer.nativeTracer.span(options) })

const tracing = Effect.gen(function* () {
  const implementations = Service.implementationsIn(yield* Layer.build(PlainLive))
  const client = (
    interceptors: { readonly server: typeof Tracing.server; readonly client: typeof Tracing.client } | undefined
  ) =>
    Effect.gen(function* () {
      const dispatcher = yield* Dispatcher.make({
        implementations,
        interceptors: interceptors === undefined ? [] : [interceptors.server]
      })
      const make = yield* LocalTransport.make(dispatcher, {
        interceptors: interceptors === undefined ? [] : [interceptors.client]
      })
      return make(Plain).echo(item)
    })
  const off = yield* client(undefined)
  const on = yield* client(Tracing)
  return yield* compare([off, Effect.withTracer(on, tracer)], LOCAL_CALLS)
})

const config = AsterConfig.load({ environment: false, identity: false })

const serve = (binding: BindingChoice, services: Layer.Layer<never>) =>
  Effect.map(
    Layer.build(AsterServer.layer({ config, node: { ...loopback, binding } }).pipe(Layer.provide(services))),
    Context.get(AsterServer)
  )

const consume = (binding: BindingChoice, address: string, multiplex = true) =>
  Effect.map(
    Layer.build(AsterClient.layer({ config, address, multiplex, node: { ...loopback, binding } })),
    Context.get(AsterClient)
  )

const sessions = (binding: BindingChoice) =>
  Effect.gen(function* () {
    const { address } = yield* serve(binding, Layer.merge(PlainLive, KeptLive))
    const aster = yield* consume(binding, address)
    const plain = yield* aster.client(Plain)
    const apart = yield* (yield* consume(binding, address, false)).client(Plain)
    const session = yield* aster.session(Kept)
    return yield* compare([plain.echo(item), apart.echo(item), session.echo(item)], CALLS)
  })

/** Milliseconds from a client's interruption to that of the handler two hops away. */
const cancellation = (binding: BindingChoice) =>
  Effect.gen(function* () {
    const begun = yield* Queue.unbounded<void>()
    const interrupted = yield* Queue.unbounded<number>()
    const hang = Hang.toLayer({
      hang: () =>
        Effect.onInterrupt(Effect.andThen(Queue.offer(begun, undefined), Effect.never), () =>
          Queue.offer(interrupted, performance.now())
        )
    })
    const back = yield* consume(binding, (yield* serve(binding, hang)).address)
    const behind = yield* back.client(Hang)
    const relay = Relay.toLayer({ hang: (request) => behind.hang(request) })
    const front = yield* (yield* consume(binding, (yield* serve(binding, relay)).address)).client(Relay)
    const times: Array<number> = []
    for (let i = 0; i < HOPS; i++) {
      const fiber = yield* Effect.forkChild(front.hang(item))
      yield* Queue.take(begun)
      const begin = performance.now()
      yield* Effect.forkChild(Fiber.interrupt(fiber))
      times.push((yield* Queue.take(interrupted)) - begin)
    }
    return times
  })

const groups = async () => {
  const names = ["effect", "group", "group-native"]
  const rows = new Map(names.map((name) => [name, [] as Array<Awaited<ReturnType<typeof runPair>>>]))
  for (let round = 0; round < PAIR_ROUNDS; round++) {
    for (const name of names) {
      await runPair(name, { scale: quick ? 0.1 : 0.4, limitMs: 30_000 }).then(
        (measurement) => rows.get(name)!.push(measurement),
        (error: unknown) => console.error(name, String(error))
      )
    }
  }
  return Array.from(rows, ([name, all]) => {
    const label = (Peers.get(name) ?? MorePeers.get(name))!.label
    const of = (key: "p50Us" | "p99Us" | "callsPerSecond" | "mediumMBs" | "messagesPerSecond") =>
      all.length === 0 ? "-" : median(all.map((each) => each[key]))
    return [label, of("p50Us"), of("p99Us"), of("callsPerSecond"), of("mediumMBs"), of("messagesPerSecond")]
  })
}

const shown = (cell: string | number): string =>
  typeof cell === "string" ? cell : cell.toLocaleString("en", { maximumFractionDigits: cell < 100 ? 1 : 0 })

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string =>
  [
    `| ${head.join(" | ")} |`,
    `|---|${"---:|".repeat(head.length - 1)}`,
    ...rows.map((cells) => `| ${cells.map(shown).join(" | ")} |`)
  ].join("\n")

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.runPromise(Effect.exit(Effect.provideService(Effect.scoped(effect), References.MinimumLogLevel, "None")))

const bindings: ReadonlyArray<readonly [BindingChoice, string]> = [
  ["number0", "@number0/iroh"],
  ["native", "native binding"]
]

const page = await (async () => {
  const traced = await run(tracing)
  const sessionRows: Array<ReadonlyArray<string | number>> = []
  const hopRows: Array<ReadonlyArray<string | number>> = []
  for (const [binding, label] of bindings) {
    const measured = await run(sessions(binding))
    if (Exit.isSuccess(measured)) {
      const [plain, apart, session] = measured.value
      sessionRows.push([`${label}: small calls on one stream`, ...plain!])
      sessionRows.push([`${label}: a stream per call`, ...apart!])
      sessionRows.push([`${label}: within a session`, ...session!])
    } else console.error(label, measured.cause)
    const hops = await run(cancellation(binding))
    if (Exit.isSuccess(hops)) {
      const all = hops.value
      hopRows.push([
        label,
        median(all),
        quantile(all, 0.99),
        Math.max(...all),
        Math.max(...all) < 100 ? "PASS" : "FAIL"
      ])
    } else console.error(label, hops.cause)
  }
  return `# Features on one machine

Written by \`npm run bench:features\` on ${new Date().toISOString().slice(0, 10)}. ${description()}. Medians of ${ROUNDS} rounds that visit the rows in turn.

${table(
  ["calls within the process, one at a time, us", "p50", "p99"],
  (Exit.isSuccess(traced) ? traced.value : []).map((row, i) => [["no tracing", "a span on each side"][i]!, ...row])
)}

Without a tracer no interceptor is there, so the first row is also what calls cost then.

${table(["calls over QUIC on loopback, both ends in this process, one at a time, us", "p50", "p99"], sessionRows)}

${table(
  [
    `from a client's interruption to that of the handler two hops away, ms, of ${HOPS} calls`,
    "p50",
    "p99",
    "longest",
    "below 100"
  ],
  hopRows
)}

${table(
  [
    "the same RpcGroup, server and client in processes of their own",
    "100 B p50, us",
    "p99, us",
    "x64, calls/s",
    "64 KiB x8 echo, MB/s",
    "stream, messages/s"
  ],
  await groups()
)}

TCP here is neither encrypted nor authenticated; iroh is both.
`
})()
console.log(page)
if (!quick) writeSection(fileURLToPath(new URL("./RESULTS.md", import.meta.url)), "features", page)
process.exit(0)
