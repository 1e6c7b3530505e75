/** @since 0.1.0 */
export * as IrohChannel from "./IrohChannel.ts"
/** @since 0.1.0 */
export * as LocalTransport from "./LocalTransport.ts"
/** @since 0.1.0 */
export * as Multiplex from "./Multiplex.ts"
/** @since 0.1.0 */
export * as Producers from "./Producers.ts"
/** @since 0.1.0 */
export * as RpcConnection from "./RpcConnection.ts"
/** @since 0.1.0 */
export * as RpcDialer from "./RpcDialer.ts"
