import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { printable } from "../printable.ts"

/** Prints one JSON document. */
export const printJson = (value: unknown): Effect.Effect<void> =>
  Console.log(printable(JSON.stringify(value, undefined, 2)))

/** Lines of labels and values, in two columns. */
export const printTable = (rows: ReadonlyArray<readonly [string, string]>): Effect.Effect<void> =>
  Effect.forEach(rows, ([label, value]) => Console.log(printable(`${`${label}:`.padEnd(10)}${value}`)), {
    discard: true
  })

/** How many files. */
export const filesText = (count: number): string => (count === 1 ? "1 file" : `${count} files`)
