import { hash } from "@aster-effect/core/contract/ContractIdentity"
import {
  CANCEL,
  encode,
  type Frame,
  FrameDecoder,
  FrameError,
  TRAILER,
  writeHeader
} from "@aster-effect/core/wire/Frame"
import { MAX_FRAME_SIZE, MAX_PAYLOAD_SIZE } from "@aster-effect/core/Limits"
import { assert, describe, it } from "@effect/vitest"
import { Random } from "../Random.ts"
import { hex, reference, unhex } from "./Reference.ts"
import { framing } from "./Vectors.ts"

const drain = (decoder: FrameDecoder): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame)
  return frames
}

const decodeAll = (bytes: Uint8Array): ReadonlyArray<Frame> => {
  const decoder = new FrameDecoder()
  decoder.push(bytes)
  const frames = drain(decoder)
  decoder.end()
  return frames
}

const reasonOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, FrameError)
    assert.strictEqual(error._tag, "FrameError")
    return error.reason
  }
  return "none"
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

describe("vectors", () => {
  for (const vector of framing.cases) {
    it(vector.title, () => {
      if (vector.payload_fill === undefined) {
        const payload = unhex(vector.payload_hex)
        assert.strictEqual(hex(encode(payload, vector.flags)), vector.frame_hex)
        assert.deepStrictEqual(decodeAll(unhex(vector.frame_hex)), [{ flags: vector.flags, payload }])
      } else {
        const payload = new Uint8Array(vector.payload_fill.length).fill(unhex(vector.payload_fill.byte_hex)[0]!)
        const frame = encode(payload, vector.flags)
        assert.strictEqual(frame.length, vector.frame_length)
        assert.isTrue(hex(frame).startsWith(vector.frame_prefix_hex))
        assert.strictEqual(hash(frame), vector.frame_blake3_hex)
        assert.deepStrictEqual(decodeAll(frame), [{ flags: vector.flags, payload }])
      }
    })
  }

  for (const vector of framing.decode_only) {
    it(vector.title, () => {
      const decoder = new FrameDecoder()
      const data = unhex(vector.data_hex)
      decoder.push(data.subarray(0, vector.bytes_consumed))
      assert.deepStrictEqual(drain(decoder), [{ flags: vector.flags, payload: unhex(vector.payload_hex) }])
      decoder.end()
      const whole = new FrameDecoder()
      whole.push(data)
      assert.deepStrictEqual(whole.next(), { flags: vector.flags, payload: unhex(vector.payload_hex) })
    })
  }

  const reasons: Record<string, FrameError["reason"]> = {
    "rf-over-max": "Oversized",
    "rf-zero-length": "ZeroLength",
    "rf-short-header": "Truncated",
    "rf-incomplete": "Truncated",
    "rf-over-length": "Oversized",
    "rf-huge": "Oversized"
  }
  for (const vector of framing.rejects) {
    it(`refuses ${vector.id}`, () => {
      const run =
        vector.op === "decode"
          ? () => decodeAll(unhex(vector.data_hex))
          : () => encode(new Uint8Array(vector.payload_len ?? 0), vector.flags)
      assert.strictEqual(reasonOf(run), reasons[vector.id] ?? "EmptyPayload")
    })
  }
})

describe("encode", () => {
  it("writes what the reference writes, at every size around a byte of the length", () => {
    for (const size of [1, 254, 255, 256, 65_534, 65_535, 65_536, MAX_PAYLOAD_SIZE]) {
      const payload = new Uint8Array(size).fill(0xa5)
      assert.isTrue(Buffer.from(encode(payload, 1)).equals(reference.encodeFrameNative(payload, 1)), `${size}`)
    }
  })

  it("lets a writer leave room for the header and fill it in afterwards", () => {
    const buffer = new Uint8Array(12).fill(0xee)
    assert.strictEqual(writeHeader(buffer, 3, 4, TRAILER), 8)
    assert.strictEqual(hex(buffer), "eeeeee0500000002eeeeeeee")
  })

  it("refuses before it writes", () => {
    const buffer = new Uint8Array(5)
    assert.strictEqual(
      reasonOf(() => writeHeader(buffer, 0, MAX_FRAME_SIZE, 0)),
      "Oversized"
    )
    assert.strictEqual(
      reasonOf(() => writeHeader(buffer, 0, 0, 0xff & ~(TRAILER | CANCEL))),
      "EmptyPayload"
    )
    assert.strictEqual(hex(buffer), "0000000000")
  })
})

