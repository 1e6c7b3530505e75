import { createRequire } from "node:module"

const require = createRequire(import.meta.url)

const versionOf = (name: string): string => {
  const manifest: unknown = require(`${name}/package.json`)
  return typeof manifest === "object" && manifest !== null && "version" in manifest
    ? String(manifest.version)
    : "unknown"
}

/** The version of this command. */
export const own: string = versionOf("@aster-effect/cli")

/** The answer to `--version`: program, libraries, runtime. */
export const versionText = (program: string): string =>
  `${program} ${own} (@aster-effect/core ${versionOf("@aster-effect/core")}, effect ${versionOf("effect")}, Node.js ${process.versions.node})`
