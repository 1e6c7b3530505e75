/**
 * How a producer grows: idle connections, many that call seldom, many calls at a time, many clients.
 *
 * `npm run bench:scale` prints the results and writes them to their sections of `bench/RESULTS.md`, within six minutes.
 * Options: `--print` only prints them, `--binding native|number0` measures that one alone, `--idle <n>` opens so many idle
 * connections at the most (10,000), `--out <file>`.
 */
import * as NativeBinding from "@aster-effect/iroh-native/NativeBinding"
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { description } from "./Machine.ts"
import { writeSection } from "./ResultsFile.ts"
import type { Order, Report } from "./scaleChild.ts"
import { quantile } from "./Statistics.ts"

const { values } = parseArgs({
  options: {
    print: { type: "boolean", default: false },
    binding: { type: "string" },
    idle: { type: "string", default: "10000" },
    out: { type: "string" }
  }
})

type Binding = "native" | "number0"

const program = fileURLToPath(new URL("./scaleChild.ts", import.meta.url))

/** A process that takes orders. */
class Worker {
  readonly #process: ChildProcess
  #last: Promise<Report>

  constructor(...args: ReadonlyArray<string>) {
    this.#process = fork(program, args, { execArgv: [...process.execArgv, "--expose-gc"] })
    this.#last = this.#report()
  }

  get started(): Promise<Report> {
    return this.#last
  }

