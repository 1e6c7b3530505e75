/** Loops that fail, under the clock of the test. */
import { make, supervise, Supervisor } from "@aster-effect/iroh/Supervisor"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"

/** Runs a loop that fails as told, and says when it was begun and what was logged. */
const watched = Effect.fnUntraced(function* (run: (time: number) => Effect.Effect<void, string>) {
  const begun: Array<number> = []
  const logged: Array<string> = []
  const supervisor = make()
  const started = yield* Queue.unbounded<void>()
  const loop = Effect.clockWith((clock) =>
    Effect.suspend(() => {
      begun.push(clock.currentTimeMillisUnsafe())
      return Effect.andThen(Queue.offer(started, undefined), run(begun.length))
    })
  )
  const fiber = yield* supervise("the loop", loop).pipe(
    Effect.provideService(Supervisor, supervisor),
    Effect.provide(Logger.layer([Logger.make(({ message }) => logged.push(String(message)))])),
    Effect.forkChild({ startImmediately: true })
  )
  return { begun, logged, supervisor, fiber, started }
})

describe("supervise", () => {
  it.effect("starts a loop that fails or dies again, later each time, and then gives it up", () =>
    Effect.gen(function* () {
      const { begun, fiber, logged, supervisor } = yield* watched((time) =>
        time % 2 === 0 ? Effect.fail("failed") : Effect.die("died")
      )
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        begun.map((time, i) => time - (begun[i - 1] ?? 0)),
        [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000]
      )
      assert.deepStrictEqual(supervisor.givenUp(), ["the loop"])
      assert.lengthOf(logged, 8)
      assert.include(logged[0], "the loop failed and is started again in 0.25 s")
      assert.include(logged.at(-1), "the loop failed 8 times in a row and is given up: restart the process")
    })
  )

  it.effect("forgets failures of a loop that ran soundly", () =>
    Effect.gen(function* () {
      const { begun, fiber, supervisor } = yield* watched(() => Effect.delay(Effect.fail("failed"), "2 minutes"))
      yield* TestClock.adjust("3 hours")
      assert.isAbove(begun.length, 50)
      assert.deepStrictEqual(supervisor.givenUp(), [])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("ends with a loop that ends, and is interrupted like it", () =>
    Effect.gen(function* () {
      const ending = yield* watched(() => Effect.void)
      yield* Fiber.join(ending.fiber)
      const endless = yield* watched(() => Effect.never)
      yield* Queue.take(endless.started)
      yield* Fiber.interrupt(endless.fiber)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual([endless.begun.length, endless.logged, endless.supervisor.givenUp()], [1, [], []])
    })
  )
})
