/**
 * What the crate has to pass: format, clippy without a warning, its tests, and the licences of what it links. cargo-deny
 * looks for licences and advisories where it is installed, as it is where releases are made.
 */
import { spawnSync } from "node:child_process"
import { cache, crate } from "./cargo.ts"
import { linked } from "./notices.ts"

const cargo = (args: ReadonlyArray<string>, environment: Readonly<Record<string, string>> = {}): boolean => {
  process.stdout.write(`cargo ${args.join(" ")}\n`)
  const env = { ...process.env, ...environment, CARGO_TARGET_DIR: cache }
  return spawnSync("cargo", args, { cwd: crate, stdio: "inherit", env }).status === 0
}

/** In place of `cargo clippy`, for a build: what the addon links is then not compiled a second time for the lints alone. */
const clippy = { RUSTC_WORKSPACE_WRAPPER: "clippy-driver" }

const passed =
  cargo(["fmt", "--check"]) &&
  cargo(["rustc", "--locked", "--profile", "fast", "--", "--deny", "warnings"], clippy) &&
  cargo(["test", "--locked", "--profile", "fast"])
if (!passed) process.exit(1)

const without = linked().filter(({ texts }) => texts.length === 0)
process.stdout.write(`${linked().length} crates are linked; ${without.length} carry no licence text of their own\n`)

if (spawnSync("cargo", ["deny", "--version"]).status !== 0)
  process.stdout.write("cargo-deny is not installed: skipped\n")
else if (!cargo(["deny", "--locked", "check", "licenses", "bans", "sources"])) process.exit(1)
