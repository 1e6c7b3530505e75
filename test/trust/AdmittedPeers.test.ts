import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { type AdmissionPath, AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

const peer = (n: number) => EndpointId.parse(n.toString(16).padStart(64, "0"))
const path: AdmissionPath = "consumer_admission"
const admission = (n: number, expiresAt?: number) => ({
  endpointId: peer(n),
  attributes: new Map([["aster.role", `r${n}`]]),
  expiresAt,
  path
})
const withPeers = (options: Parameters<typeof AdmittedPeers.layer>[0]) => Effect.provide(AdmittedPeers.layer(options))

describe("AdmittedPeers", () => {
  it.effect("knows who is admitted, with which attributes", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      assert.isUndefined(yield* peers.get(peer(1)))
      yield* peers.admit(admission(1))
      assert.strictEqual((yield* peers.get(peer(1)))?.path, "consumer_admission")
      assert.deepStrictEqual(yield* peers.attributes(peer(1)), new Map([["aster.role", "r1"]]))
      assert.strictEqual((yield* peers.attributes(peer(2))).size, 0)
    }).pipe(withPeers({}))
  )

  it.effect("10: an expired peer is out at that very instant, and whoever waits is told", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1, 100_000))
      const waiting = yield* Effect.forkChild(peers.awaitEnd(peer(1)), { startImmediately: true })
      yield* TestClock.adjust(99_999)
      assert.isDefined(yield* peers.get(peer(1)))
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isUndefined(yield* peers.get(peer(1)))
      assert.strictEqual((yield* peers.attributes(peer(1))).size, 0)
      assert.strictEqual(yield* Fiber.join(waiting), "expired")
    }).pipe(withPeers({}))
  )

  it.effect("revocation is immediate", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1))
      const waiting = yield* Effect.forkChild(peers.awaitEnd(peer(1)), { startImmediately: true })
      assert.isTrue(yield* peers.revoke(peer(1)))
      assert.isFalse(yield* peers.revoke(peer(1)))
      assert.strictEqual(yield* Fiber.join(waiting), "revoked")
      assert.strictEqual(yield* peers.awaitEnd(peer(1)), "unknown")
    }).pipe(withPeers({}))
  )

  it.effect("a later admission replaces the earlier one, and waits go on with it", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1, 10_000))
      const waiting = yield* Effect.forkChild(peers.awaitEnd(peer(1)), { startImmediately: true })
      yield* TestClock.adjust(5_000)
      yield* peers.admit(admission(1, 20_000))
      yield* TestClock.adjust(10_000)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(5_000)
      assert.strictEqual(yield* Fiber.join(waiting), "expired")
      assert.strictEqual(yield* Clock.currentTimeMillis, 20_000)
    }).pipe(withPeers({}))
  )

  it.effect("a replacement that ends sooner, or is revoked, is noticed by earlier waits", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1, 20_000))
      yield* peers.admit(admission(2, 20_000))
      const sooner = yield* Effect.forkChild(peers.awaitEnd(peer(1)), { startImmediately: true })
      const revoked = yield* Effect.forkChild(peers.awaitEnd(peer(2)), { startImmediately: true })
      yield* peers.admit(admission(1, 1_000))
      yield* peers.admit(admission(2, 20_000))
      yield* peers.revoke(peer(2))
      yield* TestClock.adjust(1_000)
      assert.strictEqual(sooner.pollUnsafe()?._tag, "Success")
      assert.strictEqual(revoked.pollUnsafe()?._tag, "Success")
    }).pipe(withPeers({}))
  )

  it.effect("no credential outlives the peer lifetime", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1))
      yield* TestClock.adjust("59 minutes")
      assert.isDefined(yield* peers.get(peer(1)))
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(yield* peers.get(peer(1)))
    }).pipe(withPeers({ lifetime: "1 hour" }))
  )

  it.effect("reads the lifetime from ASTER_PEER_TTL_S, and a non-number aborts the start", () =>
    Effect.gen(function* () {
      const from = (value: string) =>
        AdmittedPeers.layer().pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ASTER_PEER_TTL_S: value } })))
        )
      const seconds = yield* AdmittedPeers.use((peers) => peers.admit(admission(1))).pipe(Effect.provide(from("7")))
      assert.strictEqual(seconds.endsAt - seconds.admittedAt, 7_000)
      for (const bad of ["soon", "NaN", "Infinity", "0", "-5"]) {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(Layer.build(from(bad))))), bad)
      }
    })
  )

  it.effect("13: the record is bounded; a closed gate refuses, expired peers make room", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1, 10_000))
      yield* peers.admit(admission(2))
      const full = yield* Effect.flip(peers.admit(admission(3)))
      assert.strictEqual(full._tag, "AdmittedPeersFull")
      yield* peers.admit(admission(2)) // already on record: no room needed
      yield* TestClock.adjust(10_000)
      yield* peers.admit(admission(3))
      assert.strictEqual(yield* peers.size, 2)
    }).pipe(withPeers({ capacity: 2 }))
  )

  it.effect("13: an open gate forgets the longest admitted", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1))
      yield* peers.admit(admission(2))
      yield* peers.admit(admission(1)) // now 2 is the oldest
      const waiting = yield* Effect.forkChild(peers.awaitEnd(peer(2)), { startImmediately: true })
      yield* peers.admit(admission(3))
      assert.strictEqual(yield* Fiber.join(waiting), "evicted")
      assert.isDefined(yield* peers.get(peer(1)))
      assert.strictEqual(yield* peers.size, 2)
    }).pipe(withPeers({ capacity: 2, whenFull: "evict" }))
  )

  it.effect("21: expired peers are swept away, and the sweep ends with the scope", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      for (let n = 0; n < 100; n++) yield* peers.admit(admission(n, 1_000))
      assert.strictEqual(yield* peers.size, 100)
      yield* TestClock.adjust("300 seconds")
      assert.strictEqual(yield* peers.size, 0)
    }).pipe(withPeers({}))
  )
})

