import * as Progress from "@aster-effect/cli/Progress"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

describe("Progress", () => {
  const lines: Array<string> = []
  const shown = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      lines.length = 0
      return Progress.during("Working", effect)
    }).pipe(Effect.provideService(Progress.ProgressLine, (text) => void lines.push(text)))

  it.effect("shows nothing for what is done at once, and wipes the line", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* shown(Effect.succeed(1)), 1)
      assert.deepStrictEqual(lines, ["\r\u001b[K"])
    })
  )

  it.effect("turns while it takes long, and stops at the end", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(shown(Effect.as(Effect.sleep("1 second"), "done")))
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(lines, ["\r\u001b[K- Working", "\r\u001b[K\\ Working", "\r\u001b[K| Working"])
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "done")
      const count = lines.length
      assert.strictEqual(lines.at(-1), "\r\u001b[K")
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(lines, count)
    })
  )

  it.effect("passes failures on", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(shown(Effect.fail("no"))), "no")
    })
  )
})
