/** docs/production.md, by its commands and the output it shows. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { readFileSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Child } from "../faults/Child.ts"
import { line, shell, stop } from "../faults/Shell.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const page = readFileSync(join(root, "docs/production.md"), "utf8")

/** Blocks of commands: what is to happen with them, in which directory, and lines of what they print. */
const blocks = [...page.matchAll(/^```sh (\w+)(?: in=(\w+))?\n([\s\S]*?)^```$(?:\n\n```text\n([\s\S]*?)^```$)?/gm)].map(
  ([, how, below, commands = "", printed = ""]) => ({
    how: how!,
    below,
    commands: commands.trim().split("\n"),
    printed: printed.trimEnd().split("\n")
  })
)

/** Whether a text has a line of the page, in which "..." is whatever the machine makes of it. */
const shows = (text: string, expected: string): boolean =>
  text.split("\n").some((line) => {
    let at = 0
    return expected.split("...").every((part) => {
      const found = line.indexOf(part, at)
      at = found + part.length
      return found >= 0
    })
  })

describe("docs/production.md", () => {
  it.live(
    "leads from nothing to a gated producer, an enrolled consumer, and a stranger who is refused",
    () =>
      Effect.gen(function* () {
        const { ended, environment, place, run, variables } = yield* shell
        symlinkSync(join(root, "examples"), join(place, "examples"))
        const [, exported = ""] = /^export (.*)$/m.exec(page) ?? []
        for (const [name, value] of exported.split(" ").map((text) => text.split("="))) environment[name!] = value

        let producer: Child | undefined
        const produce = Effect.fnUntraced(function* (command: string, below: string | undefined) {
          if (producer !== undefined) yield* stop(producer)
          producer = yield* run(command, below)
          const [text, address = ""] = yield* line(producer, /^Billing serving at (\S+) \(trusted\)$/)
          variables["ADDRESS"] = address
          return { code: 0, text }
        })
        const execute = Effect.fnUntraced(function* (command: string, below: string | undefined) {
          const [program, ...args] = command.split(" ")
          if (!/^(mkdir|mv|cp|grep)$/.test(program!)) {
            const { code, lines, stderr } = yield* ended(command, below)
            return { code, text: [...lines, stderr].join("\n") }
          }
          const text = execFileSync(program!, args, { cwd: join(place, below ?? ""), encoding: "utf8" })
          const [, endpointId] = /endpoint_id = "(\w+)"/.exec(text) ?? []
          if (endpointId !== undefined) variables["ENDPOINT_ID"] = endpointId
          return { code: 0, text }
        })

        const seen = new Set<string>()
        for (const { below, commands, how, printed } of blocks) {
          seen.add(how)
          for (const command of commands) {
            const act = how === "serve" || how === "restart" ? produce : execute
            const { code, text } = yield* act(command, below)
            assert.strictEqual(code, how === "refused" ? 1 : 0, `${command}\n${text}`)
            // What is shown is what the last one prints, or why each is refused.
            if (how !== "refused" && command !== commands.at(-1)) continue
            for (const expected of printed) {
              assert.isTrue(shows(text, expected), `${command}\n${text}\nlacks ${expected}`)
            }
          }
        }
        assert.sameMembers([...seen], ["run", "serve", "refused", "restart"])
        yield* stop(producer!)
      }),
    300_000
  )
})
