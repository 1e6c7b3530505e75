/**
 * Gossip: broadcasts in swarms on loopback beside the reference's, the protocol without its IO, and how it grows.
 *
 * `npm run bench:gossip` prints the results and writes them to their section of `bench/RESULTS.md`, within three minutes;
 * `npm run bench:gossip -- --print` only prints them. Option: `--out <file>`. What it compares has to be there:
 * `npm run build:native`, and `npm run build:peer -- --release`.
 */
import { AddressBook } from "@aster-effect/iroh-gossip/AddressBook"
import * as Frame from "@aster-effect/iroh-gossip/Frame"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import * as Message from "@aster-effect/iroh-gossip/Message"
import { xoshiro } from "@aster-effect/iroh-gossip/Random"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { TopicState } from "@aster-effect/iroh-gossip/TopicState"
import * as MeshMessage from "@aster-effect/mesh/MeshMessage"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { spawnSync } from "node:child_process"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { Simulator } from "./gossip/Simulator.ts"
import { description, watchForeignShare } from "./Machine.ts"
import { writeSection } from "./ResultsFile.ts"
import { median, quantile } from "./Statistics.ts"

const { values } = parseArgs({ options: { print: { type: "boolean", default: false }, out: { type: "string" } } })

const SIZE = 100
const ROUNDS = 400
const WARM_UP = 100
const FLOOD = 4000
/** How long nothing has to come before what is missing counts as lost: as long as a neighbour may not be believed, and more. */
const PATIENCE = 15_000

const number = (value: number, digits = value < 20 ? 2 : 0) =>
  value.toLocaleString("en-US", { maximumFractionDigits: digits })
const cpuSeconds = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

/** What a swarm came to; times in milliseconds. */
interface Swarm {
  readonly each: number
  readonly all: number
  readonly lost: number
  readonly perSecond: number
  readonly delivered: number
  /** What members say was not sent, not read or asked for in vain; undefined of the reference. */
  readonly counted: number | undefined
  /** Microseconds of processor time per delivery, all members together. */
  readonly cpu: number
}

const contentOf = (n: number): Uint8Array => {
  const content = new Uint8Array(SIZE)
  new DataView(content.buffer).setUint32(0, n)
  return content
}

/** All members in this process, as the reference's bench has them. Fails where the binding is not there. */
const swarm = (count: number, binding: "native" | "number0"): Promise<Swarm> =>
  Effect.gen(function* () {
    const topicId = TopicId.fromName(`bench ${count}`)
    const layer = Gossip.layerWith(AddressBook.layerMemory({ hints: "all" }), { maxMessageRate: 1e6 }).pipe(
      Layer.provideMerge(IrohNode.layer({ ...loopback, binding }))
    )
    const nodes = yield* Effect.forEach(Array.from({ length: count }), () => Layer.build(Layer.fresh(layer)))
    for (const context of nodes)
      yield* Effect.provideContext(
        Router.serve({ protocols: [GossipProtocol.protocol], gracePeriod: 0, linger: 0 }),
        context
      )
    const first = yield* Context.get(nodes[0]!, IrohNode).address
    const topics = yield* Effect.forEach(nodes, (context, i) =>
      Context.get(context, Gossip).subscribe(topicId, { bootstrap: i === 0 ? [] : [first], capacity: 2 * FLOOD })
    )
    yield* Effect.all(
      topics.map(({ joined }) => joined),
      { concurrency: "unbounded" }
    )
    yield* Effect.sleep("2 seconds")

    let expected = -1
    let arrivals: Array<number> = []
    let flooded = 0
    let latest = 0
    for (const topic of topics)
      yield* topic.messages.pipe(
        Stream.runForEach(({ content }) =>
          Effect.sync(() => {
            const n = new DataView(content.buffer, content.byteOffset).getUint32(0)
            if (n === expected) arrivals.push(performance.now())
            if (n >= ROUNDS) {
              flooded++
              latest = performance.now()
            }
          })
        ),
        Effect.forkScoped
      )

    const each: Array<number> = []
    const all: Array<number> = []
    let lost = 0
    for (let n = 0; n < ROUNDS; n++) {
      expected = n
      arrivals = []
      const sent = performance.now()
      yield* topics[n % count]!.broadcast(contentOf(n))
      while (arrivals.length < count - 1 && performance.now() - sent < 2000) yield* Effect.sleep("1 millis")
      lost += count - 1 - arrivals.length
      if (n < WARM_UP) continue
      for (const at of arrivals) each.push(at - sent)
      all.push(Math.max(...arrivals) - sent)
    }

    const due = FLOOD * (count - 1)
    const used = cpuSeconds()
    const begun = performance.now()
    for (let n = 0; n < FLOOD; n++) yield* topics[0]!.broadcast(contentOf(ROUNDS + n))
    while (flooded < due && performance.now() - Math.max(latest, begun) < PATIENCE) yield* Effect.sleep("5 millis")
    const seconds = (latest - begun) / 1000
    const stats = yield* Effect.all(topics.map((topic) => topic.stats))
    return {
      each: median(each),
      all: median(all),
      lost,
      perSecond: flooded / (count - 1) / seconds,
      delivered: flooded / due,
      counted: stats.reduce((sum, { lost, missed, unsent }) => sum + lost + missed + unsent, 0),
      cpu: ((cpuSeconds() - used) / flooded) * 1e6
    }
  }).pipe(Effect.scoped, Effect.runPromise)

