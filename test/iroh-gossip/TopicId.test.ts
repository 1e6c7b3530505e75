import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { assert, describe, it } from "@effect/vitest"

describe("TopicId", () => {
  it("of a name is its BLAKE3 hash", () => {
    // The hash of no input, from the BLAKE3 test vectors.
    assert.strictEqual(TopicId.fromName(""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
    assert.strictEqual(TopicId.fromName("é"), TopicId.fromName("\u00e9"))
  })

  it("is read in either case and from bytes, and nothing else is", () => {
    const topic = TopicId.fromName("x")
    assert.strictEqual(TopicId.parse(topic.toUpperCase()), topic)
    assert.strictEqual(TopicId.fromBytes(TopicId.toBytes(topic)), topic)
    assert.throws(() => TopicId.parse("chat"), TopicId.TopicIdError, "fromName")
    assert.throws(() => TopicId.fromBytes(new Uint8Array(31)), TopicId.TopicIdError)
  })
})
