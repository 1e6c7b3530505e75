/** Members of swarms that run the reference: 0.97 inside the release, and 0.101 in a process of its own. */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { TopicId } from "@aster-effect/iroh-gossip/TopicId"
import * as TopicIds from "@aster-effect/iroh-gossip/TopicId"
import * as EndpointIds from "@aster-effect/iroh/EndpointId"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { eventually } from "../../iroh-gossip/Members.ts"
import { rustNode } from "../../peers/RustNode.ts"
import { type RustPeer, rustPeer } from "../../peers/RustPeer.ts"

/** What tests need of a member, whatever it is made of. */
export interface ForeignMember {
  readonly name: string
  readonly addr: NodeAddr.NodeAddr
  /** Joins in the background. */
  readonly subscribe: (topic: TopicId, peers: ReadonlyArray<NodeAddr.NodeAddr>) => Effect.Effect<void>
  readonly broadcast: (topic: TopicId, content: Uint8Array) => Effect.Effect<void>
  /** Waits until it has a neighbour. */
  readonly joined: (topic: TopicId) => Effect.Effect<void>
  /** What was received so far. */
  readonly received: (topic: TopicId) => ReadonlyArray<Uint8Array>
}

interface Handle {
  readonly broadcast: (content: Buffer) => Promise<void>
  readonly recv: () => Promise<{ readonly eventType: string; readonly data?: Buffer }>
}
interface GossipNode {
  readonly gossipClient: () => {
    readonly subscribe: (topic: Buffer, peers: ReadonlyArray<string>) => Promise<Handle>
  }
  readonly connectNodeAddr: (
    id: string,
    alpn: Buffer,
    direct: ReadonlyArray<string>
  ) => Promise<{ readonly close: (code: number, reason: string) => void }>
}

/** A protocol of no use but that a node of 0.97 learns an address by dialling it. */
export const LEARN_ALPN = "test/learn/1"

/** A member on iroh-gossip 0.97. */
export const member097: Effect.Effect<ForeignMember, never, Scope.Scope> = Effect.gen(function* () {
  const rust = yield* rustNode
  const node = rust.node as unknown as GossipNode
  const [, direct = ""] = /direct_addresses: \[(.*)\]/.exec(rust.addr) ?? []
  const addr = NodeAddr.make(
    EndpointIds.parse(rust.id),
    [...direct.matchAll(/"([^"]+)"/g)].map(([, address]) => address!)
  )
  const received = new Map<string, Array<Uint8Array>>()
  const joined = new Map<string, Promise<Handle>>()
  const follow = async (topic: string, handle: Promise<Handle>): Promise<void> => {
    const { recv } = await handle.then((handle) => ({ recv: () => handle.recv() }))
    while (true) {
      const { data, eventType } = await recv()
      if (eventType === "received" && data !== undefined) received.get(topic)!.push(data)
    }
  }
  const member: ForeignMember = {
    name: "0.97",
    addr,
    subscribe: (topic, peers) =>
      Effect.promise(async () => {
        for (const { directAddresses, endpointId } of peers) {
          const connection = await node.connectNodeAddr(endpointId, Buffer.from(LEARN_ALPN), directAddresses)
          connection.close(0, "learnt")
        }
        received.set(topic, [])
        const ids = peers.map(({ endpointId }) => endpointId)
        const handle = node.gossipClient().subscribe(Buffer.from(TopicIds.toBytes(topic)), ids)
        joined.set(topic, handle)
        follow(topic, handle).catch(() => {})
      }),
    broadcast: (topic, content) =>
      Effect.promise(async () => {
        const handle = await joined.get(topic)!
        await handle.broadcast(Buffer.from(content))
      }),
    joined: (topic) => Effect.asVoid(Effect.promise(() => joined.get(topic)!)),
    received: (topic) => received.get(topic) ?? []
  }
  return member
})

/** A member on iroh-gossip 0.101, from a peer that runs. */
export const memberOf = (peer: RustPeer): ForeignMember & { readonly peer: RustPeer } => ({
  name: "0.101",
  peer,
  addr: NodeAddr.make(EndpointIds.parse(peer.addr.id), peer.addr.addrs),
  subscribe: (topic, peers) =>
    Effect.orDie(
      Effect.asVoid(
        peer.run("gossip.subscribe", {
          topic,
          peers: peers.map(({ directAddresses, endpointId }) => ({ id: endpointId, addrs: directAddresses }))
        })
      )
    ),
  broadcast: (topic, content) =>
    Effect.orDie(
      Effect.asVoid(peer.run("gossip.broadcast", { topic, content: { hex: Buffer.from(content).toString("hex") } }))
    ),
  joined: (topic) =>
    Effect.asVoid(eventually(neighborsOf(peer, topic), (neighbors) => neighbors.length > 0, "it has a neighbour")),
  received: (topic) =>
    peer.events.flatMap((event) => {
      const data = event["data"] as { readonly type: string; readonly content?: { readonly hex: string } }
      return event.event === "gossip" && event["topic"] === topic && data.type === "received"
        ? [Uint8Array.from(Buffer.from(data.content!.hex, "hex"))]
        : []
    })
})

/** The members that a peer calls its neighbours. */
export const neighborsOf = (peer: RustPeer, topic: TopicId): Effect.Effect<ReadonlyArray<EndpointId>> =>
  Effect.orDie(Effect.map(peer.run("gossip.stats", { topic }), ({ neighbors }) => neighbors as Array<EndpointId>))

/** A member on iroh-gossip 0.101. */
export const member101 = (args: ReadonlyArray<string> = []) => Effect.map(Effect.orDie(rustPeer(args)), memberOf)