describe("FrameDecoder", () => {
  const random = new Random(20_260)

  const randomFrames = (): ReadonlyArray<Frame> =>
    Array.from({ length: 1 + random.below(8) }, () => {
      const size = random.chance(0.1) ? random.below(20_000) : random.below(12)
      const payload = Uint8Array.from({ length: size }, () => random.below(256))
      return { flags: size === 0 ? TRAILER : random.below(256), payload }
    })

  it("gives the same frames whatever the chunks are", () => {
    for (let run = 0; run < 400; run++) {
      const frames = randomFrames()
      const bytes = concat(frames.map(({ flags, payload }) => encode(payload, flags)))
      const longest = random.pick([1, 2, 3, 6, 40, 5_000, 100_000])
      const eager = random.chance(0.7)
      const decoder = new FrameDecoder()
      const read: Array<Frame> = []
      for (let offset = 0; offset < bytes.length;) {
        const end = offset + random.below(longest + 1)
        decoder.push(bytes.slice(offset, end))
        if (eager || random.chance(0.2)) read.push(...drain(decoder))
        offset = end
      }
      read.push(...drain(decoder))
      decoder.end()
      assert.deepStrictEqual(read, frames)
    }
  })

  it("gives the same frames when the rest of a large one is put where it goes", () => {
    const sizes = [0, 100, 16_000, 70_000, 300_000, 1_500_000]
    for (let run = 0; run < 30; run++) {
      // Two streams in turns: what one is gathered in must not be the other's.
      const streams = Array.from({ length: 2 }, () => {
        const frames = Array.from({ length: 4 }, () => {
          const payload = new Uint8Array(random.pick(sizes) + random.below(100)).fill(random.below(256))
          return { flags: random.below(256), payload }
        })
        const bytes = concat(frames.map(({ flags, payload }) => encode(payload, flags)))
        return { bytes, decoder: new FrameDecoder(), frames, offset: 0, put: 0, read: new Array<Frame>() }
      })
      const longest = random.pick([5_000, 60_000, 400_000])
      for (let left = [...streams]; left.length > 0; left = left.filter(({ bytes, offset }) => offset < bytes.length)) {
        const stream = random.pick(left)
        const { bytes, decoder, read } = stream
        const room = random.chance(0.8) ? decoder.room : undefined
        const chunk = bytes.slice(
          stream.offset,
          stream.offset + Math.min(1 + random.below(longest), room?.length ?? Infinity)
        )
        if (room === undefined) decoder.push(chunk)
        else {
          room.set(chunk)
          decoder.push(room.subarray(0, chunk.length))
          stream.put += chunk.length
        }
        stream.offset += chunk.length
        read.push(...drain(decoder))
      }
      for (const { bytes, decoder, frames, put, read } of streams) {
        decoder.end()
        assert.isTrue(read.length === frames.length && put < bytes.length)
        frames.forEach(({ flags, payload }, i) => {
          assert.strictEqual(read[i]?.flags, flags)
          assert.isTrue(Buffer.from(read[i]!.payload).equals(payload))
        })
      }
    }
  })

  it("has room for what was announced only as it comes", () => {
    const decoder = new FrameDecoder()
    decoder.push(encode(new Uint8Array(MAX_PAYLOAD_SIZE), 0).subarray(0, 20_000))
    assert.isUndefined(decoder.next())
    assert.isAbove(decoder.room!.length, 0)
    assert.isAtMost(decoder.room!.length, 256 * 1024)
    const small = new FrameDecoder()
    small.push(encode(new Uint8Array(16_000), 0).subarray(0, 100))
    assert.isUndefined(small.next())
    assert.isUndefined(small.room)
  })

  it("says Truncated for every end inside a frame, and for none between frames", () => {
    const frames = [new Uint8Array(3).fill(7), new Uint8Array(0), new Uint8Array(9)].map((p) => encode(p, TRAILER))
    const bytes = concat(frames)
    const ends = new Set([0, 8, 13, 27])
    for (let length = 0; length <= bytes.length; length++) {
      for (const step of [1, 4, 100]) {
        const decoder = new FrameDecoder()
        for (let offset = 0; offset < length; offset += step) {
          decoder.push(bytes.slice(offset, Math.min(offset + step, length)))
          drain(decoder)
        }
        assert.strictEqual(
          reasonOf(() => decoder.end()),
          ends.has(length) ? "none" : "Truncated",
          `${length}/${step}`
        )
      }
    }
  })

  it("judges the length as soon as its four bytes have arrived, however they arrived", () => {
    for (const [header, reason] of [
      ["00000000", "ZeroLength"],
      ["01000001", "Oversized"],
      ["ffffffff", "Oversized"]
    ] as const) {
      for (const step of [1, 2, 4]) {
        const decoder = new FrameDecoder()
        const found: Array<string> = []
        for (let offset = 0; offset < 4; offset += step) {
          decoder.push(unhex(header).subarray(offset, offset + step))
          found.push(reasonOf(() => decoder.next()))
        }
        assert.strictEqual(found.at(-1), reason)
        assert.isTrue(found.slice(0, -1).every((other) => other === "none"))
      }
    }
  })

  it("stays failed", () => {
    const decoder = new FrameDecoder()
    decoder.push(unhex("0200000001aa" + "0000000000"))
    assert.strictEqual(decoder.next()?.flags, 1)
    assert.strictEqual(
      reasonOf(() => decoder.next()),
      "ZeroLength"
    )
    decoder.push(unhex("0200000001aa"))
    assert.strictEqual(
      reasonOf(() => decoder.next()),
      "ZeroLength"
    )
    assert.strictEqual(
      reasonOf(() => decoder.end()),
      "ZeroLength"
    )
  })

  it("accepts a frame of exactly the largest length, and none above a smaller limit", () => {
    const payload = new Uint8Array(MAX_PAYLOAD_SIZE).fill(1)
    const frame = encode(payload, 0)
    const decoder = new FrameDecoder()
    for (let offset = 0; offset < frame.length; offset += 60_000) decoder.push(frame.subarray(offset, offset + 60_000))
    const read = decoder.next()
    assert.strictEqual(read?.payload.length, MAX_PAYLOAD_SIZE)
    assert.isTrue(Buffer.from(read!.payload).equals(payload))

    const small = new FrameDecoder({ maxLength: 100 })
    small.push(encode(new Uint8Array(99), 0))
    assert.strictEqual(small.next()?.payload.length, 99)
    small.push(encode(new Uint8Array(100), 0))
    assert.strictEqual(
      reasonOf(() => small.next()),
      "Oversized"
    )
  })

  it("copies nothing when a frame lies within one chunk", () => {
    const chunk = concat([encode(new Uint8Array([1, 2]), 0), encode(new Uint8Array([3]), 0)])
    const frames = decodeAll(chunk)
    assert.deepStrictEqual(
      frames.map((frame) => [frame.payload.buffer === chunk.buffer, frame.payload.byteOffset]),
      [
        [true, 5],
        [true, 12]
      ]
    )
  })

  it("holds no more memory than a small multiple of what arrived", () => {
    const header = encode(new Uint8Array(MAX_PAYLOAD_SIZE), 0).slice(0, 5)
    const before = process.memoryUsage().arrayBuffers
    const decoders = Array.from({ length: 500 }, () => {
      const decoder = new FrameDecoder()
      decoder.push(header)
      decoder.push(new Uint8Array(10))
      assert.isUndefined(decoder.next())
      return decoder
    })
    const perDecoder = (process.memoryUsage().arrayBuffers - before) / decoders.length
    assert.isBelow(perDecoder, 16_384)
    assert.lengthOf(decoders, 500)
  })
})
