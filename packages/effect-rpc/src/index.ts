/** @since 0.1.0 */
export * as Caller from "./Caller.ts"
/** @since 0.1.0 */
export * as GroupService from "./GroupService.ts"
/** @since 0.1.0 */
export * as IrohSocket from "./IrohSocket.ts"
/** @since 0.1.0 */
export * as RpcEndpoint from "./RpcEndpoint.ts"
