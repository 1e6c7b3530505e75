import * as Progress from "@aster-effect/cli/Progress"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"

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

  it.effect("draws a bar from what is reported", () =>
    Effect.gen(function* () {
      lines.length = 0
      const MIB = 1_048_576
      const work = Progress.measured("Adding", (report) =>
        Effect.gen(function* () {
          yield* Effect.sleep("300 millis")
          yield* report({ done: MIB / 2, total: 2 * MIB })
          yield* Effect.sleep("100 millis")
          yield* report({ done: 3 * MIB })
          yield* Effect.sleep("120 millis")
          yield* report({ done: 1000, part: { number: 2, of: 2 } })
          yield* report({ done: 1024, part: { number: 2, of: 2 } })
          yield* Effect.sleep("200 millis")
          return "done"
        })
      ).pipe(Effect.provideService(Progress.ProgressLine, (text) => void lines.push(text)))
      const fiber = yield* Effect.forkChild(work)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "done")
      assert.deepStrictEqual(
        lines.map((line) => line.replace("\r\u001b[K", "")),
        [
          "- Adding",
          "Adding  [######------------------]  25 %  512.0 KiB of 2.0 MiB  1.6 MiB/s",
          "Adding  3.0 MiB  6.8 MiB/s",
          "Adding  [############------------]  50 %  2 of 2  1.0 KiB  1.8 KiB/s",
          "Adding  [############------------]  50 %  2 of 2  1.0 KiB  1.5 KiB/s",
          ""
        ]
      )
    })
  )
})
