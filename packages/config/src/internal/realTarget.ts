import * as fs from "node:fs/promises"
import * as path from "node:path"
import { expandHome } from "../HomeDirectory.ts"

/** As many links in a row as Linux follows. */
const maxLinks = 40

const linkOf = async (file: string): Promise<string | undefined> => {
  try {
    return await fs.readlink(file)
  } catch {
    return undefined
  }
}

/** The directory with every link resolved, as far as it exists. */
const realDirectory = async (directory: string): Promise<string> => {
  try {
    return await fs.realpath(directory)
  } catch {
    const parent = path.dirname(directory)
    return parent === directory ? directory : path.join(await realDirectory(parent), path.basename(directory))
  }
}

/** Where a file really is or would be: absolute, `~` expanded, symbolic links followed, also those that lead nowhere yet. */
export const realTarget = async (file: string): Promise<string> => {
  let target = path.resolve(expandHome(file))
  for (let i = 0; i < maxLinks; i++) {
    target = path.join(await realDirectory(path.dirname(target)), path.basename(target))
    const link = await linkOf(target)
    if (link === undefined) return target
    target = path.resolve(path.dirname(target), link)
  }
  throw Object.assign(new Error(`too many symbolic links: ${file}`), { code: "ELOOP" })
}
