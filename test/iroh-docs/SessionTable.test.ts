import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { assert, describe, it } from "@effect/vitest"
import { SessionTable } from "../../packages/iroh-docs/src/proto/SessionTable.ts"

const [low, middle, high] = [1, 2, 3].map((byte) => EndpointId.fromBytes(new Uint8Array(32).fill(byte))) as [
  EndpointId.EndpointId,
  EndpointId.EndpointId,
  EndpointId.EndpointId
]

describe("sessions with a peer", () => {
  it("run one at a time, and news brings another one", () => {
    const table = new SessionTable(middle)
    assert.isTrue(table.dial(low))
    assert.isFalse(table.dial(low))
    assert.isTrue(table.dial(high))
    assert.isTrue(table.ended(low, "dial", "Done"))
    assert.isFalse(table.ended(high, "dial", "Done"))
    assert.strictEqual(table.running, 0)
    assert.isTrue(table.accept(low))
    assert.isFalse(table.accept(low))
    assert.isFalse(table.ended(low, "accept", "Done"))
  })

  it("begun by both sides: the greater id accepts", () => {
    const table = new SessionTable(middle)
    for (const peer of [low, high]) {
      assert.isTrue(table.dial(peer))
      assert.isTrue(table.connected(peer))
    }
    assert.isTrue(table.accept(low))
    assert.isFalse(table.accept(high))
    assert.isFalse(table.ended(low, "dial", "Failed"))
    assert.isFalse(table.ended(low, "accept", "Done"))
    // What was refused is owed when ours fails, and paid when it succeeds.
    assert.isTrue(table.ended(high, "dial", "Failed"))
    assert.isTrue(table.dial(high))
    assert.isFalse(table.ended(high, "dial", "Done"))
  })

  it("that have no connection yet give way to one that the peer has begun", () => {
    const table = new SessionTable(middle)
    assert.isTrue(table.dial(high))
    assert.isTrue(table.accept(high))
    assert.isFalse(table.connected(high))
    assert.isFalse(table.ended(high, "dial", "Failed"))
    assert.isFalse(table.ended(high, "accept", "Done"))
  })

  it("that the peer refuses for another one are tried again, unless that came meanwhile, and not for ever", () => {
    const table = new SessionTable(middle)
    const refused = () => {
      assert.isTrue(table.dial(low))
      assert.isTrue(table.connected(low))
      return table.ended(low, "dial", "Refused")
    }
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 5; i++) assert.isTrue(refused())
      assert.isFalse(refused())
    }
    assert.isTrue(refused())
    assert.isTrue(table.dial(low))
    assert.isFalse(table.ended(low, "dial", "Done"))
    for (let i = 0; i < 5; i++) assert.isTrue(refused())
    assert.isTrue(table.dial(high))
    assert.isTrue(table.accept(high))
    assert.isFalse(table.ended(high, "accept", "Done"))
    assert.isFalse(table.ended(high, "dial", "Refused"))
  })
})
