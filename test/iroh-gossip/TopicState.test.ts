import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { assert, describe, it } from "@effect/vitest"
import { defaultConfig } from "../../packages/iroh-gossip/src/proto/HyParView.ts"
import * as Message from "@aster-effect/iroh-gossip/Message"
import * as MessageId from "../../packages/iroh-gossip/src/proto/MessageId.ts"
import { xoshiro } from "@aster-effect/iroh-gossip/Random"
import { type Command, type TopicConfig, TopicState } from "@aster-effect/iroh-gossip/TopicState"

const peer = (n: number) => EndpointId.parse(n.toString(16).padStart(64, "0"))
const me = peer(0)
const text = (string: string) => new TextEncoder().encode(string)

/** A member without neighbours; every text of 64 digits is a key to it, and it does not mind silence. */
const member = (config: TopicConfig = {}) =>
  new TopicState(me, xoshiro([1, 2, 3, 4]), {
    ...config,
    membership: { isKey: () => true, silence: 1e12, ...config.membership }
  })

/** Makes peers from 1 to `count` neighbours, and forgets what was said. */
const withNeighbors = (count: number, config?: TopicConfig) => {
  const state = member(config)
  for (let i = 1; i <= count; i++) {
    state.received(0, peer(i), { _tag: "Neighbor", priority: "High", data: undefined })
    // Clears our own request, as a peer of the reference that joins does.
    state.received(0, peer(i), { _tag: "Neighbor", priority: "High", data: undefined })
  }
  return state
}

const sent = (commands: ReadonlyArray<Command>, to?: EndpointId.EndpointId): Array<Message.Message> =>
  commands.flatMap((command) => (command._tag === "Send" && (to ?? command.to) === command.to ? [command.message] : []))
const receivers = (commands: ReadonlyArray<Command>, kind: Message.Message["_tag"]) =>
  commands.flatMap((command) => (command._tag === "Send" && command.message._tag === kind ? [command.to] : []))
const tags = (commands: ReadonlyArray<Command>): Array<string> =>
  commands.map((command) => (command._tag === "Send" ? command.message._tag : command._tag))
const delivered = (commands: ReadonlyArray<Command>): Array<string> =>
  commands.flatMap((command) => (command._tag === "Deliver" ? [new TextDecoder().decode(command.content)] : []))
const gossip = (string: string, round = 0): Message.Gossip => {
  const content = text(string)
  return { _tag: "Gossip", id: MessageId.of(content), content, scope: { _tag: "Swarm", round } }
}
const idOf = (string: string) => MessageId.of(text(string))
const ihave = (round: number, ...contents: ReadonlyArray<string>): Message.IHave => ({
  _tag: "IHave",
  announcements: contents.map((content) => ({ id: idOf(content), round }))
})
const join: Message.Join = { _tag: "Join", data: undefined }

/** Everything that is done until `until`, with the time of each. */
const passTime = (state: TopicState, until: number): Array<Command & { readonly at: number }> => {
  const done: Array<Command & { readonly at: number }> = []
  for (let at = state.deadline; at !== undefined && at <= until; at = state.deadline)
    done.push(...state.advance(at).map((command) => ({ ...command, at: at! })))
  return done
}

