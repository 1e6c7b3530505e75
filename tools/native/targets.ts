/**
 * The packages that carry addons, one for each platform: `node targets.ts FOLDER_OF_ADDONS FOLDER_FOR_PACKAGES`.
 *
 * For every `iroh-native.PLATFORM.node` a folder is made that `npm pack` and `npm publish` take, with the
 * licences of what is linked in. `--main` also lists all of them as optional dependencies in the manifest of the main
 * package, as it is published; in the repository it has none, since they are not there before a release.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { platforms } from "./cargo.ts"
import { notices } from "./notices.ts"

const home = fileURLToPath(new URL("../../packages/iroh-native/", import.meta.url))

interface Manifest {
  readonly name: string
  readonly version: string
  readonly [key: string]: unknown
}

const readMain = (): Manifest => JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as Manifest

/** The manifest of a platform's package: npm installs it only where it fits. */
const manifestOf = (platform: string): Manifest => {
  const { bugs, engines, homepage, license, name, publishConfig, repository, version } = readMain()
  const [os, cpu, libc] = platform.split("-")
  const file = `iroh-native.${platform}.node`
  return {
    name: `${name}-${platform}`,
    version,
    description: `The addon of ${name} for ${platform}.`,
    homepage,
    bugs,
    repository,
    license,
    engines,
    os: [os],
    cpu: [cpu],
    ...(os === "linux" ? { libc: [libc === "gnu" ? "glibc" : "musl"] } : {}),
    main: file,
    files: [file, "THIRD-PARTY-LICENSES.md"],
    publishConfig
  }
}

/** Makes the package of an addon and answers its folder. */
export const makePackage = (addon: string, platform: string, folder: string): string => {
  const manifest = manifestOf(platform)
  const triple = Object.keys(platforms).find((triple) => platforms[triple] === platform)
  const into = join(folder, platform)
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
  writeFileSync(
    join(into, "README.md"),
    `# ${manifest.name}\n\nThe addon of [@aster-effect/iroh-native](https://www.npmjs.com/package/@aster-effect/iroh-native) for ${platform}.\nInstall that one.\n`
  )
  writeFileSync(join(into, "THIRD-PARTY-LICENSES.md"), notices(triple))
  copyFileSync(join(home, "../../LICENSE"), join(into, "LICENSE"))
  copyFileSync(addon, join(into, `iroh-native.${platform}.node`))
  return into
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { main: { type: "boolean" } } })
  const [addons = join(home, "native"), packages = join(home, "npm")] = positionals
  for (const name of readdirSync(addons)) {
    const platform = /^iroh-native\.(.+)\.node$/.exec(name)?.[1]
    if (platform !== undefined) process.stdout.write(`${makePackage(join(addons, name), platform, packages)}\n`)
  }
  if (values.main === true) {
    const main = readMain()
    const optionalDependencies = Object.fromEntries(
      Object.values(platforms).map((platform) => [`${main.name}-${platform}`, main.version])
    )
    writeFileSync(join(home, "package.json"), `${JSON.stringify({ ...main, optionalDependencies }, null, 2)}\n`)
  }
}
