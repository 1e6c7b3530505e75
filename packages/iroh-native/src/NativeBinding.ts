/**
 * The binding itself. `IrohNode.layer` finds and takes it; a program needs this only to ask whether it is there.
 *
 * @since 0.1.0
 */
import type { Binding } from "@aster-effect/iroh/Binding"
import { loadAddon } from "./internal/addon.ts"
import { bind } from "./internal/endpoint.ts"

/**
 * The binding, or undefined where there is no addon for this platform: neither built (`npm run build:native`) nor
 * installed. Throws when there is one that cannot be used.
 */
export const load = (): Binding | undefined => {
  const addon = loadAddon()
  return (
    addon && { name: "@aster-effect/iroh-native", bind: (options) => bind(addon, options), blake3: addon.blake3Subtree }
  )
}
