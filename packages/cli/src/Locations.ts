import { homeDirectory } from "@aster-effect/config/HomeDirectory"
import * as Context from "effect/Context"
import { devNull } from "node:os"
import * as path from "node:path"

/**
 * Where the command runs: the user's home directory and the working directory, both absolute. Default: the process's.
 *
 * @since 0.1.0
 */
export interface Locations {
  readonly home: string
  readonly directory: string
}

/** @since 0.1.0 */
export const Locations: Context.Reference<Locations> = Context.Reference<Locations>("@aster-effect/cli/Locations", {
  defaultValue: () => ({
    // Where there is no home directory nothing is to land anywhere else: this is a place that cannot exist.
    home: homeDirectory() ?? path.join(devNull, "no home directory, set HOME"),
    directory: process.cwd()
  })
})

/** The absolute form of a path as a user writes it: `~/x` is in the home directory. @since 0.1.0 */
export const resolve = ({ directory, home }: Locations, file: string): string =>
  file === "~" || file.startsWith("~/") ? path.join(home, file.slice(1)) : path.resolve(directory, file)

/** Profiles and settings of the operator. @since 0.1.0 */
export const settingsFile = ({ home }: Locations): string => path.join(home, ".aster", "config.toml")

/** Where a root key is looked for that is in no keyring. @since 0.1.0 */
export const rootKeyFile = ({ home }: Locations): string => path.join(home, ".aster", "root.key")

/** Where `aster keygen producer` puts a node's key. @since 0.1.0 */
export const nodeKeyFile = ({ home }: Locations): string => path.join(home, ".aster", "node.key")