/** Where `npm run build:peer` keeps what cargo makes. */
const cache =
  process.env["CARGO_TARGET_DIR"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "aster-effect", "cargo")

/** The reference's own bench, built for speed. */
const reference = (count: number): Swarm | undefined => {
  const run = spawnSync(join(cache, "release", "bench"), ["gossip", `${count}`], { encoding: "utf8" })
  if (run.status !== 0) return undefined
  const lines = run.stdout
    .split("\n")
    .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Record<string, number>] : []))
  const [latency, flood] = lines
  if (latency === undefined || flood === undefined) return undefined
  return {
    each: latency["each_p50_ms"]!,
    all: latency["all_p50_ms"]!,
    lost: latency["lost"]!,
    perSecond: flood["messages_per_s"]!,
    delivered: flood["delivered"]! / flood["expected"]!,
    counted: undefined,
    cpu: (flood["cpu_s"]! / flood["delivered"]!) * 1e6
  }
}

const row = (name: string, found: Swarm | undefined) =>
  found === undefined
    ? `| ${name} | not built | | | | | |`
    : `| ${name} | ${number(found.each)} | ${number(found.all)} | ${number(found.perSecond, 0)} | ${number(100 * found.delivered, 1)} | ${found.counted ?? ""} | ${number(found.cpu, 0)} |`

/** Microseconds for a message that comes, is checked, handed on to four neighbours and delivered, without any IO. */
const alone = (): number => {
  const id = (n: number) => EndpointId.parse(n.toString(16).padStart(64, "0"))
  const times: Array<number> = []
  for (let round = 0; round < 7; round++) {
    const state = new TopicState(id(0), xoshiro([1, 2, 3, round]), { membership: { isKey: () => true } })
    for (let i = 1; i <= 5; i++) state.received(0, id(i), { _tag: "Neighbor", priority: "High", data: undefined })
    // As they come: what another member of five sends.
    const author = new TopicState(id(9), xoshiro([1, 2, 3, 4]), { membership: { isKey: () => true } })
    author.received(0, id(0), { _tag: "Neighbor", priority: "High", data: undefined })
    const frames = Array.from({ length: 20_000 }, (_, n) => {
      const [sent] = author.broadcast(0, contentOf(n), "Swarm")
      return sent?._tag === "Send" ? Frame.encode(sent.message).subarray(4) : new Uint8Array(0)
    })
    const begun = performance.now()
    let bytes = 0
    for (const [n, payload] of frames.entries()) {
      let framed: Message.Message | undefined
      for (const command of state.received(n / 10, id(1 + (n % 5)), Message.decode(payload))) {
        if (command._tag !== "Send" || command.message === framed) continue
        framed = command.message
        bytes += Frame.encode(framed).length
      }
    }
    if (bytes < 20_000 * SIZE) throw new Error("nothing was handed on")
    times.push(((performance.now() - begun) / frames.length) * 1000)
  }
  return quantile(times, 0.5)
}

