import type { Resolved } from "@aster-effect/config/AsterConfig"
import type { Implementation } from "@aster-effect/core/service/Service"
import * as Logging from "@aster-effect/observability/Logging"
import * as Layer from "effect/Layer"

/** What the settings say of the log; undefined where they say nothing, and the program has the word. */
const settingsOf = ({ logFormat, logLevel, logMask, source }: Resolved): Logging.LogSettings | undefined =>
  (["logFormat", "logLevel", "logMask"] as const).every((name) => source(name).kind === "default")
    ? undefined
    : { format: logFormat, mask: logMask, level: source("logLevel").kind === "default" ? undefined : logLevel }

/** Logs as the settings say. */
export const layer = (config: Resolved): Layer.Layer<never> => {
  const settings = settingsOf(config)
  return settings === undefined ? Layer.empty : Logging.layer(settings)
}

/** Handlers were made outside of the server, and log like it all the same. */
export const within = (implementation: Implementation, config: Resolved): Implementation => {
  const settings = settingsOf(config)
  if (settings === undefined) return implementation
  return { ...implementation, context: Logging.within(implementation.context, settings) }
}
