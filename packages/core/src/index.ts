/** @since 0.1.0 */
export * as CallChannel from "./wire/CallChannel.ts"
/** @since 0.1.0 */
export { type Call, CallContext } from "./interceptor/CallContext.ts"
/** @since 0.1.0 */
export * as Caller from "./call/Caller.ts"
/** @since 0.1.0 */
export * as ContractIdentity from "./contract/ContractIdentity.ts"
/** @since 0.1.0 */
export * as Deadline from "./interceptor/Deadline.ts"
/** @since 0.1.0 */
export * as Dispatcher from "./call/Dispatcher.ts"
/** @since 0.1.0 */
export * as Frame from "./wire/Frame.ts"
/** @since 0.1.0 */
export * as Interceptor from "./interceptor/Interceptor.ts"
/** @since 0.1.0 */
export * as Manifest from "./contract/Manifest.ts"
/** @since 0.1.0 */
export * as Requirement from "./service/Requirement.ts"
/** @since 0.1.0 */
export * as Rpc from "./service/Rpc.ts"
/** @since 0.1.0 */
export { RpcError } from "./wire/RpcError.ts"
/** @since 0.1.0 */
export * as Service from "./service/Service.ts"
/** @since 0.1.0 */
export * as ServiceSummary from "./contract/ServiceSummary.ts"
/** @since 0.1.0 */
export { StatusCode, type StatusName } from "./wire/Status.ts"
/** @since 0.1.0 */
export * as Wire from "./message/Wire.ts"
