import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { MAX_PRODUCERS, type Producer } from "@aster-effect/transport/Producers"
import { assert, describe, it } from "@effect/vitest"
import { ProducerPool, type PoolOptions } from "../../packages/client/src/proto/ProducerPool.ts"
import { Random } from "../Random.ts"

const id = (n: number) => EndpointId.parse(n.toString(16).padStart(64, "0"))
const producer = (n: number, more: Omit<Producer, "address"> = {}, port = 1): Producer => ({
  address: NodeAddr.make(id(n), [`127.0.0.1:${port}`]),
  ...more
})

const pool = (options: Partial<PoolOptions> = {}) =>
  new ProducerPool({
    strategy: "round_robin",
    maxLinks: 8,
    minBackoff: 100,
    maxBackoff: 1_000,
    random: () => 0.5,
    ...options
  })

/** A pool in which these are linked. */
const linked = (producers: ReadonlyArray<Producer>, options?: Partial<PoolOptions>) => {
  const made = pool(options)
  made.list(producers, 0)
  for (const { address } of made.begin(0)) made.linked(address.endpointId)
  return made
}

const all = () => true
const choices = (from: ProducerPool, count: number) => Array.from({ length: count }, () => from.choose(all))

describe("a choice", () => {
  it("goes round, also when somebody joins or leaves", () => {
    const made = linked([producer(1), producer(2), producer(3)])
    assert.deepStrictEqual(choices(made, 4), [id(1), id(2), id(3), id(1)])
    assert.deepStrictEqual(made.list([producer(1), producer(3), producer(4)], 5), [id(2)])
    for (const { address } of made.begin(5)) made.linked(address.endpointId)
    // Whoever was not called yet is first.
    assert.deepStrictEqual(choices(made, 4), [id(4), id(3), id(1), id(4)])
  })

  it("falls on degraded producers when no other is left, and never on draining ones", () => {
    const made = linked([producer(1, { health: "degraded" }), producer(2), producer(3)])
    made.list([producer(1, { health: "degraded" }), producer(2), producer(3, { health: "draining" })], 1)
    assert.deepStrictEqual(choices(made, 3), [id(2), id(2), id(2)])
    made.failed(id(2), 1)
    assert.deepStrictEqual(choices(made, 2), [id(1), id(1)])
    made.list([producer(1, { health: "draining" })], 2)
    assert.isUndefined(made.choose(all))
  })

  it("by load goes to who has least to do, those that do not say last, and of equals to who has fewest calls of ours", () => {
    const made = linked(
      [producer(1), producer(2, { load: 0.5 }), producer(3, { load: 0.22 }), producer(4, { load: 0.18 })],
      {
        strategy: "least_load"
      }
    )
    assert.strictEqual(made.choose(all), id(3))
    made.called(id(3))
    assert.strictEqual(made.choose(all), id(4))
    made.called(id(4))
    made.called(id(4))
    assert.strictEqual(made.choose(all), id(3))
    made.answered(id(4))
    made.answered(id(4))
    assert.strictEqual(made.choose(all), id(4))
    assert.strictEqual(
      made.choose((one) => one !== id(3) && one !== id(4)),
      id(2)
    )
    assert.strictEqual(
      made.choose((one) => one === id(1)),
      id(1)
    )
  })

  it("by chance finds everybody", () => {
    const made = linked([producer(1), producer(2), producer(3)], { strategy: "random", random: new Random(1).next })
    assert.deepStrictEqual(new Set(choices(made, 60)), new Set([id(1), id(2), id(3)]))
  })
})

