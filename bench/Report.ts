/** The results as a page of Markdown: computed from the runs at hand, words included. */
import { zstdCompressSync } from "node:zlib"
import type { ForyTable } from "./ForyTable.ts"
import { description, versionOf } from "./Machine.ts"
import { type Measurement, STREAM_MESSAGES } from "./Measurement.ts"
import { jsonLike, Size } from "./Payload.ts"
import { Peers } from "./Peers.ts"
import { FOREIGN_LIMIT, type Plan, type Rounds, type Run } from "./Rounds.ts"
import { median } from "./Statistics.ts"
import { judge } from "./Targets.ts"

interface Column {
  readonly title: string
  readonly value: (measurement: Measurement) => number | undefined
  readonly digits: number
}

const columns: ReadonlyArray<Column> = [
  { title: "connect + first call, ms", value: (m) => m.connectMs, digits: 1 },
  { title: "100 B sequential p50, us", value: (m) => m.p50Us, digits: 0 },
  { title: "p99, us", value: (m) => m.p99Us, digits: 0 },
  { title: "100 B x64, calls/s", value: (m) => m.callsPerSecond, digits: 0 },
  { title: "64 KiB x8 echo, MB/s", value: (m) => m.mediumMBs, digits: 1 },
  { title: "1 MiB x4 echo, MB/s", value: (m) => m.largeMBs, digits: 1 },
  { title: "64 KiB x8 JSON-like echo, MB/s", value: (m) => m.jsonMBs, digits: 1 },
  { title: "server stream, messages/s", value: (m) => m.messagesPerSecond, digits: 0 },
  { title: "server CPU s per 10k calls", value: (m) => m.serverCpu, digits: 2 },
  { title: "client CPU s per 10k calls", value: (m) => m.clientCpu, digits: 2 },
  { title: "server RSS, MB", value: (m) => m.server.rss / 1e6, digits: 0 },
  { title: "client RSS, MB", value: (m) => m.client.rss / 1e6, digits: 0 }
]

const packages = [
  "@aster-effect/server",
  "@aster-effect/client",
  "@number0/iroh",
  "effect",
  "@effect/platform-node",
  "@grpc/grpc-js",
  "@grpc/proto-loader",
  "@connectrpc/connect-node",
  "@bufbuild/protobuf"
]

const format = (value: number | undefined, digits: number) =>
  value === undefined || Number.isNaN(value)
    ? "-"
    : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const percent = (share: number) => `${format(share * 100, 0)} %`

/** A Markdown table; cells are numbers, flush right, save those under the first `texts` heads. */
const table = (head: ReadonlyArray<string>, texts: number, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const rule = `|${head.map((_, i) => (i < texts ? "---" : "---:")).join("|")}|`
  return [line(head), rule, ...rows.map(line)].join("\n")
}

/** The median of a column over the runs of a peer; undefined when it has none. */
const middle = (runs: ReadonlyArray<Run>, peer: string, { value }: Pick<Column, "value">) => {
  const values = runs.filter((run) => run.peer === peer).flatMap((run) => value(run.measurement) ?? [])
  return values.length === 0 ? undefined : median(values)
}

const comparison = (runs: ReadonlyArray<Run>, peers: ReadonlyArray<string>) =>
  table(
    ["peer", ...columns.map(({ title }) => title)],
    1,
    peers.map((peer) => [
      Peers.get(peer)?.label ?? peer,
      ...columns.map((column) => format(middle(runs, peer, column), column.digits))
    ])
  )

/** How far the rounds of one peer lie apart in a column, at worst: (highest - lowest) / median. */
const widestSpread = (runs: ReadonlyArray<Run>, peers: ReadonlyArray<string>, { value }: Column) =>
  Math.max(
    0,
    ...peers.map((peer) => {
      const values = runs.filter((run) => run.peer === peer).flatMap((run) => value(run.measurement) ?? [])
      return values.length === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / median(values)
    })
  )

const spreads = (runs: ReadonlyArray<Run>, { peers, rounds }: Plan) =>
  rounds === 1
    ? []
    : [
        `- Furthest apart that the rounds of one peer lay, as a share of its median: ${columns
          .filter(({ title }) => title.endsWith("/s") || title.endsWith("us"))
          .map((column) => `${column.title} ${percent(widestSpread(runs, peers, column))}`)
          .join("; ")}.`
      ]

const method = ({ failures, runs }: Rounds, plan: Plan) => {
  const sample = jsonLike(Size.medium)
  const compression = format(sample.length / zstdCompressSync(sample).length, 1)
  const length = plan.scale === 1 ? "" : `, phases ${percent(plan.scale)} of their full length`
  return [
    `- Server and client are separate Node processes on 127.0.0.1 and share the same cores. Rounds: ${plan.rounds}, peers interleaved${length}; every number is the median of its rounds.`,
    "- Closed loops: xN means N workers, each sending its next call when its last one was answered. Every phase has a warm-up. Echoes are compared byte by byte once and by length from then on; stream messages are counted.",
    `- MB/s are 10^6 bytes one way; an echo brings the same amount back. Payloads are incompressible, the JSON-like ones apart: task records that zstd shortens ${compression} times. Only peers that compress by themselves have that column; for the others it would repeat the incompressible one.`,
    `- The server stream is ${format(STREAM_MESSAGES, 0)} messages of ${Size.small} B, the median of three after one to warm up.`,
    "- CPU is user + system of the whole process, native threads included, over the 100 B x64 phase. RSS is read at the end, after all phases.",
    `- A run during which others took more than ${percent(FOREIGN_LIMIT)} of the machine is repeated once if time permits. The most that others took of a counted run: ${percent(Math.max(0, ...runs.map(({ foreign }) => foreign)))}.`,
    ...spreads(runs, plan),
    ...failures.map(
      ({ peer, reason, round }) => `- **Not measured**: ${Peers.get(peer)?.label ?? peer}, round ${round}: ${reason}.`
    )
  ].join("\n")
}

