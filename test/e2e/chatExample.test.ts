/** The chat of docs/gossip.md, as processes. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("../../examples/chat/index.js", import.meta.url))

const chat = (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, ["--conditions=@aster-effect/source", program, ...args])
  const printed = { out: "" }
  child.stdout.on("data", (bytes) => (printed.out += bytes))
  return { child, printed, say: (line: string) => child.stdin.write(`${line}\n`) }
}

const until = async (condition: () => boolean, what: string) => {
  for (let i = 0; i < 4500; i++) {
    if (condition()) return
    await sleep(20)
  }
  assert.fail(`in vain: ${what}`)
}

describe("examples/chat", () => {
  it("three talk to each other, and say the same twice", async () => {
    const ann = chat("ann")
    const all = [ann]
    try {
      await until(() => ann.printed.out.includes("aster1"), "the ticket is printed")
      const [ticket] = /aster1\S+/.exec(ann.printed.out)!
      const bob = chat("bob", ticket)
      const cy = chat("cy", ticket)
      all.push(bob, cy)
      // Who has just begun may not have joined yet.
      const hello = async () => {
        for (let i = 0; !bob.printed.out.includes("cy: hello"); i++) {
          cy.say(`hello ${i}`)
          await sleep(200)
        }
      }
      await hello()
      for (const { say } of [ann, ann, bob]) say("good morning")
      const count = (out: string) => out.split("good morning").length - 1
      await until(() => count(cy.printed.out) === 3 && count(bob.printed.out) === 2, "all hear all")
      assert.include(cy.printed.out, "ann: good morning\n")
    } finally {
      for (const { child } of all) child.kill("SIGKILL")
    }
  })
})
