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
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: { fast: { type: "boolean" }, target: { type: "string" }, out: { type: "string" } }
})

/** Rust's names of platforms in Node's. The C library's version may follow a dot. */
const platforms: Readonly<Record<string, string>> = {
  "x86_64-unknown-linux-gnu": "linux-x64-gnu",
  "x86_64-unknown-linux-musl": "linux-x64-musl",
  "aarch64-unknown-linux-gnu": "linux-arm64-gnu",
  "aarch64-unknown-linux-musl": "linux-arm64-musl",
  "x86_64-apple-darwin": "darwin-x64",
  "aarch64-apple-darwin": "darwin-arm64",
  "x86_64-pc-windows-msvc": "win32-x64-msvc",
  "aarch64-pc-windows-msvc": "win32-arm64-msvc"
}

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

const cache =
  process.env["CARGO_TARGET_DIR"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "aster-effect", "cargo")
const crate = fileURLToPath(new URL("../crate/", import.meta.url))
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

const folder = values.out ?? fileURLToPath(new URL("../native/", import.meta.url))
mkdirSync(folder, { recursive: true })
const path = join(folder, `iroh-native.${platform}.node`)
// Moved into place: a process that has the old one loaded keeps it.
copyFileSync(built, `${path}.new`)
renameSync(`${path}.new`, path)
process.stdout.write(`${path}\n`)
