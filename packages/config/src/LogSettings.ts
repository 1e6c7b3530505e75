/**
 * What a configuration says of the log.
 *
 * @since 0.1.0
 */
import type { Resolved } from "./AsterConfig.ts"
import type { Settings } from "./Settings.ts"

/** @since 0.1.0 */
export interface LogSettings {
  readonly format: Settings["logFormat"]
  /** The least that is logged; undefined where the settings leave it to the program. */
  readonly level: Settings["logLevel"] | undefined
  readonly mask: boolean
}

/** Undefined where the settings say nothing, and the program has the word. @since 0.1.0 */
export const logSettings = ({ logFormat, logLevel, logMask, source }: Resolved): LogSettings | undefined =>
  (["logFormat", "logLevel", "logMask"] as const).every((name) => source(name).kind === "default")
    ? undefined
    : { format: logFormat, mask: logMask, level: source("logLevel").kind === "default" ? undefined : logLevel }
