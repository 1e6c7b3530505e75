/**
 * Runs the tests of the addon under AddressSanitizer: `npm run sanitize:native`, on Linux with glibc.
 *
 * Needs a nightly toolchain of Rust (`rustup toolchain install nightly`) and GCC with its libasan, which Node loads before
 * anything else. All of the addon is compiled with checks, what it links too; Node and V8 are not, but their allocations are
 * watched. What tests of growth see would be the sanitizer's own memory, so these are left out.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { cache, crate, platforms } from "./cargo.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const host = /^host: (.*)$/m.exec(execFileSync("rustc", ["-vV"], { encoding: "utf8" }))?.[1] ?? ""
const platform = platforms[host]
if (platform === undefined || !host.endsWith("linux-gnu")) throw new Error(`there is no sanitizer for ${host}`)

const target = join(cache, "address")
const build = spawnSync("cargo", ["+nightly", "build", "--locked", "--profile", "fast", "--target", host], {
  cwd: crate,
  stdio: "inherit",
  env: {
    ...process.env,
    CARGO_TARGET_DIR: target,
    // With optimization of little: reports name lines, and nothing is left out for being unused.
    CARGO_PROFILE_FAST_OPT_LEVEL: "1",
    CARGO_PROFILE_FAST_DEBUG: "line-tables-only",
    CARGO_PROFILE_FAST_STRIP: "none",
    RUSTFLAGS: [process.env["RUSTFLAGS"] ?? "", "-Zsanitizer=address"].join(" ")
  }
})
if (build.status !== 0) process.exit(build.status ?? 1)

const addon = join(root, `packages/iroh-native/native/iroh-native.${platform}.node`)
const usual = `${addon}.usual`
mkdirSync(join(addon, ".."), { recursive: true })
// One that is there was left by a run that was killed, and what is in its place is not the usual one.
if (existsSync(addon) && !existsSync(usual)) copyFileSync(addon, usual)
try {
  copyFileSync(join(target, host, "fast/libaster_iroh_native.so"), addon)
  const tests = ["test/e2e/iroh/IrohNode.test.ts", "test/e2e/iroh-native"]
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "e2e-native", ...tests]
  const { status } = spawnSync(process.execPath, [...vitest, "-t", "^(?!.*(leave nothing|without trace))"], {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      LD_PRELOAD: execFileSync("gcc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim(),
      // Node ends without freeing, and V8 asks for more than it gets at times.
      ASAN_OPTIONS: "detect_leaks=0:allocator_may_return_null=1"
    }
  })
  process.exitCode = status ?? 1
} finally {
  if (existsSync(usual)) {
    copyFileSync(usual, addon)
    rmSync(usual)
  } else rmSync(addon)
}
