import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const program = Effect.gen(function* () {
  const gossip = yield* Gossip
  // Others join with `bootstrap`: the addresses of members. This one is the first.
  const weather = yield* gossip.subscribe(TopicId.fromName("weather"))
  yield* weather.broadcast(new TextEncoder().encode("sunny"))
  console.log(TopicId.fromName("weather"))
})

const live = Gossip.layer().pipe(Layer.provide(IrohNode.layer(loopback)))

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(live)))
