/** Documents stay live, whatever is said on their topic. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { memoryNode, serve, settings } from "../admission/Deployment.ts"
import { eventually } from "../e2e/iroh-docs/Eventually.ts"

const consumer = Effect.fnUntraced(function* (address: string) {
  const client = Layer.fresh(AsterClient.layerOnNode({ config: settings(), address }))
  return Context.get(yield* Effect.provideService(Layer.build(client), IrohNode, yield* memoryNode()), AsterClient)
})

/** Of no kind, cut off, with more in it than there is, and one whose numbers never end. */
const garbage = ["ff", "00", "0102", "00".padEnd(300, "7"), `02${"ab".repeat(32)}ffffffff0f`, "80".repeat(40), ""].map(
  (hex) => Uint8Array.from(Buffer.from(hex, "hex"))
)

layer(Layer.merge(MemoryNetwork.layer(), Logger.layer([])), { excludeTestServices: true })("on a topic", (it) => {
  it.effect("what cannot be decoded ends nothing: changes arrive afterwards, both ways", () =>
    Effect.gen(function* () {
      const host = yield* serve(yield* memoryNode(), { config: settings() })
      const document = yield* host.docs.create
      const [friend, saboteur, witness] = yield* Effect.all([1, 2, 3].map(() => consumer(host.address)))
      const joined = yield* friend!.docs.join(yield* document.share("write"))
      yield* document.set("before", "1")
      yield* eventually(joined.getText("before"), Option.isSome)

      const topic = TopicId.parse(document.id)
      const hearing = yield* witness!.gossip.subscribe(topic)
      const heard = yield* Effect.forkChild(
        hearing.messages.pipe(
          Stream.filter(({ content }) => Buffer.from(content).equals(Buffer.from("the last of it"))),
          Stream.runHead
        ),
        { startImmediately: true }
      )
      yield* hearing.joined
      const speaking = yield* saboteur!.gossip.subscribe(topic)
      yield* speaking.joined
      for (const content of garbage) yield* speaking.broadcast(content)
      yield* speaking.broadcast(new TextEncoder().encode("the last of it"))
      // It passes the host on its way.
      assert.isTrue(Option.isSome(yield* Fiber.join(heard)))

      yield* document.set("after", "2")
      yield* eventually(joined.getText("after"), Option.isSome)
      yield* joined.set("back", "3")
      yield* eventually(Stream.runCount(document.getMany({ key: { exact: "back" } })), (count) => count === 1)
    }).pipe(Effect.scoped)
  )
})
