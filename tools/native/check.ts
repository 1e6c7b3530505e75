/**
 * What the crate has to pass: format, clippy without a warning, its tests, and the licences of what it links, which are
 * listed in the crate's LICENSES.md. cargo-deny looks closer where it is installed, and for advisories where releases are
 * made.
 */
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { cache, crate } from "./cargo.ts"
import { allowed, isMet } from "./licences.ts"
import { linked, list } from "./notices.ts"

const { values } = parseArgs({ options: { update: { type: "boolean" } } })

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

/** In the sources, so that whoever changes what is linked sees it. */
const listed = join(crate, "LICENSES.md")
const crates = linked()
const page = `# What is linked into the addon

On all platforms together. The texts are in the packages that carry the addon. \`npm run check:native -- --update\` writes
this page.

${list(crates)}
`
if (values.update === true) writeFileSync(listed, page)
else if (readFileSync(listed, "utf8") !== page) {
  process.stderr.write("LICENSES.md of the crate is not what is linked: npm run check:native -- --update\n")
  process.exit(1)
}
const registry = "registry+https://github.com/rust-lang/crates.io-index"
for (const [, source] of readFileSync(join(crate, "Cargo.lock"), "utf8").matchAll(/^source = "(.*)"$/gm)) {
  if (source === registry) continue
  process.stderr.write(`Cargo.lock takes something from ${source}: crates.io alone\n`)
  process.exit(1)
}
const may = allowed()
const refused = crates.filter(({ license = "" }) => !isMet(license, may))
for (const { license, title } of refused) process.stderr.write(`deny.toml does not allow ${title}: ${license}\n`)
if (refused.length > 0) process.exit(1)
process.stdout.write(`${crates.length} crates are linked, under allowed licences\n`)

if (spawnSync("cargo", ["deny", "--version"]).status !== 0)
  process.stdout.write("cargo-deny is not installed: skipped\n")
else if (!cargo(["deny", "--locked", "check", "licenses", "bans", "sources"])) process.exit(1)
