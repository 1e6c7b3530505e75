/** Interleaved rounds: every peer once, then every peer again, so that a slow spell of the machine meets them all. */
import { setTimeout as sleep } from "node:timers/promises"
import { watchForeignShare } from "./Machine.ts"
import { type Measurement, usage } from "./Measurement.ts"
import { runPair } from "./Pair.ts"

/** A measurement that was kept. */
export interface Run {
  readonly peer: string
  /** From 1. */
  readonly round: number
  /** The share of the machine (0 to 1) that others took meanwhile. */
  readonly foreign: number
  readonly measurement: Measurement
}

/** A peer that could not be measured in a round. */
export interface Failure {
  readonly peer: string
  readonly round: number
  readonly reason: string
}

/** What came of all rounds. */
export interface Rounds {
  readonly runs: ReadonlyArray<Run>
  readonly failures: ReadonlyArray<Failure>
}

/** How much to measure, and how long it may take. */
export interface Plan {
  readonly peers: ReadonlyArray<string>
  readonly rounds: number
  /** Stretches the phases of a measurement; 1 is about 17 seconds per run. */
  readonly scale: number
  /** No run starts later than this many seconds after the first. */
  readonly budgetSeconds: number
  /** A run that takes longer has failed. */
  readonly limitSeconds: number
}

/** A run during which others took more than this is repeated once, time permitting, and the quieter one kept. */
export const FOREIGN_LIMIT = 0.1

const measured = async (peer: string, round: number, { limitSeconds, scale }: Plan): Promise<Run> => {
  const own = usage().cpuSeconds
  const foreignShare = watchForeignShare()
  const measurement = await runPair(peer, { limitMs: limitSeconds * 1000, scale })
  const { client, server } = measurement
  const foreign = foreignShare(client.cpuSeconds + server.cpuSeconds + usage().cpuSeconds - own)
  return { peer, round, foreign, measurement }
}

/** Waits for a quiet second, `limitMs` at most. */
const quiet = async (limitMs: number) => {
  for (const end = performance.now() + limitMs; performance.now() < end;) {
    const foreignShare = watchForeignShare()
    await sleep(1000)
    if (foreignShare(0) < FOREIGN_LIMIT / 2) return
  }
}

/** Runs the plan; `report` hears of each run and each failure as it happens. */
export const runRounds = async (plan: Plan, report: (event: Run | Failure) => void): Promise<Rounds> => {
  const runs: Array<Run> = []
  const failures: Array<Failure> = []
  const start = performance.now()
  const deadline = start + plan.budgetSeconds * 1000
  const schedule = Array.from({ length: plan.rounds }, (_, i) => plan.peers.map((peer) => ({ peer, round: i + 1 })))
  const turns = schedule.flat()
  // What the rest of the schedule leaves over, if it goes on at the pace so far.
  const spareMs = (done: number) => {
    const now = performance.now()
    return deadline - now - ((now - start) / done) * (turns.length - done)
  }
  const fail = (failure: Failure) => {
    failures.push(failure)
    report(failure)
  }
  for (const [done, { peer, round }] of turns.entries()) {
    if (performance.now() > deadline) {
      fail({ peer, round, reason: "not started: out of time" })
      continue
    }
    if (done > 0) await quiet(Math.min(10_000, spareMs(done)))
    try {
      let run = await measured(peer, round, plan)
      if (run.foreign > FOREIGN_LIMIT && spareMs(done + 1) > plan.limitSeconds * 1000) {
        const again = await measured(peer, round, plan)
        if (again.foreign < run.foreign) run = again
      }
      runs.push(run)
      report(run)
    } catch (error) {
      fail({ peer, round, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return { runs, failures }
}
