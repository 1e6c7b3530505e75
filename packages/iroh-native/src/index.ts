/**
 * A native iroh binding for `@aster-effect/iroh`.
 *
 * @since 0.1.0
 */
export * as NativeBinding from "./NativeBinding.ts"
