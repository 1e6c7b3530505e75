/** What a simulated swarm goes through, and how it came out. */
import { type Outcome, Simulator, type SimulatorOptions } from "./Simulator.ts"

export interface ScenarioOptions extends SimulatorOptions {
  readonly members: number
  /** Broadcasts in calm, and after healing. */
  readonly broadcasts: number
}

export interface Report {
  readonly members: number
  /** In calm: the last delivery's hops and the relative redundancy, on average. */
  readonly lastHop: number
  readonly redundancy: number
  /** The share of deliveries that were made, in calm and after the network has healed. */
  readonly calm: number
  readonly healed: number
  readonly healedLastHop: number
  readonly healedRedundancy: number
  /** Members that had no neighbour in the end. */
  readonly alone: number
}

const MINUTE = 60_000
/** Members of the first hour, that newcomers are told of and that stay. */
const CONTACTS = 3
/** How long after a broadcast its deliveries are counted. */
const PATIENCE = 10_000
/** How long a newcomer may take until it counts. */
const SETTLING = 10_000
const HEALING = 90_000

/**
 * Members join within ten seconds, then broadcasts in calm. Then 10 % of them are replaced per minute, half of those
 * without a goodbye, and 5 % of all messages are lost; after half a minute the network is torn for a minute. What counts
 * are the broadcasts from a minute and a half after it healed, while churn and loss go on.
 */
export const run = (options: ScenarioOptions): Report => {
  const simulator = new Simulator(options)
  const { random } = simulator
  const drawAuthor = () => {
    const settled = simulator.live.filter(({ joinedAt }) => joinedAt + SETTLING <= simulator.now)
    return settled[random.below(settled.length)]!
  }
  const contacts = () => [simulator.members[random.below(CONTACTS)]!, simulator.members[random.below(CONTACTS)]!]

  simulator.join([])
  for (let i = 1; i < options.members; i++)
    simulator.at((i * 10_000) / options.members, () =>
      simulator.join(i < CONTACTS ? [simulator.members[0]!] : contacts())
    )
  simulator.run(30_000)

  const broadcasts = (): Array<Outcome> => {
    const outcomes: Array<Outcome> = []
    for (let i = 0; i < options.broadcasts; i++) {
      outcomes.push(simulator.broadcast(drawAuthor()))
      simulator.run(simulator.now + 500)
    }
    simulator.run(simulator.now + PATIENCE)
    return outcomes
  }
  broadcasts() // shapes the tree
  const calm = broadcasts()

  simulator.lossPerMille = 50
  const churn = (): void => {
    const leaving = simulator.members.filter(({ alive, index }) => alive && index >= CONTACTS)
    const member = leaving[random.below(leaving.length)]!
    if (random.below(2) === 0) simulator.leave(member)
    else simulator.crash(member)
    simulator.join(contacts())
    simulator.at(simulator.now + (10 * MINUTE) / options.members, churn)
  }
  churn()
  simulator.run(simulator.now + MINUTE / 2)
  simulator.tear()
  simulator.run(simulator.now + MINUTE)
  simulator.heal()
  simulator.run(simulator.now + HEALING)
  const healed = broadcasts()

  const delivered = (outcomes: ReadonlyArray<Outcome>): number => {
    let due = 0
    let made = 0
    for (const { deliveries, sentAt } of outcomes) {
      for (const { alive, index, joinedAt } of simulator.members) {
        // Who left in between is no longer there to be asked.
        if (!alive || joinedAt + SETTLING > sentAt) continue
        due++
        if ((deliveries.get(index) ?? Infinity) <= sentAt + PATIENCE) made++
      }
    }
    return made / due
  }
  const mean = (outcomes: ReadonlyArray<Outcome>, figure: (outcome: Outcome) => number): number =>
    outcomes.reduce((sum, outcome) => sum + figure(outcome), 0) / outcomes.length
  const redundancy = ({ deliveries, payloads }: Outcome) => payloads / (deliveries.size - 1) - 1
  const lastHop = (outcome: Outcome) => outcome.lastHop
  return {
    members: options.members,
    lastHop: mean(calm, lastHop),
    redundancy: mean(calm, redundancy),
    calm: delivered(calm),
    healed: delivered(healed),
    healedLastHop: mean(healed, lastHop),
    healedRedundancy: mean(healed, redundancy),
    alone: simulator.live.filter(
      ({ joinedAt, state }) => joinedAt + SETTLING < simulator.now && state.membership.active.size === 0
    ).length
  }
}
