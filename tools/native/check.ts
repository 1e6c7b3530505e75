/**
 * What the crate has to pass: format, clippy without a warning, its tests, and the licences of what it links. cargo-deny
 * looks for licences and advisories where it is installed, as it is where releases are made.
 */
import { spawnSync } from "node:child_process"
import { cache, crate } from "./cargo.ts"
import { linked } from "./notices.ts"

const cargo = (...args: ReadonlyArray<string>): number | null => {
  process.stdout.write(`cargo ${args.join(" ")}\n`)
  return spawnSync("cargo", args, { cwd: crate, stdio: "inherit", env: { ...process.env, CARGO_TARGET_DIR: cache } })
    .status
}

for (const args of [
  ["fmt", "--check"],
  ["clippy", "--locked", "--profile", "fast", "--all-targets", "--", "-D", "warnings"],
  ["test", "--locked", "--profile", "fast"]
]) {
  if (cargo(...args) !== 0) process.exit(1)
}

const without = linked().filter(({ texts }) => texts.length === 0)
process.stdout.write(`${linked().length} crates are linked; ${without.length} carry no licence text of their own\n`)

if (spawnSync("cargo", ["deny", "--version"]).status !== 0)
  process.stdout.write("cargo-deny is not installed: skipped\n")
else if (cargo("deny", "--locked", "check", "licenses", "bans", "sources") !== 0) process.exit(1)
