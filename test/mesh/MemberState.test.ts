import type * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import { xoshiro } from "@aster-effect/iroh-gossip/Random"
import type { EnrollmentCredential } from "@aster-effect/trust/Credential"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as MeshMessage from "@aster-effect/mesh/MeshMessage"
import { assert, describe, it } from "@effect/vitest"
import { type Command, type MemberConfig, MemberState } from "../../packages/mesh/src/proto/MemberState.ts"
import type { Moment } from "../../packages/mesh/src/proto/Moment.ts"
import { otherRoot, root } from "../admission/Deployment.ts"

const EPOCH = 1_700_000_000_000
/** So many milliseconds after the beginning, on both clocks. */
const at = (ms: number, wallAhead = 0): Moment => ({ wall: EPOCH + ms + wallAhead, monotonic: ms })

/** A producer of the deployment, by number. */
const peer = (
  n: number,
  options: { readonly by?: RootKey.RootKey; readonly role?: string; readonly seconds?: number } = {}
) => {
  const key = SecretKey.fromBytes(new Uint8Array(32).fill(n))
  const id = SecretKey.toEndpointId(key)
  const attributes = new Map(options.role === undefined ? [] : [["aster.role", options.role]])
  const expiresAt = BigInt(EPOCH / 1000 + (options.seconds ?? 86_400))
  const credential = RootKey.signProducer(options.by ?? root, { endpointId: id, expiresAt, attributes })
  const sign = SecretKey.signer(key)
  const said = (body: MeshMessage.Body, ms: number, by = sign, as = id) =>
    MeshMessage.encode(MeshMessage.make(body, as, EPOCH + ms, by))
  return { id, credential, sign, said, hello: (ms: number) => said({ _tag: "Credential", credential, asks: true }, ms) }
}

const neighbor = peer(99).id
const lease: MeshMessage.Body = {
  _tag: "LeaseUpdate",
  service: "Hello",
  version: 1,
  contractId: "cd".repeat(32),
  health: "ready",
  addressing: {}
}
const goodbye: MeshMessage.Body = { _tag: "Depart", reason: "maintenance" }

const me = peer(1)

const member = (
  config: Partial<MemberConfig> = {},
  options: { readonly credential?: EnrollmentCredential | undefined; readonly refused?: ReadonlySet<string> } = {}
) => {
  const state = new MemberState(at(0), {
    me: me.id,
    root: root.publicKey,
    sign: me.sign,
    credential: "credential" in options ? options.credential : me.credential,
    isRefused: (id) => options.refused?.has(id) ?? false,
    random: xoshiro([1, 2, 3, 4]),
    config
  })
  state.joined(at(0))
  state.neighbors(at(0), 1)
  state.advance(at(0))
  return {
    state,
    hears: (content: Uint8Array, now: Moment) => state.received(now, neighbor, content),
    of: (id: EndpointId.EndpointId) => state.members.find(({ endpointId }) => endpointId === id)
  }
}

/** What a member says. */
const saying = (commands: ReadonlyArray<Command>) =>
  commands.flatMap((command) => {
    if (command._tag !== "Send") return []
    const body = MeshMessage.bodyOf(command.message)
    return typeof body === "object" ? [body] : []
  })
const tags = (commands: ReadonlyArray<Command>) => saying(commands).map(({ _tag }) => _tag)
const dropped = (commands: ReadonlyArray<Command>) =>
  commands.flatMap((command) => (command._tag === "Dropped" ? [command.reason] : []))

