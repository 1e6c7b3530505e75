/**
 * Builds every package and packs it as it would be published: `npm run pack -- DIRECTORY` (default `tarballs`).
 */
import { execFileSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "../..")

/** As much of a manifest as is needed here. */
interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** A package that is published, and its tarball. */
export interface Tarball {
  /** `@aster-effect/core` */
  readonly name: string
  /** The folder below `packages/`. */
  readonly folder: string
  readonly file: string
}

/** The folders of the packages that are published. */
export const published = (): ReadonlyArray<{ readonly folder: string; readonly manifest: Manifest }> =>
  readdirSync(path.join(root, "packages"))
    .filter((folder) => existsSync(path.join(root, "packages", folder, "package.json")))
    .map((folder) => ({ folder, manifest: readManifest(folder) }))
    .filter(({ manifest }) => manifest.private !== true)

const readManifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(path.join(root, "packages", folder, "package.json"), "utf8")) as Manifest

/** Removes what was built from sources that are gone: the compiler leaves it, and it would be packed. */
const removeStale = (folder: string): void => {
  const home = path.join(root, "packages", folder)
  for (const built of globSync("dist/**/*.{js,d.ts,js.map,d.ts.map}", { cwd: home })) {
    const source = built.replace(/^dist/, "src").replace(/(\.d\.ts|\.js)(\.map)?$/, ".ts")
    if (!existsSync(path.join(home, source))) rmSync(path.join(home, built))
  }
}

/** Builds and packs into `directory`, which is made if need be. */
export const pack = (directory: string): ReadonlyArray<Tarball> => {
  const packages = published()
  for (const { folder } of packages) removeStale(folder)
  const npm = (...args: ReadonlyArray<string>) =>
    execFileSync("npm", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 28 })
  execFileSync(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-b", "tsconfig.build.json"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"]
  })
  mkdirSync(directory, { recursive: true })
  const workspaces = packages.flatMap(({ folder }) => ["-w", `packages/${folder}`])
  const printed = npm("pack", "--json", "--ignore-scripts", "--pack-destination", directory, ...workspaces)
  const packed = Object.values(JSON.parse(printed) as Readonly<Record<string, { name: string; filename: string }>>)
  return packages.map(({ folder, manifest: { name } }) => {
    const { filename } = packed.find((each) => each.name === name)!
    return { name, folder, file: path.join(directory, filename) }
  })
}

if (import.meta.main) {
  for (const { file } of pack(path.resolve(process.argv[2] ?? "tarballs"))) console.log(path.relative("", file))
}
