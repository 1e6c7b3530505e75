import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Command, DropReason } from "../proto/MemberState.ts"

/** Messages on the producers' topic, taken and dropped, the latter by reason. */
const received = Metric.counter("aster_mesh_messages_received_total", { incremental: true })
const dropped = Metric.counter("aster_mesh_messages_dropped_total", { incremental: true })

/** Between two lines in the log about messages that were dropped for one reason, in milliseconds. */
const PAUSE = 10_000

/** Whoever has the salt and no business here, or pretends to be another. */
const alarming: ReadonlySet<DropReason> = new Set(["stranger", "forged", "refused"])

const reasons: ReadonlyArray<DropReason> = [
  "malformed",
  "late",
  "stranger",
  "forged",
  "replayed",
  "excess",
  "isolated",
  "refused",
  "unknown"
]

/** Counts messages, and says in the log what an operator should know. */
export class MeshLog {
  readonly dropped = Object.fromEntries(reasons.map((reason) => [reason, 0])) as Record<DropReason, number>
  received = 0
  readonly #logged = new Map<DropReason, number>()

  readonly count: Effect.Effect<void> = Effect.suspend(() => {
    this.received++
    return Metric.update(received, 1)
  })

  /** @param at milliseconds of a clock that never goes back */
  drop(at: number, reason: DropReason, sender: EndpointId | undefined, from: EndpointId): Effect.Effect<void> {
    this.dropped[reason]++
    const counted = Metric.update(Metric.withAttributes(dropped, { reason }), 1)
    if (!alarming.has(reason) || at - (this.#logged.get(reason) ?? -Infinity) < PAUSE) return counted
    this.#logged.set(reason, at)
    const line = Effect.logWarning("A message on the producers' topic was dropped", { reason, sender, neighbor: from })
    return Effect.andThen(counted, line)
  }
}

/** What an operator is told about an event. */
export const lineOf = (
  event: Extract<Command, { readonly _tag: "Departed" | "Isolation" | "SelfOut" }>
): Effect.Effect<void> => {
  switch (event._tag) {
    case "Departed":
      return Effect.logInfo("A producer has left the mesh", { peer: event.peer, reason: event.reason })
    case "Isolation":
      return event.isolated
        ? Effect.logWarning("A producer's clock is wrong, so what it says about services is left aside", {
            peer: event.peer,
            offset: event.offset
          })
        : Effect.logInfo("A producer's clock is right again", { peer: event.peer })
    case "SelfOut":
      return event.out
        ? Effect.logError("This producer's clock is wrong, so it has left the mesh: set the clock", {
            median: event.median
          })
        : Effect.logInfo("This producer's clock is right again, and it is back in the mesh")
  }
}