describe("who belongs here", () => {
  it("a producer that shows its own credential, whoever hands it on", () => {
    const { hears, of } = member()
    const [b, c] = [peer(2), peer(3)]
    const commands = hears(b.hello(10), at(20))
    assert.deepInclude(commands, { _tag: "Prove", credential: b.credential, isNew: true })
    assert.strictEqual(of(b.id)?.proof, "credential")
    // One that belongs here hands on another's.
    hears(b.said({ _tag: "Credential", credential: c.credential, asks: false }, 30), at(40))
    assert.strictEqual(of(c.id)?.proof, "credential")
  })

  it("a stranger's word counts for nothing, not even about one that would belong here", () => {
    const { hears, of } = member()
    const [b, c] = [peer(2), peer(3)]
    for (const body of [lease, goodbye, { _tag: "Credential", credential: c.credential, asks: false }] as const)
      assert.deepStrictEqual(dropped(hears(b.said(body, 0), at(0))), ["stranger"])
    assert.isUndefined(of(b.id))
    assert.isUndefined(of(c.id))
  })

  it.each([
    ["signed by another root key", peer(2, { by: otherRoot })],
    ["expired", peer(2, { seconds: -1 })],
    ["of a gateway", peer(2, { role: "gateway" })],
    ["of a consumer", peer(2, { role: "consumer" })]
  ])("a credential %s admits nobody", (_what, b) => {
    const { hears, of } = member()
    assert.deepStrictEqual(dropped(hears(b.hello(0), at(0))), ["refused"])
    assert.isUndefined(of(b.id))
  })

  it("a credential that is changed, or shown by another, admits nobody", () => {
    const { hears, of } = member()
    const [b, c] = [peer(2), peer(3)]
    const changed = { ...b.credential, attributes: new Map([["aster.role", "admin"]]) }
    assert.deepStrictEqual(dropped(hears(b.said({ _tag: "Credential", credential: changed, asks: false }, 0), at(0))), [
      "refused"
    ])
    assert.deepStrictEqual(
      dropped(hears(c.said({ _tag: "Credential", credential: b.credential, asks: false }, 0), at(0))),
      ["stranger"]
    )
    assert.isUndefined(of(b.id))
  })

  it("a credential that is tied to an instance has to be shown with its proof, and not here", () => {
    const { hears, of, state } = member()
    const b = peer(2)
    const attributes = new Map([["aster.iid_provider", "aws"]])
    const credential = RootKey.signProducer(root, { endpointId: b.id, expiresAt: b.credential.expiresAt, attributes })
    assert.deepStrictEqual(dropped(hears(b.said({ _tag: "Credential", credential, asks: false }, 0), at(0))), [
      "refused"
    ])
    state.admitted(at(0), credential)
    assert.strictEqual(of(b.id)?.proof, "credential")
  })

  it("whom this node has put out is not let in again", () => {
    const b = peer(2)
    const { hears, of } = member({}, { refused: new Set([b.id]) })
    assert.deepStrictEqual(dropped(hears(b.hello(0), at(0))), ["refused"])
    assert.isUndefined(of(b.id))
  })

  it("nobody by a listed id and another's key", () => {
    const { hears, state } = member()
    const [b, c] = [peer(2), peer(3)]
    state.listed(at(0), [b.id])
    assert.deepStrictEqual(dropped(hears(b.said(goodbye, 0, c.sign), at(0))), ["forged"])
    assert.isTrue(state.has(b.id))
  })

  it("for as long as its credential says, and then not even its goodbye counts", () => {
    const { hears, of, state } = member()
    const b = peer(2, { seconds: 60 })
    hears(b.hello(0), at(0))
    assert.deepStrictEqual(dropped(hears(b.said(lease, 59_000), at(59_000))), [])
    assert.deepStrictEqual(dropped(hears(b.said(lease, 60_001), at(60_001))), ["stranger"])
    for (let ms = 60_000; ms <= 121_000; ms += 30_500) state.advance(at(ms))
    assert.isUndefined(of(b.id))
  })

  it("a clock that is ahead for a moment puts nobody out", () => {
    const { hears, of, state } = member()
    const b = peer(2)
    hears(b.hello(0), at(0))
    state.listed(at(0), [peer(3).id])
    state.advance(at(31_000, 10 * 86_400_000))
    state.advance(at(62_000))
    assert.isDefined(of(b.id))
    assert.isDefined(of(peer(3).id))
  })

  it("one that is only listed, for a day after it was heard last", () => {
    const { hears, state } = member()
    const [b, c] = [peer(2), peer(3)]
    state.listed(at(0), [b.id, c.id])
    hears(b.said(lease, 3_600_000), at(3_600_000))
    state.advance(at(86_400_000))
    assert.deepStrictEqual([state.has(b.id), state.has(c.id)], [true, false])
  })

  it("no more than a reply can name", () => {
    const { hears, state } = member()
    const ids = Array.from({ length: 1000 }, (_, i) => i.toString(16).padStart(64, "0") as EndpointId.EndpointId)
    state.listed(at(0), ids)
    assert.lengthOf(state.members, 900)
    assert.deepStrictEqual(dropped(hears(peer(2).hello(0), at(0))), ["refused"])
  })
})

