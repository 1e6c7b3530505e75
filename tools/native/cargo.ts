/** Where the crate is, where what cargo makes of it is kept, and what it is built for. */
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const crate = fileURLToPath(new URL("../../packages/iroh-native/crate/", import.meta.url))

/** Outside of the sources, so that a fresh clone builds only what has changed. */
export const cache =
  process.env["CARGO_TARGET_DIR"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "aster-effect", "cargo")

/** Rust's names of platforms in Node's. */
export const platforms: Readonly<Record<string, string>> = {
  "x86_64-unknown-linux-gnu": "linux-x64-gnu",
  "x86_64-unknown-linux-musl": "linux-x64-musl",
  "aarch64-unknown-linux-gnu": "linux-arm64-gnu",
  "aarch64-unknown-linux-musl": "linux-arm64-musl",
  "x86_64-apple-darwin": "darwin-x64",
  "aarch64-apple-darwin": "darwin-arm64",
  "x86_64-pc-windows-msvc": "win32-x64-msvc",
  "aarch64-pc-windows-msvc": "win32-arm64-msvc"
}
