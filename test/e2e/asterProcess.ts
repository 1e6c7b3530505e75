/** The real `aster` command as a process, in a home directory of its own and on loopback. */
import { assert } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../packages/cli/bin/aster.js", import.meta.url))

export const asterProcess = (home: string, args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, ["--conditions=@aster-effect/source", bin, ...args], {
    cwd: home,
    env: {
      PATH: process.env["PATH"],
      HOME: home,
      ASTER_RELAY_MODE: "disabled",
      ASTER_BIND_ADDR: "127.0.0.1:0",
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${home}/none`
    },
    stdio: ["pipe", "pipe", "pipe"]
  })
  const printed = { out: "", err: "" }
  child.stdout.on("data", (bytes) => (printed.out += bytes))
  child.stderr.on("data", (bytes) => (printed.err += bytes))
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...printed }))
  return { child, printed, ended }
}

/** Waits for as long as a minute and a half. */
export const until = async (condition: () => Promise<boolean> | boolean, what: string) => {
  for (let i = 0; i < 4500; i++) {
    if (await condition()) return
    await sleep(20)
  }
  assert.fail(`in vain: ${what}`)
}