describe("what counts", () => {
  const known = (config: Partial<MemberConfig> = {}) => {
    const made = member(config)
    const b = peer(2)
    made.hears(b.hello(0), at(0))
    return { ...made, b }
  }

  it("what was said within 30 seconds, before and after", () => {
    const { b, hears } = known()
    for (const [ms, expected] of [
      [-30_001, ["late"]],
      [-30_000, []],
      [30_000, []],
      [30_001, ["late"]],
      [10 ** 12, ["late"]]
    ] as const)
      assert.deepStrictEqual(dropped(hears(b.said(lease, ms), at(0))), [...expected], `${ms}`)
  })

  it("what comes the first time", () => {
    const { b, hears } = known()
    const content = b.said(lease, 10)
    assert.deepStrictEqual(dropped(hears(content, at(10))), [])
    for (const ms of [11, 20_000, 30_010]) assert.deepStrictEqual(dropped(hears(content, at(ms))), ["replayed"])
    assert.deepStrictEqual(dropped(hears(content, at(30_011))), ["late"])
    // What was early can come again for longer.
    const early = b.said(lease, 60_000)
    assert.deepStrictEqual(dropped(hears(early, at(31_000))), [])
    assert.deepStrictEqual(dropped(hears(early, at(90_000))), ["replayed"])
  })

  it("20: a goodbye that is replayed puts nobody out", () => {
    const { b, hears, of } = known()
    const content = b.said(goodbye, 10)
    assert.deepInclude(hears(content, at(10)), { _tag: "Departed", peer: b.id, reason: "maintenance" })
    assert.isUndefined(of(b.id))
    hears(b.hello(5000), at(5000))
    assert.deepStrictEqual(dropped(hears(content, at(6000))), ["replayed"])
    // Nor long after, when the clock has been set back.
    hears(b.said(lease, 3_600_000), at(3_600_000))
    assert.deepStrictEqual(dropped(hears(content, { wall: EPOCH + 20, monotonic: 3_700_000 })), ["replayed"])
    assert.isDefined(of(b.id))
  })

  it("what others make of our own words is left aside", () => {
    const { hears, state } = known()
    assert.deepStrictEqual(hears(me.said(goodbye, 0), at(0)), [])
    assert.isTrue(state.has(me.id))
  })

  it("what nobody knows, and what cannot be read, changes nothing", () => {
    const { b, hears } = known()
    const unsigned = { type: 77, payload: new Uint8Array(1), sender: b.id, epochMs: EPOCH }
    const unknown = { ...unsigned, signature: b.sign(MeshMessage.signingBytes(unsigned)) }
    assert.deepStrictEqual(dropped(hears(MeshMessage.encode(unknown), at(0))), ["unknown"])
    assert.deepStrictEqual(dropped(hears(new Uint8Array(10), at(0))), ["malformed"])
    assert.deepStrictEqual(dropped(hears(new Uint8Array(5000), at(0))), ["malformed"])
  })

  it("a flood of one neighbour is cut down, and does not keep out what others hand on", () => {
    const { b, hears, state } = known({ maxRate: 50 })
    const reasons = Array.from({ length: 200 }, () => dropped(hears(new Uint8Array(1), at(1000)))[0])
    assert.lengthOf(
      reasons.filter((reason) => reason === "excess"),
      150
    )
    assert.deepStrictEqual(dropped(state.received(at(1000), peer(98).id, b.said(lease, 1000))), [])
    assert.deepStrictEqual(dropped(hears(b.said(lease, 2001), at(2001))), [])
  })

  it("one member's messages do not take more room than 256 of them, nor its services than 64", () => {
    const { b, hears, of, state } = known({ maxRate: 1e6 })
    const before = state.held
    const reasons = Array.from({ length: 400 }, (_, i) =>
      dropped(hears(b.said({ ...lease, service: `S${i}` } as MeshMessage.Body, i), at(i)))
    )
    assert.lengthOf(
      reasons.filter(([reason]) => reason === "excess"),
      145
    )
    assert.lengthOf(of(b.id)!.leases, 64)
    assert.isAtMost(state.held - before, 256 + 64 + 1)
    // A minute later there is room again.
    assert.deepStrictEqual(dropped(hears(b.said(lease, 61_000), at(61_000))), [])
  })

  it("a lease holds for an hour and a half, and an address for the one who signed it", () => {
    const { b, hears, of, state } = known()
    const own = { endpointId: b.id, directAddresses: ["192.0.2.1:1"] }
    hears(b.said({ ...lease, addressing: { address: b.id } } as MeshMessage.Body, 0), at(0))
    assert.strictEqual(of(b.id)?.leases[0]?.address?.endpointId, own.endpointId)
    hears(b.said({ ...lease, addressing: { address: me.id } } as MeshMessage.Body, 1), at(1))
    assert.isUndefined(of(b.id)?.leases[0]?.address)
    state.advance(at(5_399_000))
    assert.lengthOf(of(b.id)!.leases, 1)
    state.advance(at(5_431_000))
    assert.lengthOf(of(b.id)!.leases, 0)
  })
})