describe("a record under pressure", () => {
  const shared = { _tag: "Shared", credential: "ab" } as const
  const own = { _tag: "Own" } as const
  const out = Effect.fnUntraced(function* (n: number) {
    return (yield* (yield* AdmittedPeers).get(peer(n))) === undefined
  })

  it.effect.each(["refuse", "evict"] as const)(
    "%s: who has shown a credential of its own goes last, who has shown none first",
    (whenFull) =>
      Effect.gen(function* () {
        const peers = yield* AdmittedPeers
        yield* peers.admit({ ...admission(1), proof: own })
        yield* peers.admit({ ...admission(2), proof: shared })
        yield* peers.admit(admission(3))
        // A newcomer without a credential puts out nobody who has one.
        const nameless = yield* Effect.result(peers.admit(admission(4)))
        assert.strictEqual(nameless._tag, whenFull === "refuse" ? "Failure" : "Success")
        yield* peers.admit({ ...admission(5), proof: own })
        assert.deepStrictEqual([yield* out(3), yield* out(4), yield* out(2)], [true, true, false])
        yield* peers.admit({ ...admission(6), proof: own })
        assert.deepStrictEqual([yield* out(1), yield* out(2)], [false, true])
        for (const proof of [undefined, shared]) {
          const late = yield* Effect.flip(peers.admit({ ...admission(7), proof }))
          assert.strictEqual(late._tag, "AdmittedPeersFull")
        }
        assert.strictEqual(yield* peers.size, 3)
      }).pipe(withPeers({ capacity: 3, whenFull }))
  )

  it.effect("one credential that is bound to no node cannot fill it", () =>
    Effect.gen(function* () {
      const peers = yield* AdmittedPeers
      for (const n of [1, 2]) yield* peers.admit({ ...admission(n, 1_000), proof: shared })
      const third = yield* Effect.flip(peers.admit({ ...admission(3), proof: shared }))
      assert.include(third.message, "issue credentials that are bound to their nodes")
      yield* peers.admit({ ...admission(1, 1_000), proof: shared }) // once more is not one more
      yield* peers.admit({ ...admission(3), proof: own })
      yield* peers.admit({ ...admission(4), proof: { _tag: "Shared", credential: "cd" } })
      yield* peers.revoke(peer(1))
      yield* peers.admit({ ...admission(5), proof: shared })
      yield* TestClock.adjust("1 second")
      yield* peers.admit({ ...admission(6), proof: shared })
    }).pipe(withPeers({ perCredential: 2 }))
  )

  it.effect("a clock that is set back prolongs no admission", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(10_000_000)
      const peers = yield* AdmittedPeers
      yield* peers.admit(admission(1, 10_060_000))
      yield* TestClock.setTime(1_000)
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(yield* out(1))
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* out(1))
    }).pipe(withPeers({}))
  )
})
