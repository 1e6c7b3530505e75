/** @since 0.1.0 */
export * as CallChannel from "./CallChannel.ts"
/** @since 0.1.0 */
export { type Call, CallContext } from "./CallContext.ts"
/** @since 0.1.0 */
export * as Caller from "./Caller.ts"
/** @since 0.1.0 */
export * as ContractIdentity from "./ContractIdentity.ts"
/** @since 0.1.0 */
export * as Dispatcher from "./Dispatcher.ts"
/** @since 0.1.0 */
export * as Frame from "./Frame.ts"
/** @since 0.1.0 */
export * as Interceptor from "./Interceptor.ts"
/** @since 0.1.0 */
export * as LocalTransport from "./LocalTransport.ts"
/** @since 0.1.0 */
export * as Manifest from "./Manifest.ts"
/** @since 0.1.0 */
export * as Multiplex from "./Multiplex.ts"
/** @since 0.1.0 */
export * as Requirement from "./Requirement.ts"
/** @since 0.1.0 */
export * as Rpc from "./Rpc.ts"
/** @since 0.1.0 */
export { RpcError } from "./RpcError.ts"
/** @since 0.1.0 */
export * as Service from "./Service.ts"
/** @since 0.1.0 */
export * as ServiceSummary from "./ServiceSummary.ts"
/** @since 0.1.0 */
export { StatusCode, type StatusName } from "./Status.ts"
/** @since 0.1.0 */
export * as Wire from "./Wire.ts"
