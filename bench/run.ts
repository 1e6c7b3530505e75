/**
 * Side-by-side measurements: `npm run bench` prints the comparison and writes it to its section of `bench/RESULTS.md`,
 * within thirteen minutes; `npm run bench -- --quick` only prints it, from one short round, within two. Blobs have a program of
 * their own, `npm run bench:blobs`.
 *
 * Options: `--rounds <n>` (3), `--peers <name,name>` (all), `--out <file>`.
 */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { measureFory } from "./ForyTable.ts"
import { Peers } from "./Peers.ts"
import { markdown } from "./Report.ts"
import { writeSection } from "./ResultsFile.ts"
import { type Failure, type Plan, type Run, runRounds } from "./Rounds.ts"

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    peers: { type: "string" },
    out: { type: "string" }
  }
})
const { quick } = values

const rounds = Number(values.rounds ?? (quick ? 1 : 3))
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--rounds takes a whole number from 1, not ${values.rounds}.`)

const peers = values.peers?.split(",") ?? [...Peers.keys()]
const unknown = peers.filter((peer) => !Peers.has(peer))
if (unknown.length > 0) throw new Error(`--peers knows ${[...Peers.keys()].join(", ")}, not ${unknown.join(", ")}.`)

const plan: Plan = quick
  ? { peers, rounds, scale: 0.25, budgetSeconds: 60 * rounds, limitSeconds: 20 }
  : { peers, rounds, scale: 1, budgetSeconds: 240 * rounds, limitSeconds: 60 }

const report = (event: Run | Failure) => {
  const name = `round ${event.round}  ${event.peer.padEnd(12)}`
  if ("reason" in event) return console.error(`${name}${event.reason}`)
  const { callsPerSecond, messagesPerSecond, p50Us } = event.measurement
  const numbers = `p50 ${p50Us.toFixed(0)} us, ${callsPerSecond.toFixed(0)} calls/s, ${messagesPerSecond.toFixed(0)} messages/s`
  console.error(`${name}${numbers}, others took ${(event.foreign * 100).toFixed(0)} %`)
}

const results = await runRounds(plan, report)
const fory = await measureFory(quick ? 25_000 : 60_000).catch((error: unknown) =>
  error instanceof Error ? error.message : String(error)
)
const page = markdown(results, plan, fory, new Date())
console.log(page)

const out = values.out ?? (quick ? undefined : fileURLToPath(new URL("./RESULTS.md", import.meta.url)))
if (out !== undefined) writeSection(out, "calls", page)
if (results.failures.length > 0) process.exitCode = 1
