/** What the rules on style refuse and let through. */
import { assert, describe, it } from "@effect/vitest"
import { lint } from "./lint.ts"

const doc = "/** A thing. @since 0.1.0 */ "
const effects = 'import * as Effect from "effect/Effect"; '
const tagged = `${doc}export class A extends Data.TaggedError("A")<{}> {}`
const plain = `${doc}export class A extends Error {}`

type Case = readonly [rule: string, file: string, line: string, refused: boolean]

const cases: ReadonlyArray<Case> = [
  ["errors", "packages/core/src/wire/Planted.ts", tagged, true],
  ["errors", "packages/trust/src/Planted.ts", `${doc}export class A extends TaggedError("A")<{}> {}`, true],
  ["errors", "packages/trust/src/Planted.ts", `${doc}export class A extends Schema.ErrorClass<A>("A")({}) {}`, true],
  [
    "errors",
    "packages/trust/src/Planted.ts",
    `${doc}export class A extends Schema.TaggedError<A>()("A", {}) {}`,
    false
  ],
  ["errors", "packages/trust/src/internal/planted.ts", tagged, false],
  ["errors", "packages/iroh-blobs/src/Planted.ts", tagged, false],
  ["errors", "packages/iroh-blobs/src/Planted.ts", effects + plain, true],
  ["errors", "packages/core/src/wire/Planted.ts", `${effects}${doc}export class A extends RangeError {}`, true],
  ["errors", "packages/core/src/wire/Planted.ts", plain, false],
  ["errors", "packages/core/src/wire/Planted.ts", `import type * as Effect from "effect/Effect"; ${plain}`, false],
  ["errors", "packages/core/src/call/proto/Planted.ts", effects + plain, false],
  ["errors", "test/planted.ts", effects + plain, false],
  ["namespaces", "packages/core/src/Planted.ts", 'import { succeed } from "effect/Effect"', true],
  ["namespaces", "test/planted.ts", 'import { type Effect, succeed } from "effect/Effect"', true],
  ["namespaces", "packages/core/src/Planted.ts", 'import * as Effect from "effect/Effect"', false],
  ["namespaces", "packages/core/src/Planted.ts", 'import { identity } from "effect/Function"', false],
  ["namespaces", "packages/core/src/Planted.ts", 'import { ParentSpan } from "effect/Tracer"', false],
  ["namespaces", "packages/core/src/Planted.ts", 'import type { succeed } from "effect/Effect"', false],
  ["documented", "packages/core/src/Planted.ts", "export const a = 1", true],
  ["documented", "packages/core/src/Planted.ts", `${doc}export const a = 1; export const b = 2`, true],
  ["documented", "packages/core/src/Planted.ts", `${doc}export interface A {} export const A = 1`, false],
  ["documented", "packages/core/src/Planted.ts", "/** No date. */ export const a = 1", true],
  ["documented", "packages/core/src/internal/planted.ts", "export const a = 1", false]
]

describe("the rules on style", () => {
  it.each([...new Set(cases.map(([rule]) => rule))])("%s: refuses what it is there for, and nothing else", (rule) => {
    // A file each, since what stands before counts.
    const planted = cases
      .filter(([of]) => of === rule)
      .map(([, file, line, refused], i) => ({ file: file.replace(/lanted/, `lanted${i}`), line, refused }))
    const found = lint(rule, new Map(planted.map(({ file, line }) => [file, [line]])))
    const wrong = planted.filter(({ file, refused }) => found.has(`${file}:1`) !== refused)
    assert.deepStrictEqual(wrong, [])
  })
})
