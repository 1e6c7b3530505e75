import { assert, describe, it } from "@effect/vitest"
import { BlobStoreError } from "@aster-effect/iroh-blobs/BlobError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Aside } from "../../packages/iroh-blobs/src/internal/aside.ts"

/** Lets all that can go on do so. */
const settle = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow, { discard: true })

const broken = new BlobStoreError({ operation: "record a blob", cause: new Error("the disk is full") })

describe("what is stored beside what arrives", () => {
  it.effect("is as much as there are places, and told of in order", () =>
    Effect.gen(function* () {
      const aside = new Aside()
      const gate = yield* Deferred.make<void>()
      let begun = 0
      const told: Array<number> = []
      const fiber = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let i = 0; i < 70; i++) {
            const storing = Effect.andThen(
              Effect.sync(() => begun++),
              Deferred.await(gate)
            )
            yield* aside.store(
              () => storing,
              Effect.sync(() => told.push(i))
            )
          }
          yield* aside.settled
        })
      )
      yield* settle
      assert.strictEqual(begun, 64)
      assert.deepStrictEqual(told, [])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(fiber)
      assert.strictEqual(begun, 70)
      assert.deepStrictEqual(
        told,
        Array.from({ length: 70 }, (_, i) => i)
      )
    })
  )

  it.effect("is waited for before the whole is said to be done", () =>
    Effect.gen(function* () {
      const aside = new Aside()
      const gate = yield* Deferred.make<void>()
      const told: Array<string> = []
      yield* aside.store(
        () => Deferred.await(gate),
        Effect.sync(() => told.push("stored"))
      )
      const settled = yield* Effect.forkChild(aside.settled)
      yield* settle
      assert.isUndefined(settled.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(settled)
      assert.deepStrictEqual(told, ["stored"])
    })
  )

  it.effect("fails what comes after it, and the whole, once the others are stored", () =>
    Effect.gen(function* () {
      const aside = new Aside()
      const gate = yield* Deferred.make<void>()
      const told: Array<string> = []
      const tell = (name: string) => Effect.sync(() => told.push(name))
      yield* aside.store(() => Deferred.await(gate), tell("first"))
      const second = yield* Effect.flip(aside.store(() => broken, tell("second")))
      assert.strictEqual(second, broken)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Effect.flip(aside.settled), broken)
      assert.deepStrictEqual(told, ["first"])
      assert.strictEqual(yield* Effect.flip(aside.store(() => Effect.void, tell("third"))), broken)
    })
  )

  it.effect("is stored also when nobody wants it any more, and is waited for", () =>
    Effect.gen(function* () {
      const aside = new Aside()
      const gate = yield* Deferred.make<void>()
      let stored = 0
      const storing = Effect.andThen(
        Deferred.await(gate),
        Effect.sync(() => stored++)
      )
      const fiber = yield* Effect.forkChild(
        Effect.ensuring(
          Effect.forever(
            aside.store(
              () => storing,
              Effect.sync(() => assert.fail("nobody is there to be told"))
            )
          ),
          aside.quiet
        )
      )
      yield* settle
      const leaving = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* settle
      assert.isUndefined(leaving.pollUnsafe())
      assert.strictEqual(stored, 0)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(leaving)
      assert.strictEqual(stored, 64)
    })
  )
})
