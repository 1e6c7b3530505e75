/**
 * Builds the addon with cargo and puts it where the package looks for it.
 *
 *     npm run build:native -- [--fast] [--target aarch64-unknown-linux-gnu.2.28] [--out FOLDER]
 *
 * `--fast` leaves out the optimization across crates: half the time to build, about a tenth slower. With a target,
 * cargo-zigbuild does it, if it is installed and the target is one of Linux.
 *
 * What cargo makes is kept outside of the sources, in CARGO_TARGET_DIR or the user's cache, so that a fresh clone builds
 * only what has changed.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { cache, crate, platforms } from "./cargo.ts"

const { values } = parseArgs({
  options: { fast: { type: "boolean" }, target: { type: "string" }, out: { type: "string" } }
})

const fail = (text: string): never => {
  process.stderr.write(`${text}\n`)
  process.exit(1)
}

const output = (command: string, ...args: ReadonlyArray<string>): string => {
  const { error, status, stdout } = spawnSync(command, args, { encoding: "utf8" })
  if (error !== undefined || status !== 0) {
    return fail(`${command} is needed to build the addon: install Rust 1.91 or newer, see https://rustup.rs`)
  }
  return stdout
}

const host = /^host: (.*)$/m.exec(output("rustc", "-vV"))?.[1] ?? ""
const wanted = values.target ?? host
const triple = wanted.replace(/\.\d+\.\d+$/, "")
const platform = platforms[triple] ?? fail(`${triple} is none of ${Object.keys(platforms).join(", ")}`)

const profile = values.fast === true ? "fast" : "release"

// Linked to musl dynamically, since Node is.
const flags = triple.endsWith("musl") ? ["-C", "target-feature=-crt-static"] : []
const crossed = wanted !== host && triple.includes("linux")
const { status } = spawnSync(
  "cargo",
  [
    ...(crossed ? ["zigbuild"] : ["build"]),
    "--locked",
    "--profile",
    profile,
    ...(values.target === undefined ? [] : ["--target", wanted])
  ],
  {
    cwd: crate,
    stdio: "inherit",
    env: {
      ...process.env,
      CARGO_TARGET_DIR: cache,
      ...(flags.length === 0 ? {} : { RUSTFLAGS: [process.env["RUSTFLAGS"] ?? "", ...flags].join(" ") })
    }
  }
)
if (status !== 0) fail("cargo did not build the addon")

const library = triple.includes("windows")
  ? "aster_iroh_native.dll"
  : `libaster_iroh_native.${triple.includes("apple") ? "dylib" : "so"}`
const built = join(cache, ...(values.target === undefined ? [] : [triple]), profile, library)
if (!existsSync(built)) fail(`cargo has not made ${built}`)

/** The newest version of glibc that a library asks for, as the names of symbol versions in it say. */
const newestGlibc = (library: string): string =>
  [...readFileSync(library, "latin1").matchAll(/\0GLIBC_(\d+\.\d+)(?:\.\d+)?(?=\0)/g)]
    .map(([, version]) => version!)
    .reduce((a, b) => (a.localeCompare(b, "en", { numeric: true }) < 0 ? b : a), "0")

const floor = /(?<=-gnu\.)\d+\.\d+$/.exec(wanted)?.[0]
if (floor !== undefined) {
  const newest = newestGlibc(built)
  process.stdout.write(`it needs glibc ${newest}\n`)
  if (newest.localeCompare(floor, "en", { numeric: true }) > 0) fail(`the addon is to run on glibc ${floor}`)
}

const folder = values.out ?? fileURLToPath(new URL("../../packages/iroh-native/native/", import.meta.url))
mkdirSync(folder, { recursive: true })
const path = join(folder, `iroh-native.${platform}.node`)
// Moved into place: a process that has the old one loaded keeps it.
copyFileSync(built, `${path}.new`)
renameSync(`${path}.new`, path)
process.stdout.write(`${path}\n`)
