/** What aster-effect sets out to reach, judged by the runs at hand. */
import type { Measurement } from "./Measurement.ts"
import type { Run } from "./Rounds.ts"
import { median } from "./Statistics.ts"

/** One target and what was measured for it. */
export interface Verdict {
  readonly target: string
  /** Such as "at least 0.8". */
  readonly goal: string
  /** The ratio the target is about; undefined when a side of it was not measured. */
  readonly ratio: number | undefined
  readonly verdict: "PASS" | "MISS" | "not measured"
}

interface Target {
  readonly target: string
  readonly bound: "at least" | "at most" | "more than"
  readonly limit: number
  readonly ratio: (rounds: ReadonlyArray<Round>) => number
}

/** The measurements of one round by peer. */
type Round = ReadonlyMap<string, Measurement>

/**
 * The median of the ratios within each round: what slows a whole round down does not count. NaN without a round in
 * which both sides were measured.
 */
const ratioBetween =
  (ours: string, theirs: string, value: (measurement: Measurement) => number) => (rounds: ReadonlyArray<Round>) =>
    median(
      rounds.flatMap((round) => {
        const [above, below] = [round.get(ours), round.get(theirs)]
        return above === undefined || below === undefined ? [] : [value(above) / value(below)]
      })
    )

const targets: ReadonlyArray<Target> = [
  {
    target: "100 B sequential p50, against the tuned raw stream per call",
    bound: "at most",
    limit: 1.3,
    ratio: ratioBetween("aster", "iroh-tuned", ({ p50Us }) => p50Us)
  },
  {
    target: "100 B x64 calls/s, against the tuned raw stream per call",
    bound: "at least",
    limit: 0.8,
    ratio: ratioBetween("aster", "iroh-tuned", ({ callsPerSecond }) => callsPerSecond)
  },
  {
    target: "100 B x64 calls/s, against @grpc/grpc-js over TLS",
    bound: "more than",
    limit: 1,
    ratio: ratioBetween("aster", "grpc-tls", ({ callsPerSecond }) => callsPerSecond)
  },
  {
    target: "server stream messages/s, against the tuned raw stream",
    bound: "at least",
    limit: 0.6,
    ratio: ratioBetween("aster", "iroh-tuned", ({ messagesPerSecond }) => messagesPerSecond)
  },
  {
    target: "64 KiB echo, JSON-like against incompressible",
    bound: "at least",
    limit: 4,
    ratio: (rounds) =>
      median(
        rounds.flatMap((round) => {
          const { jsonMBs, mediumMBs } = round.get("aster") ?? {}
          return jsonMBs === undefined || mediumMBs === undefined ? [] : [jsonMBs / mediumMBs]
        })
      )
  },
  {
    target: "native: 100 B x64 calls/s, against effect/rpc over TLS",
    bound: "more than",
    limit: 1,
    ratio: ratioBetween("aster-native", "effect-tls", ({ callsPerSecond }) => callsPerSecond)
  },
  {
    target: "native: 100 B x64 calls/s, against effect/rpc over TCP",
    bound: "more than",
    limit: 1,
    ratio: ratioBetween("aster-native", "effect", ({ callsPerSecond }) => callsPerSecond)
  },
  {
    target: "native: 64 KiB echo, against @grpc/grpc-js over TLS",
    bound: "more than",
    limit: 1,
    ratio: ratioBetween("aster-native", "grpc-tls", ({ mediumMBs }) => mediumMBs)
  },
  {
    target: "native: 64 KiB echo, against effect/rpc over TLS",
    bound: "at least",
    limit: 1,
    ratio: ratioBetween("aster-native", "effect-tls", ({ mediumMBs }) => mediumMBs)
  },
  {
    target: "native: 1 MiB echo, of 100 MB/s or 80 % of the binding alone, whichever is less",
    bound: "at least",
    limit: 1,
    ratio: (rounds) =>
      median(
        rounds.flatMap((round) => {
          const [ours, alone] = [round.get("aster-native"), round.get("native")]
          return ours === undefined || alone === undefined ? [] : [ours.largeMBs / Math.min(100, 0.8 * alone.largeMBs)]
        })
      )
  },
  {
    target: "native: server stream messages/s, against effect/rpc over TCP",
    bound: "more than",
    limit: 1,
    ratio: ratioBetween("aster-native", "effect", ({ messagesPerSecond }) => messagesPerSecond)
  },
  {
    target: "native: 100 B sequential p50, against effect/rpc over TLS",
    bound: "at most",
    limit: 1.5,
    ratio: ratioBetween("aster-native", "effect-tls", ({ p50Us }) => p50Us)
  },
  {
    target: "native: connect and first call, ms",
    bound: "at most",
    limit: 6,
    ratio: (rounds) => median(rounds.flatMap((round) => round.get("aster-native")?.connectMs ?? []))
  },
  {
    target: "native: server CPU per call, against effect/rpc over TLS",
    bound: "at most",
    limit: 1,
    ratio: ratioBetween("aster-native", "effect-tls", ({ serverCpu }) => serverCpu)
  }
]

const holds = (ratio: number, { bound, limit }: Target) =>
  bound === "at most" ? ratio <= limit : bound === "at least" ? ratio >= limit : ratio > limit

/** Judges every target. */
export const judge = (runs: ReadonlyArray<Run>): ReadonlyArray<Verdict> => {
  const rounds = new Map<number, Map<string, Measurement>>()
  for (const { measurement, peer, round } of runs) {
    rounds.set(round, (rounds.get(round) ?? new Map()).set(peer, measurement))
  }
  return targets.map((target) => {
    const ratio = target.ratio([...rounds.values()])
    const known = Number.isFinite(ratio)
    return {
      target: target.target,
      goal: `${target.bound} ${target.limit}`,
      ratio: known ? ratio : undefined,
      verdict: known ? (holds(ratio, target) ? "PASS" : "MISS") : "not measured"
    }
  })
}