describe("what is said", () => {
  it("on coming among others: who it is, what it published, what it serves", () => {
    const { state } = member()
    state.serve(at(0), {
      services: [{ service: "Hello", version: 1, contractId: "cd".repeat(32) }],
      contracts: [{ service: "Hello", version: 1, collectionHash: "ab".repeat(32) }]
    })
    state.neighbors(at(100), 0)
    state.neighbors(at(200), 3)
    assert.deepStrictEqual(tags(state.advance(at(200))), ["Credential", "ContractPublished", "LeaseUpdate"])
  })

  it("to newcomers the same, once for many that come together, and not at once", () => {
    const { hears, state } = member()
    for (let n = 2; n < 6; n++) assert.deepStrictEqual(tags(hears(peer(n).hello(11_000), at(11_000))), [])
    assert.isAtLeast(state.deadline, 11_000)
    assert.isBelow(state.deadline, 12_000)
    assert.deepStrictEqual(tags(state.advance(at(state.deadline))), ["Credential"])
    hears(peer(6).hello(12_000), at(12_000))
    assert.isAtLeast(state.deadline, 20_000)
    // One that was here before, and has forgotten.
    state.advance(at(state.deadline))
    hears(peer(6).hello(60_000), at(60_000))
    assert.deepStrictEqual(tags(state.advance(at(61_000))), ["Credential"])
  })

  it("nothing to those who do not ask", () => {
    const { hears, state } = member()
    const b = peer(2)
    hears(b.said({ _tag: "Credential", credential: b.credential, asks: false }, 11_000), at(11_000))
    assert.deepStrictEqual(tags(state.advance(at(29_000))), [])
  })

  it("the heartbeat sleeps first, and says the health of that moment", () => {
    const { state } = member()
    state.serve(at(0), { services: [{ service: "Hello", version: 1, contractId: "cd".repeat(32) }] })
    state.serve(at(1), { health: "degraded" })
    for (let ms = 0; ms < 900_000; ms += 30_000) assert.deepStrictEqual(tags(state.advance(at(ms))), [])
    const beat = saying(state.advance(at(900_000)))
    assert.deepStrictEqual(
      beat.map((body) => (body._tag === "LeaseUpdate" ? body.health : body._tag)),
      ["Credential", "degraded"]
    )
    assert.strictEqual(state.lastHeartbeat, EPOCH + 900_000)
    assert.deepStrictEqual(tags(state.advance(at(1_800_000))), ["Credential", "LeaseUpdate"])
  })

  it("of one that was admitted here, its credential", () => {
    const { state } = member()
    const b = peer(2)
    assert.deepStrictEqual(saying(state.admitted(at(0), b.credential)), [
      { _tag: "Credential", credential: b.credential, asks: false }
    ])
  })

  it("nothing after the goodbye", () => {
    const { state } = member()
    assert.deepStrictEqual(tags(state.depart(at(0), "")), ["Depart"])
    assert.deepStrictEqual(tags(state.depart(at(0), "")), [])
    assert.deepStrictEqual(tags(state.advance(at(900_000))), [])
  })
})

