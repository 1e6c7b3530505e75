/** Five protocols of one node, behind one gate: admission, calls, blobs, documents and gossip. A stranger gets none. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

class Name extends Wire.Class<Name>("one/Name")({ name: Wire.String }) {}
class Greeting extends Wire.Class<Greeting>("one/Greeting")({ text: Wire.String }) {}

const Hello = Service.make("Hello").add(Rpc.unary("greet", { request: Name, response: Greeting }))
const HelloLive = Hello.toLayer({ greet: ({ name }) => Effect.succeed(new Greeting({ text: `Hello, ${name}!` })) })

/** What the protocols are called when a connection is opened. */
const protocols = {
  calls: "aster/1",
  blobs: "/iroh-bytes/4",
  documents: "/iroh-sync/1",
  gossip: "/iroh-gossip/1"
}

const program = Effect.gen(function* () {
  // The root key of a deployment usually stays with its operator; the producer knows the public half.
  const rootKey = yield* RootKey.generate
  const producer = AsterServer.layer({ rootPubkey: rootKey.publicKey, node: loopback }).pipe(Layer.provide(HelloLive))
  const server = Context.get(yield* Layer.build(producer), AsterServer)
  const { address } = server

  const now = yield* Clock.currentTimeMillis
  const credential = RootKey.signConsumer(rootKey, {
    type: "policy",
    endpointId: undefined,
    nonce: undefined,
    expiresAt: BigInt(Math.floor(now / 1000) + 3600),
    attributes: new Map()
  })
  const consumer = Context.get(
    yield* Layer.build(AsterClient.layer({ address, credential, rootPubkey: rootKey.publicKey, node: loopback })),
    AsterClient
  )
  console.log("admission: offered", consumer.services.map(({ name }) => name).join())

  const hello = yield* consumer.client(Hello)
  console.log("calls:", (yield* hello.greet(new Name({ name: "you" }))).text)

  const { hash } = yield* server.blobs.addBytes(new TextEncoder().encode("a blob of the producer"))
  yield* consumer.blobs.download({ hash, format: "raw" })
  console.log("blobs:", new TextDecoder().decode(yield* consumer.blobs.read(hash)))

  const written = yield* server.docs.create
  yield* written.set("greeting", "an entry of the producer")
  const joined = yield* consumer.docs.join(yield* written.share("read"))
  const entry = yield* Effect.repeat(joined.getText("greeting"), { until: Option.isSome })
  console.log("documents:", Option.getOrThrow(entry))

  const topic = TopicId.fromName("news")
  const [speaker, listener] = [yield* server.gossip.subscribe(topic), yield* consumer.gossip.subscribe(topic)]
  const heard = yield* Effect.forkChild(Stream.runHead(listener.messages), { startImmediately: true })
  yield* Effect.all([speaker.joined, listener.joined], { discard: true })
  yield* speaker.broadcast(new TextEncoder().encode("news of the producer"))
  const { content } = Option.getOrThrow(yield* Fiber.join(heard))
  console.log("gossip:", new TextDecoder().decode(content))

  // Somebody else, without a credential.
  const admission = yield* Effect.flip(Layer.build(AsterClient.layer({ address, node: loopback })))
  console.log("a stranger: admission", admission._tag)
  const stranger = Context.get(yield* Layer.build(IrohNode.layer(loopback)), IrohNode)
  for (const [name, alpn] of Object.entries(protocols)) {
    const connection = yield* stranger.connect(NodeAddr.parse(address), alpn)
    const reason = yield* connection.closed
    console.log(`a stranger: ${name}`, reason._tag === "Peer" ? reason.code : reason._tag)
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
