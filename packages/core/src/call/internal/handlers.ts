import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type { Call } from "../../interceptor/CallContext.ts"

/** For an interrupted handler before its caller is answered without it. */
const PROMPT = Duration.millis(250)
/** For it to end afterwards, while it still counts as a call of its caller. */
const PATIENT = Duration.seconds(30)

type HandlerFiber = Fiber.Fiber<unknown, unknown>

/**
 * Ends handlers. An interrupted one is waited for, but not for ever: it may be in a region that cannot be interrupted, like
 * the acquisition of a resource, and then its caller is answered, and a server ends, without it.
 */
export class Handlers {
  readonly #ending = Latch.makeUnsafe(false)

  /** From now on nobody waits for a handler that was left behind: the server ends. */
  readonly abandon: Effect.Effect<void> = Effect.asVoid(this.#ending.open)

  /** Interrupts a handler and waits a moment for its end. Answers whether it has ended. */
  interrupt(call: Call, fiber: HandlerFiber): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (fiber.pollUnsafe() !== undefined) return succeedTrue
      fiber.interruptUnsafe()
      return Effect.flatMap(waitFor(fiber, Effect.sleep(PROMPT)), (exit) =>
        exit === undefined ? Effect.succeed(false) : Effect.as(logTrailing(call, exit), true)
      )
    })
  }

  /** Waits for a handler that did not end when it was interrupted, and leaves it behind when it still does not. */
  leave(call: Call, fiber: HandlerFiber): Effect.Effect<void> {
    const enough = Effect.raceFirst(Effect.sleep(PATIENT), this.#ending.await)
    const waiting = Effect.andThen(
      Effect.sync(() => fiber.interruptUnsafe()),
      waitFor(fiber, enough)
    )
    return Effect.flatMap(waiting, (exit) =>
      exit === undefined
        ? Effect.logWarning(
            `the handler of ${call.service}.${call.method} is still running though it was interrupted: it is in a part ` +
              "that cannot be, like the acquisition of a resource; bound such waits in time. It is left behind"
          )
        : logTrailing(call, exit)
    )
  }
}

const succeedTrue = Effect.succeed(true)

/** The end of a fiber, undefined when `enough` comes first. Works where interruption is off, as in finalizers. */
const waitFor = (
  fiber: HandlerFiber,
  enough: Effect.Effect<unknown>
): Effect.Effect<Exit.Exit<unknown, unknown> | undefined> =>
  Effect.suspend(() => {
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return Effect.succeed(exit)
    // Detached, since it has to be interruptible; joined at once.
    return Effect.flatMap(
      Effect.forkDetach(Effect.raceFirst(Fiber.await(fiber), Effect.as(enough, undefined)), {
        startImmediately: true
      }),
      Fiber.join
    )
  })

/** What goes wrong while a handler is interrupted reaches nobody else. */
const logTrailing = (call: Call, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Exit.isFailure(exit) && Cause.hasDies(exit.cause)
    ? Effect.logError(`a finalizer of the handler of ${call.service}.${call.method} failed`, exit.cause)
    : Effect.void