describe("membership", () => {
  it("a newcomer is let in, answered, and named to the others", () => {
    const state = withNeighbors(2)
    const commands = state.received(5, peer(9), { _tag: "Join", data: text("here") })
    assert.deepStrictEqual(sent(commands, peer(9)), [{ _tag: "Neighbor", priority: "High", data: undefined }])
    for (const other of [peer(1), peer(2)])
      assert.deepStrictEqual(sent(commands, other), [
        { _tag: "ForwardJoin", peer: { id: peer(9), data: text("here") }, ttl: 6 }
      ])
    assert.includeMembers(tags(commands), ["NeighborUp", "Learn"])
    // The answer to our answer needs none.
    assert.deepStrictEqual(
      tags(state.received(6, peer(9), { _tag: "Neighbor", priority: "High", data: undefined })),
      []
    )
  })

  it("a newcomer that comes again is answered again, though it had not answered", () => {
    const state = member()
    for (let i = 0; i < 3; i++) assert.include(tags(state.received(i, peer(1), join)), "Neighbor")
  })

  it("a sixth member takes the place of one, which is told, given names, and kept in mind", () => {
    const state = withNeighbors(5)
    const commands = state.received(5, peer(6), { _tag: "Neighbor", priority: "High", data: undefined })
    const [evicted] = receivers(commands, "Disconnect")
    assert.deepStrictEqual(
      sent(commands, evicted).map((message) => message._tag),
      ["ShuffleReply", "Disconnect"]
    )
    assert.deepStrictEqual(sent(commands, evicted)[1], { _tag: "Disconnect", alive: true })
    assert.strictEqual(state.membership.active.size, 5)
    assert.include([...state.membership.passive], evicted)
    const down = commands.find((command) => command._tag === "NeighborDown")
    assert.isTrue(down?._tag === "NeighborDown" && down.peer === evicted && down.reason === "evicted")
  })

  it("an answer that was on its way when its sender was evicted evicts nobody", () => {
    const state = member()
    for (let i = 1; i <= 6; i++) state.received(0, peer(i), join)
    const evicted = [1, 2, 3, 4, 5].map(peer).find((id) => !state.membership.active.has(id))!
    const commands = state.received(1, evicted, { _tag: "Neighbor", priority: "High", data: undefined })
    assert.deepStrictEqual(commands, [])
    assert.strictEqual(state.membership.active.size, 5)
    // What it asks later counts.
    assert.include(
      tags(state.received(5000, evicted, { _tag: "Neighbor", priority: "High", data: undefined })),
      "NeighborUp"
    )
  })

  it("who asks with low priority is refused where all places are taken", () => {
    const state = withNeighbors(5)
    const commands = state.received(5, peer(6), { _tag: "Neighbor", priority: "Low", data: undefined })
    assert.deepStrictEqual(tags(commands), ["ShuffleReply", "Disconnect"])
    assert.include(
      tags(withNeighbors(4).received(5, peer(6), { _tag: "Neighbor", priority: "Low", data: undefined })),
      "NeighborUp"
    )
  })

  it("a random walk ends where there is at most one neighbour, or no hop left, with a request to the newcomer", () => {
    const forward = (ttl: number): Message.ForwardJoin => ({
      _tag: "ForwardJoin",
      peer: { id: peer(9), data: undefined },
      ttl
    })
    assert.deepStrictEqual(receivers(withNeighbors(1).received(5, peer(1), forward(6)), "Neighbor"), [peer(9)])
    assert.deepStrictEqual(receivers(withNeighbors(4).received(5, peer(1), forward(0)), "Neighbor"), [peer(9)])
    const state = withNeighbors(4)
    const commands = state.received(5, peer(1), forward(5))
    const [next] = receivers(commands, "ForwardJoin")
    assert.notInclude([peer(1), peer(9)], next)
    assert.deepStrictEqual(sent(commands), [forward(4)])
    assert.lengthOf([...state.membership.passive], 0)
    state.received(6, peer(1), forward(3))
    assert.deepStrictEqual([...state.membership.passive], [peer(9)])
    // A walk is no longer than it should be, whatever a peer writes.
    assert.deepStrictEqual(sent(withNeighbors(4).received(5, peer(1), forward(65_535))), [forward(5)])
  })

  it("names are exchanged for as many", () => {
    const state = withNeighbors(1)
    const nodes = [7, 8, 9].map((n) => ({ id: peer(n), data: undefined }))
    const commands = state.received(5, peer(1), { _tag: "Shuffle", origin: peer(7), nodes, ttl: 6 })
    const [reply] = sent(commands, peer(7))
    assert.isTrue(
      reply?._tag === "ShuffleReply" && reply.nodes.length <= 3 && reply.nodes.every(({ id }) => id !== peer(7))
    )
    assert.sameMembers([...state.membership.passive], [7, 8, 9].map(peer))
    const walking = withNeighbors(3).received(5, peer(1), { _tag: "Shuffle", origin: peer(7), nodes, ttl: 6 })
    const [next] = receivers(walking, "Shuffle")
    assert.notInclude([peer(1), peer(7)], next)
  })

  it("shuffles every minute, and sooner while it has few neighbours", () => {
    const state = withNeighbors(4)
    state.describe(text("me"))
    const shuffles = passTime(state, 125_000).filter(
      (command) => command._tag === "Send" && command.message._tag === "Shuffle"
    )
    assert.deepStrictEqual(
      shuffles.map(({ at }) => at),
      [15_000, 75_000]
    )
    const [shuffle] = sent(shuffles)
    assert.isTrue(shuffle?._tag === "Shuffle" && shuffle.ttl === 6 && shuffle.nodes.length === 4)
    assert.deepStrictEqual(shuffle?._tag === "Shuffle" && shuffle.nodes.at(-1), { id: me, data: text("me") })
  })

  it("leaves with a goodbye to each neighbour", () => {
    const commands = withNeighbors(1).quit()
    assert.deepStrictEqual(sent(commands, peer(1)), [
      { _tag: "ShuffleReply", nodes: [] },
      { _tag: "Disconnect", alive: false }
    ])
  })

  it("why a neighbour is one no longer is said, and one that is known is asked to take its place", () => {
    const disconnect = (alive: boolean): Message.Disconnect => ({ _tag: "Disconnect", alive })
    for (const [reason, lose] of [
      ["left", (state: TopicState) => state.received(5, peer(1), disconnect(false))],
      ["evicted", (state: TopicState) => state.received(5, peer(1), disconnect(true))],
      ["lost", (state: TopicState) => state.connectionLost(5, peer(1))]
    ] as const) {
      const state = withNeighbors(3)
      state.received(4, peer(2), { _tag: "ShuffleReply", nodes: [{ id: peer(8), data: undefined }] })
      passTime(state, 4)
      state.received(4, peer(8), disconnect(true)) // no place there; it is kept in mind
      const down = lose(state).find((command) => command._tag === "NeighborDown")
      assert.isTrue(down?._tag === "NeighborDown" && down.reason === reason, reason)
      assert.deepStrictEqual([...state.membership.passive].includes(peer(1)), reason === "evicted")
    }
  })

  it("peers that do not answer in time are passed over, those that cannot be reached are forgotten", () => {
    const state = withNeighbors(4)
    const nodes = [7, 8, 9].map((n) => ({ id: peer(n), data: undefined }))
    const asked = receivers(state.received(0, peer(1), { _tag: "ShuffleReply", nodes }), "Neighbor")
    assert.lengthOf(asked, 1)
    const further = receivers(passTime(state, 10_000), "Neighbor")
    // Each twice, one after the other.
    assert.lengthOf([...asked, ...further], 6)
    assert.lengthOf([...state.membership.passive], 0)
    const other = withNeighbors(4)
    const [first] = receivers(other.received(0, peer(1), { _tag: "ShuffleReply", nodes }), "Neighbor")
    assert.lengthOf(receivers(other.connectionLost(10, first!), "Neighbor"), 1, "the next at once")
    assert.notInclude([...other.membership.passive], first)
  })

  it("where there is no place, asking goes on ever more slowly", () => {
    const state = withNeighbors(3)
    const nodes = Array.from({ length: 12 }, (_, i) => ({ id: peer(20 + i), data: undefined }))
    let asked = receivers(state.received(0, peer(1), { _tag: "ShuffleReply", nodes }), "Neighbor")
    let count = 0
    for (let now = 0; now < 50_000; now += 100) {
      for (const id of asked) {
        count++
        state.received(now, id, { _tag: "ShuffleReply", nodes: [] })
        state.received(now, id, { _tag: "Disconnect", alive: true })
      }
      asked = receivers(state.advance(now), "Neighbor")
    }
    assert.isAtLeast(count, 5)
    assert.isAtMost(count, 12)
  })

  it("without a neighbour it joins again, ever more slowly, until there is one", () => {
    const state = member()
    assert.deepStrictEqual(receivers(state.join(0, [peer(1), me, peer(2)]), "Join"), [peer(1), peer(2)])
    const attempts = passTime(state, 300_000).filter(({ _tag }) => _tag === "Rejoin")
    assert.isAtLeast(attempts.length, 7)
    assert.isAtMost(attempts.length, 14)
    assert.isBelow(attempts[0]!.at, 2000)
    for (const [i, { at }] of attempts.entries()) assert.isAtMost(at - (attempts[i - 1]?.at ?? 0), 90_001)
    state.received(300_000, peer(1), { _tag: "Neighbor", priority: "High", data: undefined })
    assert.lengthOf(
      passTime(state, 600_000).filter(({ _tag }) => _tag === "Rejoin"),
      0
    )
    state.connectionLost(600_000, peer(1))
    const [first] = passTime(state, 602_000).filter(({ _tag }) => _tag === "Rejoin")
    assert.isTrue(first?._tag === "Rejoin" && first.attempt === 1)
  })

  it("a lost neighbour is asked again from time to time, one that left is not", () => {
    const state = withNeighbors(3)
    state.received(0, peer(2), { _tag: "Disconnect", alive: false })
    state.connectionLost(0, peer(1))
    const asked = passTime(state, 3_600_000).filter(
      (command) => command._tag === "Send" && command.message._tag === "Neighbor"
    )
    assert.deepStrictEqual([...new Set(receivers(asked, "Neighbor"))], [peer(1)])
    assert.lengthOf(asked, defaultConfig.lostAttempts)
    assert.isBelow(asked[0]!.at, 16_000)
  })

  it("a silent neighbour is asked for a sign of life, then over a new connection, and then taken for lost", () => {
    const silent = () => withNeighbors(4, { membership: { silence: 60_000, shuffleInterval: 1e9 } })
    const state = silent()
    const signs = passTime(state, 130_000)
    const of = (kind: string, id: EndpointId.EndpointId) =>
      signs.filter((command) => tags([command])[0] === kind && JSON.stringify(command).includes(id)).map(({ at }) => at)
    assert.deepStrictEqual(of("Shuffle", peer(1)).slice(0, 2), [60_000, 90_000])
    assert.deepStrictEqual(of("Reconnect", peer(1)), [90_000])
    assert.deepStrictEqual(of("NeighborDown", peer(1)), [120_000])
    const [probe] = sent(signs, peer(1))
    assert.isTrue(probe?._tag === "Shuffle" && probe.ttl === 0)
    // Anything that comes will do.
    const heard = silent()
    passTime(heard, 70_000)
    for (let i = 1; i <= 4; i++) heard.received(70_000, peer(i), { _tag: "ShuffleReply", nodes: [] })
    assert.notInclude(tags(passTime(heard, 125_000)), "Reconnect")
  })

  it("says goodbye to those that were asked and have not answered, too", () => {
    const state = member()
    state.join(0, [peer(1)])
    state.received(0, peer(2), { _tag: "ForwardJoin", peer: { id: peer(3), data: undefined }, ttl: 0 })
    assert.sameMembers(receivers(state.quit(), "Disconnect"), [peer(1), peer(3)])
  })

  it("who takes us for its neighbour by mistake is told, once in a while", () => {
    const state = withNeighbors(2)
    assert.deepStrictEqual(delivered(state.received(1, peer(9), gossip("a"))), ["a"])
    const state2 = withNeighbors(2)
    assert.deepStrictEqual(sent(state2.received(1, peer(9), gossip("a")), peer(9)), [
      { _tag: "Disconnect", alive: true }
    ])
    assert.deepStrictEqual(sent(state2.received(2, peer(9), gossip("b")), peer(9)), [])
    assert.deepStrictEqual(sent(state2.received(2500, peer(9), gossip("c")), peer(9)), [
      { _tag: "Disconnect", alive: true }
    ])
  })

  it("names that are no keys are neither kept nor passed on", () => {
    const state = withNeighbors(3, { membership: { isKey: EndpointId.isKey } })
    const bad = EndpointId.parse(`02${"00".repeat(31)}`)
    assert.isFalse(EndpointId.isKey(bad))
    assert.deepStrictEqual(
      state.received(5, peer(1), { _tag: "ForwardJoin", peer: { id: bad, data: undefined }, ttl: 6 }),
      []
    )
    state.received(5, peer(1), { _tag: "ShuffleReply", nodes: [{ id: bad, data: undefined }] })
    assert.notInclude([...state.membership.passive], bad)
  })
})

