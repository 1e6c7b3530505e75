import type { Resolved } from "@aster-effect/config/AsterConfig"
import { logSettings } from "@aster-effect/config/LogSettings"
import type { Implementation } from "@aster-effect/core/service/Service"
import * as Logging from "@aster-effect/observability/Logging"
import * as Layer from "effect/Layer"

/** Logs as the settings say. */
export const layer = (config: Resolved): Layer.Layer<never> => {
  const settings = logSettings(config)
  return settings === undefined ? Layer.empty : Logging.layer(settings)
}

/** Handlers were made outside of the server, and log like it all the same. */
export const within = (implementation: Implementation, config: Resolved): Implementation => {
  const settings = logSettings(config)
  if (settings === undefined) return implementation
  return { ...implementation, context: Logging.within(implementation.context, settings) }
}
