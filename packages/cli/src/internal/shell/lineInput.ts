import * as Context from "effect/Context"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as readline from "node:readline"
import { type CliFailure, refused } from "../../CliFailure.ts"

/** Where a shell's lines come from. */
export interface LineInput {
  /** Somebody types; else the lines are a script. */
  readonly interactive: boolean
  /**
   * The next line; undefined when there is none any more.
   *
   * @param part the line belongs to a command that runs, which Ctrl+C interrupts
   */
  readonly next: (prompt: string, part?: boolean) => Effect.Effect<string | undefined, CliFailure>
  /** How many lines have been read. */
  readonly count: () => number
  /** Ctrl+C while a command runs. */
  readonly interrupted: Effect.Effect<void>
}

/** The terminal's two ends. Default: those of the process. */
export const TerminalStreams = Context.Reference<{
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
}>("@aster-effect/cli/TerminalStreams", {
  defaultValue: () => ({ input: process.stdin, output: process.stdout })
})

/** Twice within this time Ctrl+C leaves, in milliseconds. */
const TWICE = 1500

/**
 * Lines of a terminal with editing, history and completion where standard input and output are one; else the lines of
 * standard input.
 *
 * @param complete the candidates for the last word of a line, and that word
 */
export const make = Effect.fnUntraced(function* (
  complete: (line: string) => readonly [ReadonlyArray<string>, string]
): Effect.fn.Return<LineInput, never, Scope.Scope | Stdio.Stdio> {
  const stdio = yield* Stdio.Stdio
  const terminal = (yield* stdio.stdinIsTerminal) && (yield* stdio.stdoutIsTerminal)
  return yield* terminal ? edited(complete) : piped
})

const piped: Effect.Effect<LineInput, never, Scope.Scope | Stdio.Stdio> = Effect.gen(function* () {
  const { stdin } = yield* Stdio.Stdio
  const lines = stdin.pipe(
    Stream.mapError(({ message }) => refused(`standard input cannot be read: ${message}`)),
    Stream.decodeText,
    Stream.splitLines
  )
  const pull = yield* Stream.toPull(lines)
  let waiting: Iterator<string> = [].values()
  let count = 0
  const next: Effect.Effect<string | undefined, CliFailure> = Effect.suspend(() => {
    const { done, value } = waiting.next()
    if (done === true) {
      const more = Effect.flatMap(pull, (lines) => ((waiting = lines.values()), next))
      return Pull.catchDone(more, () => Effect.succeed(undefined))
    }
    count++
    return Effect.succeed(value)
  })
  return { interactive: false, next: () => next, count: () => count, interrupted: Effect.never }
})

const edited = Effect.fnUntraced(function* (
  complete: (line: string) => readonly [ReadonlyArray<string>, string]
): Effect.fn.Return<LineInput, never, Scope.Scope> {
  const { input, output } = yield* TerminalStreams
  const lines = yield* Queue.unbounded<string, Cause.Done>()
  const interrupts = yield* Queue.sliding<void>(1)
  let idle = false
  let count = 0
  let pressed = -Infinity
  const editor = yield* Effect.acquireRelease(
    Effect.sync(() =>
      readline.createInterface({
        input,
        output,
        terminal: true,
        completer: (line: string): [Array<string>, string] => {
          const [found, word] = complete(line)
          return [[...found], word]
        }
      })
    ),
    (editor) => Effect.sync(() => editor.close())
  )
  editor.on("line", (line) => {
    count++
    Queue.offerUnsafe(lines, line)
  })
  let closed = false
  editor.on("close", () => {
    closed = true
    Queue.endUnsafe(lines)
  })
  editor.on("SIGINT", () => {
    const now = performance.now()
    if (idle && now - pressed < TWICE) return editor.close()
    // What was typed of the line is gone.
    editor.write(null, { ctrl: true, name: "e" })
    editor.write(null, { ctrl: true, name: "u" })
    output.write("\n")
    if (!idle) return void Queue.offerUnsafe(interrupts, undefined)
    pressed = now
    output.write("(Ctrl+C again, Ctrl+D or exit leaves)\n")
    editor.prompt()
  })
  return {
    interactive: true,
    count: () => count,
    next: (prompt, part = false) =>
      Effect.suspend(() => {
        idle = !part
        editor.setPrompt(prompt)
        // A line may have been typed ahead, and the end may have come.
        if (Queue.sizeUnsafe(lines) === 0 && !closed) editor.prompt()
        return Effect.catch(Queue.take(lines), () => Effect.succeed(undefined))
      }).pipe(Effect.ensuring(Effect.sync(() => (idle = false)))),
    interrupted: Effect.andThen(Queue.clear(interrupts), Queue.take(interrupts))
  }
})
