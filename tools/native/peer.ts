/**
 * Builds the Rust peer that tests talk to, so that no test has to wait for it: `npm run build:peer`. What cargo makes is kept
 * where the addon's is. `npm run build:peer -- --release` builds what benches compare with.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { cache } from "./cargo.ts"

const { status } = spawnSync("cargo", ["build", "--locked", ...process.argv.slice(2)], {
  cwd: fileURLToPath(new URL("../../test/peers/iroh-rs", import.meta.url)),
  env: { ...process.env, CARGO_TARGET_DIR: cache },
  stdio: "inherit"
})
process.exitCode = status ?? 1
