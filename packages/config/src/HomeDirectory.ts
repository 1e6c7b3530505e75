/**
 * Where `~` is.
 *
 * @since 0.1.0
 */
import { homedir, userInfo } from "node:os"
import * as path from "node:path"

/** The user database's word; a user id without an entry has none. */
const recorded = (): string => {
  try {
    return userInfo().homedir
  } catch {
    return ""
  }
}

/**
 * The user's home directory, always absolute: `HOME`, else what the user database says. An empty or relative `HOME` does
 * not count, since files would then land in the working directory. Undefined when neither names a directory.
 *
 * @since 0.1.0
 */
export const homeDirectory = (): string | undefined => [homedir(), recorded()].find((home) => path.isAbsolute(home))

/** Whether a path starts in the home directory. @since 0.1.0 */
export const isInHome = (file: string): boolean => file === "~" || file.startsWith("~/")

/**
 * The path with a leading `~` or `~/` replaced by the home directory. Where there is none the path stays as it is, and a
 * `~` is a name like any other.
 *
 * @since 0.1.0
 */
export const expandHome = (file: string): string => {
  const home = isInHome(file) ? homeDirectory() : undefined
  return home === undefined ? file : path.join(home, file.slice(1))
}
