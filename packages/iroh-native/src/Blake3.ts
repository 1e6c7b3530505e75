/**
 * BLAKE3 by the addon, with the instructions that the processor has.
 *
 * @since 0.1.0
 */
import { loadAddon } from "./internal/addon.ts"

/** The hash function: 32 bytes of any. Undefined where there is no addon. */
export const load = (): ((bytes: Uint8Array) => Uint8Array) | undefined => loadAddon()?.blake3