describe("clocks", () => {
  /** Three others whose clocks are right, past the grace. */
  const four = () => {
    const made = member()
    const others = [peer(2), peer(3), peer(4)]
    for (const other of others) made.hears(other.hello(0), at(0))
    const beat = (ms: number, offsets: ReadonlyArray<number>) =>
      others.flatMap((other, i) => made.hears(other.said(lease, ms - offsets[i]!), at(ms)))
    return { ...made, others, beat }
  }
  const isolations = (commands: ReadonlyArray<Command>) =>
    commands.flatMap((command) => (command._tag === "Isolation" ? [[command.peer, command.isolated] as const] : []))

  it("one whose clock is wrong is left aside until it is right again", () => {
    const { beat, of, others } = four()
    const [b] = others
    assert.deepStrictEqual(isolations(beat(59_000, [9000, 0, 0])), [], "in grace nothing is decided")
    assert.deepStrictEqual(isolations(beat(61_000, [5000, 0, 0])), [], "that much is tolerated")
    const before = of(b!.id)!.leases
    const commands = beat(62_000, [5001, 0, 0])
    assert.deepStrictEqual(isolations(commands), [[b!.id, true]])
    assert.deepStrictEqual(dropped(commands), ["isolated"])
    assert.isTrue(of(b!.id)!.isolated)
    assert.deepStrictEqual(of(b!.id)!.leases, before)
    assert.deepStrictEqual(isolations(beat(63_000, [-2000, 0, 0])), [[b!.id, false]])
  })

  it("with fewer than three nothing is decided", () => {
    const { hears } = member()
    for (const n of [2, 3]) hears(peer(n).hello(0), at(0))
    for (const [n, offset] of [
      [2, 0],
      [3, 20_000]
    ] as const)
      assert.deepStrictEqual(isolations(hears(peer(n).said(lease, 70_000 - offset), at(70_000))), [])
  })

  it("the median is the upper one of the middle two", () => {
    const { beat, hears } = four()
    const e = peer(5)
    const first = hears(e.said({ _tag: "Credential", credential: e.credential, asks: false }, 60_000), at(70_000))
    // -6, 0, 4 and 10 seconds: 4 is the median, so -6 is out, and 10 is too.
    const commands = [...first, ...beat(70_001, [-6000, 0, 4000]), ...hears(e.said(lease, 60_002), at(70_002))]
    const out = isolations(commands).filter(([, isolated]) => isolated)
    assert.sameMembers(
      out.map(([id]) => id),
      [peer(2).id, e.id]
    )
  })

  it("whose own clock is wrong says goodbye once and nothing more, until it is right again", () => {
    const { beat, hears, others, state } = four()
    state.serve(at(1), { services: [{ service: "Hello", version: 1, contractId: "cd".repeat(32) }] })
    const commands = beat(70_000, [9000, 9000, 9000])
    assert.deepStrictEqual(tags(commands), ["Depart"])
    assert.lengthOf(
      commands.filter(({ _tag }) => _tag === "SelfOut"),
      1
    )
    assert.isTrue(state.isOut)
    assert.deepStrictEqual(tags(state.advance(at(900_000))), [])
    assert.deepStrictEqual(tags(state.serve(at(900_001), { health: "degraded" })), [])
    // They have let it go and go on; it hears them still.
    const back = beat(1_000_000, [0, 0, 0])
    assert.isFalse(state.isOut)
    assert.deepInclude(back, { _tag: "SelfOut", out: false, median: 0 })
    assert.deepStrictEqual(tags(state.advance(at(1_000_000))), ["Credential", "LeaseUpdate"])
    assert.isTrue(others.every(({ id }) => state.has(id)))
    assert.deepStrictEqual(dropped(hears(peer(2).said(goodbye, 1_000_001), at(1_000_001))), [])
  })
})

describe("a new salt", () => {
  const rotated = (removed: ReadonlyArray<EndpointId.EndpointId> = []): MeshMessage.Body => ({
    _tag: "Rotated",
    removed
  })

  it("is followed when a producer with a credential says so, and who is named is out", () => {
    const { hears, state } = member()
    const [b, c] = [peer(2), peer(3)]
    for (const other of [b, c]) hears(other.hello(0), at(0))
    const commands = hears(b.said(rotated([c.id, b.id, me.id]), 10), at(20))
    assert.deepInclude(commands, { _tag: "Follow", by: b.id, at: EPOCH + 10, removed: [c.id] })
    assert.isFalse(state.has(c.id))
    assert.isTrue(state.has(b.id))
  })

  it("is not, when one says so that is only listed, whose clock is wrong, or who says it late", () => {
    const { hears, state } = member()
    const [b, c] = [peer(2), peer(3)]
    state.listed(at(0), [b.id])
    assert.deepStrictEqual(dropped(hears(b.said(rotated(), 1), at(1))), ["refused"])
    hears(c.hello(2), at(2))
    hears(c.said(rotated(), 20), at(20))
    assert.deepStrictEqual(dropped(hears(c.said(rotated(), 19), at(21))), ["refused"], "an older one")
  })

  it("is told to all, with the names of those who are out", () => {
    const { hears, state } = member()
    const b = peer(2)
    hears(b.hello(0), at(0))
    assert.deepStrictEqual(saying(state.rotated(at(10), [b.id])), [rotated([b.id])])
    assert.isFalse(state.has(b.id))
  })
})