  async order(order: Order): Promise<Report> {
    await this.#last
    this.#process.send(order)
    return (this.#last = this.#report())
  }

  end(): void {
    this.#process.kill("SIGKILL")
  }

  async #report(): Promise<Report> {
    const [report] = (await Promise.race([
      once(this.#process, "message"),
      once(this.#process, "exit").then(() => Promise.reject(new Error("a process has ended")))
    ])) as [Report]
    return report
  }
}

/** A server and as many clients of it, for one measurement. */
const deployment = async <A>(
  binding: Binding,
  clients: number,
  measure: (server: Worker, clients: ReadonlyArray<Worker>) => Promise<A>
): Promise<A> => {
  const server = new Worker("server", binding)
  const others: Array<Worker> = []
  try {
    const { address = "" } = await server.started
    for (let i = 0; i < clients; i++) others.push(new Worker("client", binding, address))
    await Promise.all(others.map((worker) => worker.started))
    return await measure(server, others)
  } finally {
    for (const worker of [server, ...others]) worker.end()
  }
}

const kib = (after: Report, before: Report, count: number) => (after.usage.rss - before.usage.rss) / 1024 / count
const number = (value: number, digits = 0) => value.toLocaleString("en-US", { maximumFractionDigits: digits })
const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
  [head, head.map((_, i) => (i === 0 ? "---" : "---:")), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

/** How long connections may be opened: then the row is of those that are there. */
const openSeconds = 90
/** After so long the connections have found out what their paths carry, and only signs of life are sent. */
const settleSeconds = 10
const restSeconds = 10

/** What each connection takes on both sides, how long opening them took, and what a second costs of which nothing is wanted. */
const idle = (binding: Binding, count: number, nodes: number) =>
  deployment(binding, 1, async (server, [client]) => {
    await client!.order({ kind: "nodes", count: nodes })
    await client!.order({ kind: "connect", count: 20, seconds: openSeconds })
    const all = () => Promise.all([server.order({ kind: "usage" }), client!.order({ kind: "usage" })])
    const before = await all()
    const connected = await client!.order({ kind: "connect", count, seconds: openSeconds })
    const { failure, opened = 0, seconds = 1 } = connected
    const after = await all()
    await sleep(settleSeconds * 1000)
    const settled = await all()
    await sleep(restSeconds * 1000)
    const rested = await all()
    const each = (side: 0 | 1) => number(kib(settled[side], before[side], opened), 1)
    const opening = (side: 0 | 1) =>
      number(((after[side].usage.cpuSeconds - before[side].usage.cpuSeconds) / opened) * 1000, 1)
    const rest = (side: 0 | 1) =>
      `${number(((rested[side].usage.cpuSeconds - settled[side].usage.cpuSeconds) / restSeconds) * 100, 1)} %`
    return [
      failure === undefined ? number(opened) : `${number(opened)} of ${number(count)}: ${failure}`,
      number(nodes),
      each(0),
      each(1),
      number(opened / seconds),
      opening(0),
      opening(1),
      rest(0),
      rest(1)
    ]
  })

const paced = (binding: Binding, count: number) =>
  deployment(binding, 2, async (server, clients) => {
    const each = count / clients.length
    const made = await Promise.all(clients.map((client) => client.order({ kind: "consume", count: each })))
    const there = made.reduce((sum, { opened = 0 }) => sum + opened, 0)
    await Promise.all(clients.map((client) => client.order({ kind: "pace", seconds: 2 })))
    const before = await server.order({ kind: "usage" })
    const reports = await Promise.all(clients.map((client) => client.order({ kind: "pace", seconds: 8 })))
    const after = await server.order({ kind: "usage" })
    const failure = [...made, ...reports].find(({ failure }) => failure !== undefined)?.failure
    const latencies = reports.flatMap(({ latenciesUs = [] }) => latenciesUs)
    const calls = reports.reduce((sum, { calls = 0 }) => sum + calls, 0)
    const seconds = Math.max(...reports.map(({ seconds = 0 }) => seconds))
    return [
      failure === undefined ? number(there) : `${number(there)} of ${number(count)}: ${failure}`,
      number(calls / seconds),
      number(quantile(latencies, 0.5)),
      number(quantile(latencies, 0.99)),
      `${number(((after.usage.cpuSeconds - before.usage.cpuSeconds) / seconds) * 100, 1)} %`
    ]
  })

const concurrent = (binding: Binding) =>
  deployment(binding, 1, async (_server, [client]) => {
    await client!.order({ kind: "consume", count: 1 })
    await client!.order({ kind: "call", concurrency: 64, seconds: 2 })
    const rows: Array<ReadonlyArray<string>> = []
    for (const concurrency of [64, 256, 1024, 4096]) {
      await client!.order({ kind: "call", concurrency, seconds: 1 })
      const {
        calls = 0,
        latenciesUs = [],
        seconds = 1
      } = await client!.order({ kind: "call", concurrency, seconds: 3 })
      rows.push([
        number(concurrency),
        number(calls / seconds),
        number(quantile(latenciesUs, 0.5)),
        number(quantile(latenciesUs, 0.99))
      ])
    }
    return rows
  })

const spread = (binding: Binding, count: number) =>
  deployment(binding, count, async (server, clients) => {
    await Promise.all(clients.map((client) => client.order({ kind: "consume", count: 1 })))
    const all = (seconds: number) =>
      Promise.all(clients.map((client) => client.order({ kind: "call", concurrency: 64, seconds })))
    await all(2)
    const before = await server.order({ kind: "usage" })
    const reports = await all(4)
    const after = await server.order({ kind: "usage" })
    const calls = reports.reduce((sum, { calls = 0 }) => sum + calls, 0)
    const rate = reports.reduce((sum, { calls = 0, seconds = 1 }) => sum + calls / seconds, 0)
    return [
      number(count),
      number(rate),
      number(((after.usage.cpuSeconds - before.usage.cpuSeconds) / calls) * 10_000, 2)
    ]
  })

const most = Number(values.idle)
/** Idle connections, and of how many nodes they are. */
const idles = [
  [1000, 1],
  [1000, 100],
  [10_000, 100]
] as const
/** Says a row at once: the rest takes minutes. */
const told = (row: ReadonlyArray<string>) => {
  console.error(row.join(" | "))
  return row
}

const section = async (binding: Binding, title: string) => {
  const idleRows: Array<ReadonlyArray<string>> = []
  for (const [count, nodes] of idles) {
    if (count <= most && (binding === "native" || count === 1000))
      idleRows.push(told(await idle(binding, count, nodes)))
  }
  const pacedRow = told(await paced(binding, 1000))
  const concurrentRows = await concurrent(binding)
  const spreadRows: Array<ReadonlyArray<string>> = []
  for (const count of [1, 2, 4]) spreadRows.push(await spread(binding, count))
  return `# Growth on one machine, ${title}

Written by \`npm run bench:scale\` on ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC. Every number is of one run.

- Machine: ${description()}. Server and clients share its cores; 100 % of a processor is one core.

${table(
  [
    "idle connections",
    "of nodes",
    "server, KiB each",
    "client, KiB each",
    "opened per second",
    "server, CPU ms to open",
    "client, CPU ms to open",
    "server's processor at rest",
    "client's processor at rest"
  ],
  idleRows
)}

${table(["connections, a call a second each", "calls/s", "p50, us", "p99, us", "server's processor"], [pacedRow])}

${table(["calls at a time, one client", "calls/s", "p50, us", "p99, us"], concurrentRows)}

${table(["client processes, 64 calls at a time each", "calls/s", "server CPU s per 10k calls"], spreadRows)}

- Idle connections are those of the protocol for calls, all of one client process, without a call; memory is resident, after a
  collection. At most ${openSeconds} s are taken to open them; at rest is from ${settleSeconds} s after that on. Calls are 100 B echoes. Up to 128 calls of a client share a stream; further ones have streams of their own, 96
  to a connection.
`
}

const out = values.out ?? (values.print ? undefined : fileURLToPath(new URL("./RESULTS.md", import.meta.url)))
const bindings = [
  ["native", "scaleNative", "native binding"],
  ["number0", "scaleNumber0", "@number0/iroh"]
] as const
for (const [binding, name, title] of bindings) {
  const isThere = binding === "number0" || NativeBinding.load() !== undefined
  if (!isThere || (values.binding ?? binding) !== binding) continue
  const page = await section(binding, title)
  console.log(page)
  if (out !== undefined) writeSection(out, name, page)
}
process.exit(0)
