/**
 * BLAKE3 by native code, where a binding that was loaded brings it. Without one, whoever hashes does it in JavaScript.
 *
 * @since 0.1.0
 */

/**
 * The chaining value, 32 bytes, of the subtree over `bytes`, whose first chunk has index `chunk`; of the root it is the
 * hash. `bytes` are whole chunks of 1,024 bytes but for the last of the blob, and as many as a subtree at that place has.
 *
 * @since 0.1.0
 */
export type Subtree = (bytes: Uint8Array, chunk: number, root: boolean) => Uint8Array

let installed: Subtree | undefined

/** The native one. Undefined as long as there is none. @since 0.1.0 */
export const native = (): Subtree | undefined => installed

/** Offers one to the process. The first one stays. @since 0.1.0 */
export const install = (subtree: Subtree | undefined): void => {
  installed ??= subtree
}
