import { Malformed } from "@aster-effect/iroh/Malformed"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { assert, describe, it } from "@effect/vitest"
import * as Frame from "@aster-effect/iroh-gossip/Frame"
import * as Message from "@aster-effect/iroh-gossip/Message"
import { hex, steps, unhex, vectors } from "./Vectors.ts"

const frameOf = (payload: Uint8Array) => {
  const frame = new Uint8Array(4 + payload.length)
  new DataView(frame.buffer).setUint32(0, payload.length)
  frame.set(payload, 4)
  return frame
}

describe("Frame", () => {
  it("a stream begins with its topic, as recorded", () => {
    const topic = TopicId.parse(vectors.topic)
    const recorded = steps.find(({ kind, wire }) => kind === "header" && wire !== undefined)!
    assert.strictEqual(hex(Frame.header(topic)), recorded.wire)
    assert.strictEqual(Frame.readHeader(unhex(recorded.payload!)), topic)
    assert.throws(() => Frame.readHeader(new Uint8Array(31)), Malformed)
  })

  it("messages are framed as recorded", () => {
    for (const { kind, payload, wire } of steps) {
      if (kind !== "message" || payload === undefined || wire === undefined) continue
      assert.strictEqual(hex(Frame.encode(Message.decode(unhex(payload)))), wire)
    }
  })

  it("is found however the stream is cut", () => {
    const payloads = [0, 1, 31, 4096, 5, 300, 0, 4095].map((size, i) => new Uint8Array(size).fill(i + 1))
    const stream = Buffer.concat(payloads.map(frameOf))
    for (const size of [1, 2, 3, 5, 64, 1000, 4099, 4100, stream.length]) {
      const decoder = new Frame.FrameDecoder(4096)
      const found: Array<string> = []
      for (let at = 0; at < stream.length; at += size)
        for (const payload of decoder.push(stream.subarray(at, at + size))) found.push(hex(payload))
      assert.deepStrictEqual(found, payloads.map(hex), `${size}`)
      assert.isTrue(decoder.isBetweenFrames)
    }
  })

  it("one byte too many is malformed before it has come, and what came before is given", () => {
    const decoder = new Frame.FrameDecoder(4096)
    const found: Array<number> = []
    const bytes = Buffer.concat([frameOf(new Uint8Array(7)), Uint8Array.of(0, 0, 0x10, 0x01)])
    assert.throws(() => {
      for (const payload of decoder.push(bytes)) found.push(payload.length)
    }, Malformed)
    assert.deepStrictEqual(found, [7])
    const huge = new Frame.FrameDecoder(4096)
    assert.throws(() => [...huge.push(Uint8Array.of(0xff, 0xff, 0xff, 0xff))], Malformed)
  })

  it("a stream that ends within a frame is seen to", () => {
    const decoder = new Frame.FrameDecoder(4096)
    assert.lengthOf([...decoder.push(frameOf(new Uint8Array(9)).subarray(0, 12))], 0)
    assert.isFalse(decoder.isBetweenFrames)
  })
})
