import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createRequire } from "node:module"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Ticket from "@aster-effect/iroh/Ticket"
import vectors from "./vectors/ticket.json" with { type: "json" }

/** The ticket functions of the reference release. */
interface Oracle {
  readonly asterTicketToString: (info: object) => string
  readonly asterTicketFromString: (text: string) => Ticket.TicketInfo
}
const oracle: Oracle = createRequire(import.meta.url)("@aster-rpc/transport")

const fromHex = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const asInfo = (info: object) => info as Ticket.TicketInfo
const refused = (run: () => unknown) => assert.throws(run, Ticket.TicketError)

describe("Ticket", () => {
  for (const vector of vectors.cases) {
    it(`${vector.id}: writes and reads`, () => {
      const info = asInfo(vector.info)
      assert.strictEqual(toHex(Ticket.toBytes(info)), vector.wire_hex)
      assert.strictEqual(Ticket.encode(info), vector.string)
      assert.deepStrictEqual(Ticket.decode(vector.string), asInfo(vector.decoded))
    })
  }

  for (const vector of vectors.decode_only) {
    it(`${vector.id}: reads`, () => {
      assert.deepStrictEqual(Ticket.fromBytes(fromHex(vector.wire_hex)), asInfo(vector.decoded))
    })
  }

  for (const vector of vectors.rejects) {
    it(`${vector.id}: refuses`, () => {
      refused(() => {
        if (vector.op === "encode") return Ticket.encode(asInfo(vector.info ?? {}))
        if (vector.op === "decode") return Ticket.fromBytes(fromHex(vector.wire_hex ?? ""))
        return Ticket.decode(vector.string ?? "")
      })
    })
  }

  it("refuses what only a program without types can pass", () => {
    const endpointId = "00".repeat(32)
    refused(() => Ticket.encode(asInfo({ endpointId })))
    refused(() => Ticket.encode(asInfo({ endpointId, directAddrs: [], relayAddr: null })))
    refused(() => Ticket.encode(asInfo({ endpointId, directAddrs: [7] })))
    refused(() => Ticket.encode(asInfo({ directAddrs: [] })))
    refused(() =>
      Ticket.encode(asInfo({ endpointId, directAddrs: [], credentialType: "enrollment", credentialDataHex: 1.5 }))
    )
  })

  it("refuses a huge text without decoding it", () => {
    refused(() => Ticket.decode("aster1" + "z".repeat(10_000_000)))
  })

  const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
  const bytes = (minimum: number, maximum: number) =>
    Schema.Array(byte).check(Schema.isMinLength(minimum), Schema.isMaxLength(maximum))
  const port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }))
  /** IPv6 groups with many zeros, so that runs of them are met. */
  const group = Schema.Literals([0, 0, 0, 1, 0xabc, 0xffff])
  const addr = Schema.Struct({
    four: bytes(4, 4),
    six: Schema.Array(group).check(Schema.isMinLength(8), Schema.isMaxLength(8)),
    port,
    isFour: Schema.Boolean
  })
  const text = (a: typeof addr.Type) =>
    a.isFour ? `${a.four.join(".")}:${a.port}` : `[${a.six.map((g) => g.toString(16)).join(":")}]:${a.port}`
  const info = Schema.Struct({
    id: bytes(32, 32),
    relay: Schema.Array(addr).check(Schema.isMaxLength(1)),
    direct: Schema.Array(addr).check(Schema.isMaxLength(16)),
    credential: Schema.Literals(["none", "open", "consumer_rcan", "enrollment", "registry_read"]),
    payload: bytes(0, 230)
  })

  it.effect.prop(
    "agrees with the reference release",
    { sample: info },
    ({ sample }) =>
      Effect.sync(() => {
        const { credential } = sample
        const payload = credential === "registry_read" ? [...sample.id] : sample.payload
        const ticket: Ticket.TicketInfo = {
          endpointId: toHex(Uint8Array.from(sample.id)),
          directAddrs: sample.direct.map(text),
          ...(sample.relay[0] === undefined ? undefined : { relayAddr: text(sample.relay[0]) }),
          ...(credential === "none" ? undefined : { credentialType: credential }),
          ...(credential === "none" || credential === "open"
            ? undefined
            : { credentialDataHex: toHex(Uint8Array.from(payload)) })
        }
        let expected: string | undefined
        try {
          expected = oracle.asterTicketToString(ticket)
        } catch {
          expected = undefined
        }
        if (expected === undefined) return refused(() => Ticket.encode(ticket))
        assert.strictEqual(Ticket.encode(ticket), expected)
        assert.deepStrictEqual(Ticket.decode(expected), { ...oracle.asterTicketFromString(expected) })
      }),
    { arbitrary: { runs: 2000, seed: 11, size: 40 } }
  )

  const damage = Schema.Struct({
    vector: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: vectors.cases.length - 1 })),
    at: byte,
    value: byte,
    length: byte
  })

  it.effect.prop(
    "reads damaged tickets as the reference release does, or fails as it does",
    { damage },
    ({ damage: { at, length, value, vector } }) =>
      Effect.sync(() => {
        const wire = fromHex(vectors.cases[vector]?.wire_hex ?? "")
        wire[32 + (at % (wire.length - 32))] = value
        // Half of them stay whole, the others are cut short or go on.
        const cut = Uint8Array.from({ length: length < 128 ? wire.length : length }, (_, i) => wire[i] ?? value)
        const text = `aster1${base58(cut)}`
        let expected: Ticket.TicketInfo | undefined
        try {
          expected = { ...oracle.asterTicketFromString(text) }
        } catch {
          expected = undefined
        }
        if (expected === undefined) refused(() => Ticket.decode(text))
        else assert.deepStrictEqual(Ticket.decode(text), expected)
      }),
    { arbitrary: { runs: 3000, seed: 12 } }
  )

  const spellings = [
    [
      "1.2.3.4:5",
      "1.2.3.4:0005",
      "1.2.3.4:65535",
      "1.2.3.4:65536",
      "1.2.3.4:",
      "1.2.3.4",
      ":5",
      "",
      "1.2.3:5",
      "1.2.3.4.5:6"
    ],
    ["01.2.3.4:5", "1.2.3.256:5", "1.2.3.1000:5", "1..3.4:5", " 1.2.3.4:5", "1.2.3.4:5 ", "1.2.3.4:+5", "1.2.3.4:5\n"],
    [
      "[::]:1",
      "[::1]:1",
      "[1::]:1",
      "[1:2:3:4:5:6:7:8]:1",
      "[1:2:3:4:5:6:7::]:1",
      "[::2:3:4:5:6:7:8]:1",
      "[1:2:3:4:5:6:7:8::]:1"
    ],
    [
      "[1::2::3]:1",
      "[:::]:1",
      "[:1]:1",
      "[1:]:1",
      "[12345::]:1",
      "[g::]:1",
      "[1:2:3:4:5:6:7]:1",
      "[1:2:3:4::5:6:7:8]:1"
    ],
    [
      "[::1.2.3.4]:1",
      "[::ffff:1.2.3.4]:1",
      "[1:2:3:4:5:6:1.2.3.4]:1",
      "[1.2.3.4::]:1",
      "[1:2:3:4:5:6:7:1.2.3.4]:1",
      "[::01.2.3.4]:1"
    ],
    [
      "[64:ff9b::1.2.3.4]:1",
      "[::1.2.3.4:5]:1",
      "[fe80::1%3]:1",
      "[fe80::1%]:1",
      "[fe80::1%eth0]:1",
      "[fe80::1%4294967295]:1"
    ],
    [
      "[fe80::1%4294967296]:1",
      "[::1]",
      "[::1]:65536",
      "::1:1",
      "[1.2.3.4]:5",
      "localhost:1",
      "[FFFF::ABCD]:1",
      "[1:2:3:4:5::1.2.3.4]:1"
    ],
    [
      "[1:2::3:4:5:1.2.3.4]:1",
      "[1:2:3::4:5:6:1.2.3.4]:1",
      "[::0:0]:1",
      "[0:0:1:0:0:0:1:0]:1",
      "[1:0:0:2:0:0:3:4]:1",
      "[1:0:2:3:4:5:6:7]:1"
    ]
  ].flat()

  for (const spelling of spellings) {
    it(`takes ${JSON.stringify(spelling)} as an address if the reference release does`, () => {
      const ticket: Ticket.TicketInfo = { endpointId: "00".repeat(32), directAddrs: [spelling] }
      let expected: string | undefined
      try {
        expected = oracle.asterTicketToString(ticket)
      } catch {
        expected = undefined
      }
      if (expected === undefined) return refused(() => Ticket.encode(ticket))
      assert.strictEqual(Ticket.encode(ticket), expected)
      assert.deepStrictEqual(Ticket.decode(expected), { ...oracle.asterTicketFromString(expected) })
    })
  }
})