/** Microseconds for a lease of another producer that comes over the topic of a mesh, is read and verified. */
const meshMessage = (): number => {
  const key = SecretKey.fromBytes(new Uint8Array(32).fill(3))
  const sign = SecretKey.signer(key)
  const lease = {
    _tag: "LeaseUpdate",
    service: "Bench",
    version: 1,
    contractId: "ab".repeat(32),
    health: "ready",
    addressing: {}
  } as const
  const contents = Array.from({ length: 2000 }, (_, n) =>
    MeshMessage.encode(MeshMessage.make(lease, SecretKey.toEndpointId(key), n, sign))
  )
  const begun = performance.now()
  for (const content of contents) {
    const message = MeshMessage.decode(content)
    if (message === undefined || !MeshMessage.isSigned(message) || typeof MeshMessage.bodyOf(message) !== "object")
      throw new Error("it is not taken")
  }
  return ((performance.now() - begun) / contents.length) * 1000
}

/** Messages and bytes that a member sends for a broadcast, once the tree has been shaped by some. */
const growth = (members: number) => {
  const simulator = new Simulator({ seed: 1, countBytes: true })
  simulator.join([])
  for (let i = 1; i < members; i++)
    simulator.at((i * 10_000) / members, () =>
      simulator.join([simulator.members[simulator.random.below(Math.min(3, i))]!])
    )
  simulator.run(40_000)
  const broadcasts = (count: number) => {
    for (let i = 0; i < count; i++) {
      simulator.broadcast(simulator.members[simulator.random.below(members)]!, SIZE)
      simulator.run(simulator.now + 3000)
    }
  }
  const count = members > 1000 ? 4 : 20
  broadcasts(count)
  simulator.messages = 0
  simulator.bytes = 0
  const from = simulator.outcomes.length
  broadcasts(count)
  const outcomes = simulator.outcomes.slice(from)
  const mean = (figure: (outcome: (typeof outcomes)[number]) => number) =>
    outcomes.reduce((sum, outcome) => sum + figure(outcome), 0) / count
  return [
    number(members),
    number(simulator.messages / count / members),
    number(simulator.bytes / count / members, 0),
    number(mean(({ payloads }) => payloads / (members - 1) - 1)),
    number(
      mean(({ lastHop }) => lastHop),
      1
    ),
    number(
      mean(({ deliveries, sentAt }) => Math.max(...deliveries.values()) - sentAt),
      0
    ),
    `${number(100 * mean(({ deliveries }) => deliveries.size / members), 2)}`
  ]
}

const foreign = watchForeignShare()
const used = cpuSeconds()
const rows: Array<string> = []
for (const count of [8, 16]) {
  const native = await swarm(count, "native").catch(() => undefined)
  rows.push(
    row(`ours, ${count}`, native),
    row(`ours on @number0/iroh, ${count}`, await swarm(count, "number0")),
    row(`iroh-gossip 0.101, ${count}`, reference(count))
  )
}
const share = foreign(cpuSeconds() - used)
const text = `# Gossip on one machine

Written by \`npm run bench:gossip\` on ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC.

- Machine: ${description()}. All members of a swarm are in one process and talk over QUIC on loopback; the reference's are
  in one of its own, built for release, in the same run. Broadcasts are ${SIZE} B.

| swarm | one member hears, ms p50 | all have heard, ms p50 | messages/s of one author | delivered, % | counted as unsent, missed or lost | CPU us per delivery |
|---|---:|---:|---:|---:|---:|---:|
${rows.join("\n")}

Latencies are of ${ROUNDS - WARM_UP} broadcasts, one at a time, by every member in turn; the rate is of ${number(FLOOD)} as fast as they can be
handed over. Processor time is of all members together, and ours includes the native transport; into @number0/iroh bytes
cross as arrays of numbers. While the swarms ran others took ${Math.round(100 * share)} % of the machine${process.platform === "linux" ? ", the reference's own runs among them" : ""}.

The protocol alone, without IO: ${number(alone())} us for a broadcast that comes as bytes, is checked against its hash, known from then
on, encoded for four neighbours and delivered. A lease of a producer on the topic of its mesh: ${number(meshMessage())} us, nearly all of
it for the signature.

| members, simulated | messages per member and broadcast | bytes | redundancy | hops to the last | ms to the last | delivered, % |
|---|---:|---:|---:|---:|---:|---:|
${[10, 100, 1000, 10_000].map((members) => `| ${growth(members).join(" | ")} |`).join("\n")}

Simulated with 10 to 50 ms between members and any author; messages are all that travel: contents, announcements, pruning
and what holds the swarm together.
`
console.log(text)
if (!values.print) writeSection(values.out ?? fileURLToPath(new URL("RESULTS.md", import.meta.url)), "gossip", text)
