/**
 * A service whose handlers misbehave.
 */
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"

export class Item extends Wire.Class<Item>("faulty/Item")({ n: Wire.Int }) {}

/** Anything at all, which takes many times its bytes in memory. */
export class Bag extends Wire.Class<Bag>("faulty/Bag")({ any: Wire.Any }) {}

export const Faulty = Service.make("Faulty", { public: true }).add(
  Rpc.unary("echo", { request: Item, response: Item }),
  Rpc.unary("sleep", { request: Item, response: Item }),
  Rpc.unary("stuck", { request: Item, response: Item }),
  Rpc.unary("cleanUp", { request: Item, response: Item }),
  Rpc.unary("failsToCleanUp", { request: Item, response: Item }),
  Rpc.unary("keep", { request: Bag, response: Item }),
  Rpc.serverStream("tick", { request: Item, response: Item })
)

export const FaultyLive = Faulty.toLayer({
  echo: Effect.succeed,
  sleep: (item) => Effect.as(Effect.sleep(item.n), item),
  // An acquisition that never acquires, like a pool without a free connection.
  stuck: (item) =>
    Effect.as(
      Effect.acquireRelease(Effect.never, () => Effect.void),
      item
    ),
  cleanUp: ({ n }) => Effect.onInterrupt(Effect.never, () => Effect.sleep(n)),
  failsToCleanUp: () => Effect.onInterrupt(Effect.never, () => Effect.die(new Error("no way back"))),
  keep: () => Effect.as(Effect.sleep("3 seconds"), new Item({ n: 0 })),
  tick: ({ n }) => Stream.map(Stream.fromSchedule(Schedule.spaced(n)), (i) => new Item({ n: i }))
})
