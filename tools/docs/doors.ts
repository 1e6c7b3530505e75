/** The modules of each package, and of each of its rooms, that can be imported. */
import { existsSync, readdirSync } from "node:fs"
import * as path from "node:path"
import { packages, rooms } from "../lint/layers.ts"

/** The names of the modules in a folder: all but its index. */
const modulesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && file !== "index.ts")
    .map((file) => file.replace(/\.ts$/, ""))
    .sort()

/** The folders of a package that have doors, the rooms in their order. */
const foldersIn = (root: string, name: string): ReadonlyArray<string> =>
  rooms[name] ??
  readdirSync(path.join(root, "packages", name, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "internal" && entry.name !== "proto")
    .map((entry) => entry.name)

/** `["core/wire", ["Frame", ...]]` for every package and folder that has modules, in the order of the layers. */
export const doors = (root: string): ReadonlyArray<readonly [string, ReadonlyArray<string>]> =>
  Object.keys(packages)
    .filter((name) => existsSync(path.join(root, "packages", name, "src")))
    .flatMap((name) => [[name], ...foldersIn(root, name).map((folder) => [name, folder])])
    .map(([name = "", ...folder]) => {
      const modules = modulesIn(path.join(root, "packages", name, "src", ...folder))
      return [[name, ...folder].join("/"), modules] as const
    })
    .filter(([, modules]) => modules.length > 0)

export const doorsTable = (root: string): string =>
  ["| import from | doors |", "|---|---|"]
    .concat(doors(root).map(([place, modules]) => `| \`@aster-effect/${place}/\` | ${modules.join(", ")} |`))
    .join("\n") + "\n"