describe("broadcast", () => {
  it("goes to every neighbour, and comes from one to all others a hop further", () => {
    const state = withNeighbors(3)
    assert.deepStrictEqual(receivers(state.broadcast(0, text("mine"), "Swarm"), "Gossip"), [1, 2, 3].map(peer))
    const commands = state.received(1, peer(2), gossip("theirs", 4))
    assert.deepStrictEqual(receivers(commands, "Gossip"), [1, 3].map(peer))
    assert.deepStrictEqual(sent(commands)[0], gossip("theirs", 5))
    assert.deepStrictEqual(delivered(commands), ["theirs"])
  })

  it("its content is kept apart from the buffer it came in", () => {
    const state = withNeighbors(2)
    const message = gossip("abc")
    state.received(1, peer(1), message)
    message.content.fill(0)
    const [again] = sent(state.received(2, peer(2), { _tag: "Graft", id: idOf("abc"), round: 0 }))
    assert.isTrue(again?._tag === "Gossip" && new TextDecoder().decode(again.content) === "abc")
  })

  it("what is not what its id says is ignored", () => {
    const state = withNeighbors(2)
    assert.deepStrictEqual(state.received(1, peer(1), { ...gossip("a"), content: text("b") }), [])
    assert.deepStrictEqual(delivered(state.received(2, peer(1), gossip("a"))), ["a"])
  })

  it("a second copy is answered by Prune, and its sender only announced to", () => {
    const state = withNeighbors(3)
    state.received(1, peer(1), gossip("a"))
    assert.deepStrictEqual(state.received(2, peer(2), gossip("a")), [
      { _tag: "Send", to: peer(2), message: Message.PRUNE }
    ])
    assert.deepStrictEqual(receivers(state.received(3, peer(1), gossip("b")), "Gossip"), [peer(3)])
    const announced = passTime(state, 8)
    assert.deepStrictEqual(receivers(announced, "IHave"), [peer(2)])
    assert.deepStrictEqual(sent(announced), [ihave(1, "b")])
    assert.strictEqual(announced[0]!.at, 8, "5 ms later")
  })

  it("a neighbour that became a branch meanwhile hears of what was to be announced to it", () => {
    const state = withNeighbors(2)
    state.received(0, peer(2), Message.PRUNE)
    state.broadcast(1, text("a"), "Swarm")
    state.received(2, peer(2), { _tag: "Graft", id: undefined, round: 0 })
    assert.deepStrictEqual(receivers(passTime(state, 6), "IHave"), [peer(2)])
  })

  it("what is announced and does not come is asked for: after 80 ms of the first, 40 ms later of the next", () => {
    const state = withNeighbors(3)
    state.received(0, peer(1), ihave(3, "a"))
    state.received(10, peer(2), ihave(4, "a"))
    const grafts = passTime(state, 200)
    assert.deepStrictEqual(
      grafts.map((command) => [command.at, command._tag === "Send" && command.to, sent([command])[0]]),
      [
        [80, peer(1), { _tag: "Graft", id: idOf("a"), round: 3 }],
        [120, peer(2), { _tag: "Graft", id: idOf("a"), round: 4 }]
      ]
    )
    // Over a connection that lost it, it is asked for once more.
    assert.deepStrictEqual(receivers(passTime(state, 700), "Graft"), [peer(1)])
    state.received(800, peer(2), gossip("a"))
    assert.deepStrictEqual(
      passTime(state, 20_000)
        .filter(({ _tag }) => _tag === "Send")
        .filter((command) => command._tag === "Send" && command.message._tag === "Graft"),
      []
    )
  })

  it("is kept for 30 seconds and known for 90", () => {
    const state = withNeighbors(2, { membership: { shuffleInterval: 1e9 } })
    state.received(0, peer(1), gossip("a"))
    const graft: Message.Graft = { _tag: "Graft", id: idOf("a"), round: 0 }
    passTime(state, 25_000)
    assert.deepStrictEqual(sent(state.received(25_000, peer(2), graft)), [gossip("a", 1)])
    passTime(state, 32_000)
    assert.deepStrictEqual(sent(state.received(32_000, peer(2), graft)), [])
    assert.deepStrictEqual(tags(state.received(33_000, peer(1), gossip("a"))), ["Prune"])
    passTime(state, 93_000)
    assert.deepStrictEqual(delivered(state.received(93_000, peer(1), gossip("a"))), ["a"])
  })

  it("to the neighbours goes to branches only, is not kept, and comes as often as it is sent", () => {
    const state = withNeighbors(3)
    state.received(0, peer(3), Message.PRUNE)
    assert.deepStrictEqual(receivers(state.broadcast(0, text("a"), "Neighbors"), "Gossip"), [1, 2].map(peer))
    const message: Message.Gossip = { ...gossip("b"), scope: Message.NEIGHBORS }
    for (let i = 0; i < 2; i++) {
      const commands = state.received(1, peer(1), message)
      assert.deepStrictEqual(delivered(commands), ["b"])
      assert.deepStrictEqual(sent(commands), [])
    }
    assert.strictEqual(state.tree.held.seen, 0)
  })

  it("an announcer seven hops closer takes the sender's place, six hops do not count", () => {
    for (const [round, optimises] of [
      [5, false],
      [6, true]
    ] as const) {
      const state = withNeighbors(3)
      state.received(0, peer(1), Message.PRUNE)
      state.received(0, peer(1), ihave(0, "a"))
      const commands = state.received(1, peer(2), gossip("a", round))
      assert.deepStrictEqual(
        sent(commands, peer(1)).some(({ _tag }) => _tag === "Graft"),
        optimises
      )
      assert.deepStrictEqual(
        sent(commands, peer(2)).some(({ _tag }) => _tag === "Prune"),
        optimises
      )
    }
  })

  it("the same content again within 90 seconds is no new broadcast", () => {
    const state = withNeighbors(1)
    assert.lengthOf(state.broadcast(0, text("a"), "Swarm"), 1)
    assert.lengthOf(state.broadcast(1, text("a"), "Swarm"), 0)
  })
})

