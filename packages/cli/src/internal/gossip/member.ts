import * as AsterClient from "@aster-effect/client/AsterClient"
import * as NodeConfig from "@aster-effect/config/NodeConfig"
import { AddressBook, type HintPolicy } from "@aster-effect/iroh-gossip/AddressBook"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Router from "@aster-effect/iroh/Router"
import { TicketError } from "@aster-effect/iroh/Ticket"
import * as ClientTrust from "@aster-effect/trust/ClientTrust"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { clientConfig } from "../clientConfig.ts"

/** A topic, and whom it is joined at. */
export interface Membership {
  readonly topic: string
  readonly peers: ReadonlyArray<string>
  /** A credential file, to be shown to each of the peers. */
  readonly credential: string | undefined
  readonly hints: HintPolicy
}

const parseAddress = (text: string) =>
  Effect.try({
    try: () => NodeAddr.parse(text.trim()),
    catch: (cause) => (cause instanceof TicketError ? cause : new TicketError({ problem: String(cause) }))
  })

/** A node that is a member of a topic, and lets others join it there. */
export const join = Effect.fnUntraced(function* ({ credential, hints, peers, topic }: Membership) {
  const bootstrap = yield* Effect.forEach(peers, parseAddress)
  const config = yield* clientConfig(credential)
  const { secretKey } = yield* ClientTrust.resolve(config, { enrollmentCredentialFile: credential })
  const settings = yield* NodeConfig.nodeOptions(config, secretKey)
  const context = yield* Layer.build(
    Gossip.layerWith(AddressBook.layerMemory({ hints })).pipe(Layer.provideMerge(IrohNode.layer(settings)))
  )
  const node = Context.get(context, IrohNode)
  yield* Effect.provideContext(Router.serve({ protocols: [GossipProtocol.protocol], gracePeriod: "1 second" }), context)
  if (credential !== undefined) {
    // Each lets in whom it admitted itself.
    yield* Effect.forEach(bootstrap, (peer) =>
      AsterClient.make({ address: NodeAddr.toBase64(peer), config, enrollmentCredentialFile: credential }).pipe(
        Effect.provideService(IrohNode, node)
      )
    )
  }
  const id = TopicId.isHex(topic) ? TopicId.parse(topic) : TopicId.fromName(topic)
  return { node, topic: yield* Context.get(context, Gossip).subscribe(id, { bootstrap }) }
})