describe("a producer that cannot be reached", () => {
  it("is tried again after a time that doubles up to its limit", () => {
    const made = pool({ random: () => 1 })
    made.list([producer(1)], 0)
    const waits: Array<number> = []
    let now = 0
    for (let i = 0; i < 6; i++) {
      assert.lengthOf(made.begin(now), 1)
      assert.isUndefined(made.nextAt)
      made.failed(id(1), now)
      waits.push(made.nextAt! - now)
      assert.lengthOf(made.begin(made.nextAt! - 1), 0)
      now = made.nextAt!
    }
    assert.deepStrictEqual(waits, [100, 200, 400, 800, 1_000, 1_000])
  })

  it("is tried at once when it was linked, and when its source says something new of it", () => {
    const made = linked([producer(1)])
    made.failed(id(1), 10)
    assert.strictEqual(made.nextAt, 10)
    made.begin(10)
    made.failed(id(1), 10)
    made.begin(made.nextAt!)
    made.failed(id(1), 100)
    assert.isAbove(made.nextAt!, 100)
    made.list([producer(1)], 101)
    assert.isAbove(made.nextAt!, 101)
    made.list([producer(1, {}, 2)], 102)
    assert.strictEqual(made.nextAt, 102)
  })

  it("counts from the start once it was linked", () => {
    const made = pool()
    made.list([producer(1)], 0)
    for (let i = 0; i < 5; i++) {
      made.begin(10_000 * i)
      made.failed(id(1), 10_000 * i)
    }
    made.begin(100_000)
    made.linked(id(1))
    made.failed(id(1), 100_000)
    made.begin(100_000)
    made.failed(id(1), 100_000)
    assert.strictEqual(made.nextAt, 100_075)
  })
})

describe("a list", () => {
  it("has a bound, and so have the links", () => {
    const made = pool({ maxLinks: 4 })
    made.list(
      Array.from({ length: MAX_PRODUCERS + 10 }, (_, i) => producer(i)),
      0
    )
    assert.strictEqual(made.counts.listed, MAX_PRODUCERS)
    const begun = made.begin(0)
    assert.lengthOf(begun, 4)
    assert.lengthOf(made.begin(0), 0)
    // Another one takes the place of one that failed.
    made.failed(begun[0]!.address.endpointId, 0)
    const next = made.begin(0)
    assert.lengthOf(next, 1)
    assert.notStrictEqual(next[0]!.address.endpointId, begun[0]!.address.endpointId)
  })

  it("that names one twice means the first", () => {
    const made = linked([producer(1, { health: "degraded" }), producer(1), producer(2)])
    assert.strictEqual(made.counts.listed, 2)
    assert.deepStrictEqual(choices(made, 2), [id(2), id(2)])
  })

  it("forgets who is gone, also while it is linked", () => {
    const made = pool()
    made.list([producer(1)], 0)
    made.begin(0)
    made.list([], 1)
    assert.isFalse(made.linked(id(1)))
    made.failed(id(1), 1)
    made.called(id(1))
    made.answered(id(1))
    assert.deepStrictEqual(made.counts, { listed: 0, linking: 0, linked: 0 })
  })
})

it("holds what it promises whatever happens, in 300 runs", () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed)
    const strategy = random.pick(["round_robin", "least_load", "random"] as const)
    const made = pool({ strategy, random: random.next, maxLinks: 3 })
    const linking = new Set<EndpointId.EndpointId>()
    const up = new Set<EndpointId.EndpointId>()
    let list: ReadonlyArray<Producer> = []
    for (let now = 0; now < 2_000; now += random.below(20)) {
      const move = random.below(5)
      if (move === 0) {
        list = random.list(6, () =>
          producer(random.below(6), {
            health: random.pick(["ready", "degraded", "draining"] as const),
            load: random.next()
          })
        )
        for (const gone of made.list(list, now)) {
          linking.delete(gone)
          up.delete(gone)
        }
      } else if (move === 1) {
        for (const { address } of made.begin(now)) {
          assert.isFalse(linking.has(address.endpointId) || up.has(address.endpointId), `SEED ${seed}`)
          linking.add(address.endpointId)
        }
      } else if (move === 2 && linking.size > 0) {
        const one = random.pick([...linking])
        linking.delete(one)
        if (random.chance(0.5)) made.failed(one, now)
        else if (made.linked(one)) up.add(one)
      } else if (move === 3 && up.size > 0) {
        const one = random.pick([...up])
        up.delete(one)
        made.failed(one, now)
      }
      assert.isAtMost(linking.size + up.size, 3)
      const health = new Map([...list].toReversed().map((one) => [one.address.endpointId, one.health]))
      const callable = [...up].filter((one) => health.get(one) !== "draining")
      const chosen = made.choose(all)
      assert.strictEqual(chosen === undefined, callable.length === 0, `SEED ${seed}`)
      if (chosen !== undefined) {
        assert.include(callable, chosen)
        if (callable.some((one) => health.get(one) === "ready")) assert.strictEqual(health.get(chosen), "ready")
      }
    }
  }
})
