/** @since 0.1.0 */
export * as Alpn from "./Alpn.ts"
/** @since 0.1.0 */
export * as IrohChannel from "./IrohChannel.ts"