describe("bounds", () => {
  it("peers that are heard of", () => {
    const state = withNeighbors(1)
    const data = new Uint8Array(400)
    for (let i = 0; i < 5000; i++) {
      const info = { id: peer(100 + i), data }
      state.received(i, peer(1), { _tag: "ForwardJoin", peer: info, ttl: 0 })
      state.received(i, peer(1), { _tag: "ShuffleReply", nodes: [info] })
      state.received(i, peer(100 + i), { _tag: "Neighbor", priority: "Low", data })
      state.received(i, peer(100 + i), gossip(`${i}`))
    }
    assert.isAtMost([...state.membership.passive].length, 30)
    assert.isAtMost(state.membership.active.size, 5)
    assert.isAtMost(state.membership.held, 400)
    assert.isAtMost(state.timers, 200)
  })

  it("requests that a peer's names lead to", () => {
    const state = withNeighbors(1)
    let asked = 0
    for (let i = 0; i < 1000; i++)
      asked += receivers(
        state.received(1, peer(1), { _tag: "ForwardJoin", peer: { id: peer(100 + i), data: undefined }, ttl: 0 }),
        "Neighbor"
      ).length
    assert.isAtMost(asked, 16)
  })

  it("names in one message, and the data of each", () => {
    const state = withNeighbors(1)
    const nodes = Array.from({ length: 100 }, (_, i) => ({ id: peer(100 + i), data: new Uint8Array(2000) }))
    const commands = state.received(1, peer(1), { _tag: "Shuffle", origin: peer(1), nodes, ttl: 0 })
    assert.lengthOf([...state.membership.passive], 16)
    for (const message of sent(commands))
      if (message._tag === "ShuffleReply") assert.isTrue(message.nodes.every(({ data }) => data === undefined))
    // All that is sent fits in a frame, whatever came.
    const large = withNeighbors(5)
    for (let i = 0; i < 40; i++)
      large.received(1, peer(1), { _tag: "ShuffleReply", nodes: [{ id: peer(100 + i), data: new Uint8Array(480) }] })
    for (const { message } of passTime(large, 61_000).filter((command) => command._tag === "Send"))
      assert.isAtMost(Message.encode(message).length, 4095)
    for (const message of sent(large.quit())) assert.isAtMost(Message.encode(message).length, 4095)
  })

  it("announcements of more than can be kept open; what never came is counted, and what comes late is not", () => {
    const state = withNeighbors(2)
    const announcements = Array.from({ length: 5000 }, (_, i) => ({ id: idOf(`open ${i}`), round: 0 }))
    for (let i = 0; i < 5000; i += 100)
      state.received(0, peer(1), { _tag: "IHave", announcements: announcements.slice(i, i + 100) })
    assert.strictEqual(state.tree.held.missing, 4096)
    assert.strictEqual(state.tree.overlooked, 904)
    assert.strictEqual(state.tree.losses, 0)
    passTime(state, 60_000)
    assert.strictEqual(state.tree.held.missing, 0)
    assert.strictEqual(state.tree.losses, 4096)
    assert.isAtMost(state.tree.held.lost, 4096)
    state.received(60_000, peer(2), gossip("open 7"))
    assert.strictEqual(state.tree.losses, 4095)
  })

  it("announcements of what is never sent; who makes them is not listened to for a while", () => {
    const state = withNeighbors(3)
    let grafts = 0
    for (let i = 0; i < 100; i++) {
      const announcements = Array.from({ length: 100 }, (_, j) => ({ id: idOf(`${i}/${j}`), round: 0 }))
      state.received(i * 1000, peer(1), { _tag: "IHave", announcements })
      assert.isAtMost(state.tree.held.missing, 1024)
      grafts += receivers(passTime(state, i * 1000 + 999), "Graft").length
    }
    assert.isAtMost(grafts, 12_000)
    assert.lengthOf(state.received(1e6, peer(99), ihave(0, "outsider")), 1, "only told that it is none")
    passTime(state, 1e6)
    assert.strictEqual(state.tree.held.missing, 0)
    // What it does send is taken, and wins trust back.
    assert.deepStrictEqual(delivered(state.received(1e6, peer(1), gossip("honest"))), ["honest"])
  })

  it("contents and ids that are kept", () => {
    const state = withNeighbors(1, { broadcast: { maxSeen: 100, maxCached: 50, maxCachedBytes: 10_000 } })
    for (let i = 0; i < 500; i++) state.received(i, peer(1), gossip(`${i}`.padEnd(i % 2 === 0 ? 10 : 1000)))
    const { cached, cachedBytes, seen } = state.tree.held
    assert.isAtMost(seen, 100)
    assert.isAtMost(cached, 50)
    assert.isAtMost(cachedBytes, 10_000)
  })

  it("how often one content is given to those who ask for it", () => {
    const state = withNeighbors(2)
    state.received(0, peer(1), gossip("a"))
    let given = 0
    for (let i = 0; i < 1000; i++)
      given += sent(state.received(i, peer(2 + (i % 100)), { _tag: "Graft", id: idOf("a"), round: 0 })).filter(
        ({ _tag }) => _tag === "Gossip"
      ).length
    assert.strictEqual(given, 16 * 3)
    assert.deepStrictEqual([...state.tree.eager], [peer(1), peer(2)])
  })
})