const targets = (runs: ReadonlyArray<Run>) =>
  table(
    ["target", "goal", "verdict", "measured"],
    3,
    judge(runs).map(({ goal, ratio, target, verdict }) => [target, goal, verdict, format(ratio, 2)])
  )

const codec = (fory: ForyTable | string) =>
  typeof fory === "string"
    ? `Not measured: ${fory}.`
    : table(
        ["value to bytes and back", "Fory XLANG, ns", "JSON, ns", "times faster"],
        1,
        fory.rows.map(({ foryNs, jsonNs, name, ratio }) => [
          name,
          format(foryNs, 0),
          format(jsonNs, 0),
          format(ratio, 2)
        ])
      )

const reading = (runs: ReadonlyArray<Run>) => {
  const of = (peer: string, unit: string, digits: number, value: Column["value"]) => {
    const measured = middle(runs, peer, { value })
    return measured === undefined ? "not measured" : `${format(measured, digits)} ${unit}`
  }
  const p50 = (peer: string) => of(peer, "us", 0, (m) => m.p50Us)
  const large = (peer: string) => of(peer, "MB/s", 1, (m) => m.largeMBs)
  const rate = (peer: string) => of(peer, "calls/s", 0, (m) => m.callsPerSecond)
  const medium = (peer: string) => of(peer, "MB/s", 1, (m) => m.mediumMBs)
  const verdicts = judge(runs)
  const missed = verdicts.filter(({ verdict }) => verdict === "MISS")
  const open = verdicts.filter(({ verdict }) => verdict === "not measured").length
  return [
    missed.length === 0
      ? `- ${open === 0 ? "Every target is met" : `No target was missed, ${open} could not be judged`}.`
      : `- Missed: ${missed.map(({ goal, ratio, target }) => `${target} (${goal}, measured ${format(ratio, 2)})`).join("; ")}.`,
    "- Rows called raw are floors: no codec, status, deadline, metadata or cancellation stands in them. Rows with neither iroh nor TLS in their name are not encrypted; every iroh row is (QUIC, TLS 1.3), and there each side also knows by its key who the other is.",
    "- aster-effect takes the native binding where it is there; the lines that name @number0/iroh are without it.",
    `- On the native binding small calls take ${p50("aster-native")} one at a time and are ${rate("aster-native")} 64 at a time; 64 KiB travel at ${medium("aster-native")}, 1 MiB at ${large("aster-native")}, where the binding alone carries ${medium("native")} and ${large("native")} with a stream for each echo.`,
    `- On @number0/iroh, small calls one at a time: aster-effect ${p50("aster")}, gRPC over TLS ${p50("grpc-tls")}, effect/rpc over TLS ${p50("effect-tls")}; the tuned floor of a QUIC stream per call is ${p50("iroh-tuned")}. Between two of its nodes aster-effect puts small calls on one stream; with peers of release 0.1.2 each has its own: ${p50("aster-streams")}.`,
    `- The same 64 at a time: aster-effect ${rate("aster")}, gRPC over TLS ${rate("grpc-tls")}, effect/rpc over TLS ${rate("effect-tls")}. Both gather the calls of a connection into few writes; calls with a QUIC stream each are ${rate("aster-streams")}, and the tuned floor of that is ${rate("iroh-tuned")}.`,
    `- Large incompressible payloads are where that binding is slow, and no layer above it can change it: bytes cross into @number0/iroh as arrays of numbers, converted one by one on the JavaScript thread. The raw binding itself stops at ${medium("iroh-tuned")} for 64 KiB, where gRPC over TLS carries ${medium("grpc-tls")}. Bulk data should travel compressed.`,
    `- Compressible payloads fare better because fewer bytes cross the binding: 64 KiB of JSON-like data, aster-effect ${of("aster", "MB/s", 1, (m) => m.jsonMBs)}.`,
    "- Stream rates of aster-effect and effect/rpc are those of a source that hands over its elements in large chunks, gRPC's and Connect's those of one write per message: what each makes natural. effect/rpc sends a chunk as one message.",
    "- Numbers of different rows that lie closer together than the rounds of one row do (see Method) are ties."
  ].join("\n")
}

/** The whole page. */
export const markdown = (rounds: Rounds, plan: Plan, fory: ForyTable | string, at: Date): string =>
  `# Side by side on one machine

Written by \`npm run bench\` on ${at.toISOString().slice(0, 16).replace("T", " ")} UTC.

- Machine: ${description()}.
- Versions: ${packages.map((name) => `${name} ${versionOf(name)}`).join(", ")}.

## Results

${comparison(rounds.runs, plan.peers)}

## Targets

Ratios between rows of the same round, median over the rounds.

${targets(rounds.runs)}

## Codec

${codec(fory)}

## Reading

${reading(rounds.runs)}

## Method

${method(rounds, plan)}
`