/** Written anew, not taken from the package, so that both directions are checked. */
const base58 = (bytes: Uint8Array): string => {
  const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
  let value = BigInt("0x" + (toHex(bytes) || "0"))
  let text = ""
  for (; value > 0n; value /= 58n) text = alphabet[Number(value % 58n)] + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = "1" + text
  }
  return text
}

describe("NodeAddr", () => {
  for (const vector of vectors.node_addr_base64) {
    it(`base64 of ${JSON.stringify(vector.text.slice(60))}`, () => {
      const addr = NodeAddr.make(
        EndpointId.parse(vector.endpoint_id),
        vector.direct_addresses,
        vector.relay_url ?? undefined
      )
      assert.strictEqual(NodeAddr.toBase64(addr), vector.base64)
      assert.deepStrictEqual(NodeAddr.fromBase64(vector.base64), addr)
      assert.deepStrictEqual(NodeAddr.parse(vector.base64), addr)
    })
  }

  const id = EndpointId.parse("AB".repeat(32))

  it("tells the three spellings apart", () => {
    const ticket = Ticket.encode({ endpointId: id, relayAddr: "9.9.9.9:9", directAddrs: ["[::1]:5", "1.2.3.4:6"] })
    assert.deepStrictEqual(NodeAddr.parse(ticket), NodeAddr.make(id, ["[::1]:5", "1.2.3.4:6"]))
    assert.deepStrictEqual(NodeAddr.parse(id.toUpperCase()), NodeAddr.make(id))
    assert.deepStrictEqual(NodeAddr.parse(Buffer.from(id).toString("base64")), NodeAddr.make(id))
  })

  it("refuses what is none of them", () => {
    const base64 = (text: string) => Buffer.from(text).toString("base64")
    const bad = ["", "hello", "ab".repeat(31), "aster1", `${id} `, base64("no id\n\n"), base64(`${id}\n\nlocalhost:80`)]
    for (const text of [...bad, base64(`${id}\n\n${"1.2.3.4:5\n".repeat(200)}`), "A".repeat(100_000), "/w=="]) {
      refused(() => NodeAddr.parse(text))
    }
  })

  it("puts into a ticket what fits", () => {
    const six = Array.from({ length: 20 }, (_, i) => `[2001:db8::${(i + 1).toString(16)}]:9`)
    const four = Array.from({ length: 20 }, (_, i) => `10.0.0.${i}:9`)
    assert.deepStrictEqual(Ticket.decode(NodeAddr.toTicket(NodeAddr.make(id, six))).directAddrs, six.slice(0, 12))
    assert.deepStrictEqual(Ticket.decode(NodeAddr.toTicket(NodeAddr.make(id, four))).directAddrs, four.slice(0, 15))
    assert.strictEqual(NodeAddr.toTicket(NodeAddr.make(id)), Ticket.encode({ endpointId: id, directAddrs: [] }))
  })

  it("unites two addresses in order", () => {
    const a = NodeAddr.make(id, ["1.1.1.1:1", "2.2.2.2:2"])
    const b = NodeAddr.make(id, ["3.3.3.3:3", "1.1.1.1:1"], "https://relay.example/")
    assert.deepStrictEqual(
      NodeAddr.union(a, b),
      NodeAddr.make(id, ["1.1.1.1:1", "2.2.2.2:2", "3.3.3.3:3"], "https://relay.example/")
    )
  })
})
