import {
  MAX_CALLS,
  type MuxedCall,
  Multiplexer,
  MultiplexError,
  WINDOW
} from "../../packages/transport/src/proto/Multiplexer.ts"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "../Random.ts"

const DATA = 0
const END = 1
const RESET = 2
const CREDIT = 3
const GOAWAY = 4

const bytes = (size: number, fill: number) => new Uint8Array(size).fill(fill)

/** Both ends, and what crosses between them. */
const pair = () => {
  const accepted: Array<MuxedCall> = []
  const client = new Multiplexer()
  const server = new Multiplexer((call) => accepted.push(call))
  const cross = (from: Multiplexer, to: Multiplexer) => {
    if (from.size > 0) to.receive(from.take())
  }
  return {
    accepted,
    client,
    server,
    toServer: () => cross(client, server),
    toClient: () => cross(server, client),
    settle: () => {
      while (client.size + server.size > 0) {
        cross(client, server)
        cross(server, client)
      }
    }
  }
}

const opened = () => {
  const both = pair()
  const call = both.client.open()!
  both.client.data(call, bytes(3, 1))
  both.toServer()
  return { ...both, call, served: both.accepted[0]! }
}

describe("Multiplexer", () => {
  it("carries a call there and back", () => {
    const { accepted, call, client, served, server, toClient, toServer } = opened()
    assert.lengthOf(accepted, 1)
    assert.deepStrictEqual(server.read(served), bytes(3, 1))
    server.data(served, bytes(5, 2))
    server.finish(served)
    toClient()
    assert.deepStrictEqual(client.read(call), bytes(5, 2))
    assert.isTrue(call.ended)
    client.discard(call)
    toServer()
    assert.deepStrictEqual([client.calls, server.calls, client.size, server.size], [0, 0, 0, 0])
  })

  it("tells the server that the client sends nothing more, and keeps the call", () => {
    const { call, client, served, server, toServer } = opened()
    client.finish(call)
    toServer()
    assert.isTrue(served.ended)
    assert.strictEqual(server.calls, 1)
  })

  it.each(["client", "server"] as const)("a call that the %s gives up is over for both", (who) => {
    const { call, client, served, server, settle } = opened()
    if (who === "client") client.reset(call)
    else server.reset(served)
    settle()
    assert.deepStrictEqual([call.failure, served.failure], ["Reset", "Reset"])
    assert.deepStrictEqual([client.calls, server.calls], [0, 0])
  })

  it("passes over what comes for a call that is over", () => {
    const { call, client, served, server, settle } = opened()
    server.reset(served)
    client.data(call, bytes(10, 1))
    client.finish(call)
    settle()
    const next = client.open()!
    client.data(next, bytes(1, 1))
    settle()
    assert.strictEqual(server.calls, 1)
  })

  it("gives credit for what was taken, and no more may be under way", () => {
    const { call, client, served, server, settle } = opened()
    client.data(call, bytes(call.window, 7))
    assert.strictEqual(call.window, 0)
    settle()
    assert.strictEqual(call.window, 0)
    assert.lengthOf(server.read(served)!, WINDOW)
    settle()
    assert.strictEqual(call.window, WINDOW)
  })

  it("keeps the bytes of the calls apart, whatever the chunks are", () => {
    const random = new Random(1).below
    for (let run = 0; run < 300; run++) {
      const accepted = new Map<number, { call: MuxedCall; got: number }>()
      const server = new Multiplexer((call) => accepted.set(call.id, { call, got: 0 }))
      const client = new Multiplexer()
      const calls: Array<{ call: MuxedCall; sent: number }> = []
      for (let step = 0; step < 20; step++) {
        const at = random(calls.length + 1)
        const sender = calls[at] ?? { call: client.open()!, sent: 0 }
        calls[at] = sender
        const length = Math.min(sender.call.window, 1 + random(5000))
        if (length > 0) {
          // Every byte says whose it is and which it is.
          client.data(
            sender.call,
            Uint8Array.from({ length }, (_, i) => (sender.call.id * 31 + sender.sent + i) & 0xff)
          )
          sender.sent += length
        }
        const stream = client.take()
        const size = 1 + random(700)
        for (let start = 0; start < stream.length; start += size) server.receive(stream.subarray(start, start + size))
        for (const receiver of accepted.values()) {
          const got = server.read(receiver.call)
          const wrong = got?.findIndex((byte) => byte !== ((receiver.call.id * 31 + receiver.got++) & 0xff)) ?? -1
          assert.strictEqual(wrong, -1)
        }
        if (server.size > 0) client.receive(server.take())
      }
      for (const { call, sent } of calls) assert.strictEqual(accepted.get(call.id)?.got, sent)
    }
  })

  it("copies what nobody takes at once, so that small pieces do not keep large chunks", () => {
    const { accepted, client, server } = pair()
    const calls = [client.open()!, client.open()!]
    for (const call of calls) client.data(call, bytes(1, 1))
    const start = client.take()
    const chunk = new Uint8Array(64 * 1024)
    chunk.set(start)
    server.receive(chunk.subarray(0, start.length))
    for (const call of accepted) assert.isAtMost(server.read(call)!.buffer.byteLength, 16)
  })

  it("drops what comes for a call that was given back, and gives it up when it does not end", () => {
    const { call, client, served, server, settle } = opened()
    client.discard(call)
    for (let i = 0; i < 5; i++) {
      if (served.failure === undefined) server.data(served, bytes(16 * 1024, 1))
      settle()
    }
    assert.strictEqual(served.failure, "Reset")
    assert.isUndefined(client.read(call))
  })

  it("opens no more calls than allowed, and again when one is over", () => {
    const { accepted, client, server, settle } = pair()
    const calls = Array.from({ length: MAX_CALLS }, () => client.open()!)
    for (const call of calls) client.data(call, bytes(1, 1))
    settle()
    assert.isUndefined(client.open())
    server.finish(accepted[7]!)
    settle()
    assert.isDefined(client.open())
    assert.isUndefined(client.open())
  })

  it("a server that refuses calls says so, and gives up those that were on their way", () => {
    const { accepted, client, server, settle } = pair()
    server.refuse()
    const call = client.open()!
    client.data(call, bytes(1, 1))
    settle()
    assert.lengthOf(accepted, 0)
    assert.strictEqual(call.failure, "Reset")
    assert.isUndefined(client.open())
  })

  it("fails every call when the stream is lost", () => {
    const { call, client } = opened()
    let told = 0
    call.onReadable = () => told++
    client.lose()
    assert.strictEqual(call.failure, "Lost")
    assert.strictEqual(told, 1)
    assert.isUndefined(client.open())
  })

  describe("refuses", () => {
    const open = [DATA, 1, 1, 0]
    const many = Array.from({ length: MAX_CALLS + 1 }, (_, i) => [
      DATA,
      ...(i < 127 ? [i + 1] : [((i + 1) & 127) | 128, 1]),
      1,
      0
    ])
    it.each<[string, Array<number>]>([
      ["an unknown kind", [5, 1]],
      ["a call out of order", [DATA, 2, 1, 0]],
      ["call 0", [DATA, 0, 1, 0]],
      ["data without data", [DATA, 1, 0]],
      ["the end of a call that never was", [END, 1]],
      ["a reset of a call that never was", [RESET, 1]],
      ["credit for a call that never was", [CREDIT, 1, 1]],
      ["more credit than was used", [...open, CREDIT, 1, 1]],
      ["data behind the end", [...open, END, 1, ...open]],
      ["a number without an end", [DATA, 0x80, 0x80, 0x80, 0x80, 0x80, 0]],
      ["a number of more than 32 bits", [DATA, 0xff, 0xff, 0xff, 0xff, 0x7f]],
      ["more than a window", [DATA, 1, 0x81, 0x80, 0x10]],
      ["a client's GOAWAY", [GOAWAY, 0]],
      ["too many calls", many.flat()]
    ])("%s", (_, stream) => {
      const server = new Multiplexer(() => {})
      assert.throws(() => server.receive(Uint8Array.from(stream)), MultiplexError)
      // Byte by byte, too.
      const slow = new Multiplexer(() => {})
      assert.throws(() => {
        for (const byte of stream) slow.receive(Uint8Array.of(byte))
      }, MultiplexError)
    })
  })

  it("whatever arrives, nothing but MultiplexError is thrown, and memory stays within the windows", () => {
    const random = new Random(42).below
    for (let run = 0; run < 20_000; run++) {
      let calls = 0
      const server = new Multiplexer(() => calls++)
      const stream = Uint8Array.from({ length: 1 + random(40) }, () => (random(3) > 0 ? random(6) : random(256)))
      try {
        for (let at = 0; at < stream.length;) {
          const end = at + 1 + random(8)
          server.receive(stream.subarray(at, end))
          at = end
        }
      } catch (error) {
        if (!(error instanceof MultiplexError)) throw error
      }
      assert.isAtMost(calls, MAX_CALLS)
      assert.isAtMost(server.size, 6 * stream.length)
    }
  })
})
