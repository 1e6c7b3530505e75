import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import * as TypedTopic from "@aster-effect/iroh-gossip/TypedTopic"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"

const [, , name, ticket] = process.argv
if (name === undefined) throw new Error("usage: node examples/chat NAME [TICKET]")

const Line = Schema.Struct({ name: Schema.String, text: Schema.String })

const program = Effect.gen(function* () {
  const node = yield* IrohNode
  const gossip = yield* Gossip
  yield* Router.serve({ protocols: [GossipProtocol.protocol] })
  const bootstrap = ticket === undefined ? [] : [NodeAddr.parse(ticket)]
  const topic = yield* gossip.subscribe(TopicId.fromName("chat"), { bootstrap })
  yield* Console.log(`others join with: node examples/chat NAME ${NodeAddr.toTicket(yield* node.address)}`)

  const chat = TypedTopic.make(topic, Line, { unique: true })
  const hear = chat.messages.pipe(Stream.runForEach(({ value }) => Console.log(`${value.name}: ${value.text}`)))
  const lines = Stream.splitLines(Stream.decodeText((yield* Stdio.Stdio).stdin))
  const speak = lines.pipe(Stream.runForEach((text) => chat.broadcast({ name, text })))
  yield* Effect.all([hear, speak], { concurrency: "unbounded" })
}).pipe(Effect.scoped)

const live = Gossip.layer().pipe(Layer.provideMerge(IrohNode.layer(loopback)), Layer.merge(NodeStdio.layer))
runMain(Effect.provide(program, live))
