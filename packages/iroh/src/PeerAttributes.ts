/**
 * What peers were admitted with, for protocols that have no other way to ask.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { EndpointId } from "./EndpointId.ts"

/**
 * Whoever admits peers provides this around the handlers of its router. By default nobody was asked and there are none.
 *
 * @since 0.1.0
 */
export const PeerAttributes = Context.Reference<(id: EndpointId) => ReadonlyMap<string, string>>(
  "@aster-effect/iroh/PeerAttributes",
  { defaultValue: () => () => NONE }
)

const NONE: ReadonlyMap<string, string> = new Map()
