/** @since 0.1.0 */
export * as AdmittedPeers from "./AdmittedPeers.ts"
/** @since 0.1.0 */
export * as Capability from "./Capability.ts"
/** @since 0.1.0 */
export * as ConsumerAdmission from "./ConsumerAdmission.ts"
/** @since 0.1.0 */
export * as Credential from "./Credential.ts"
/** @since 0.1.0 */
export * as CredentialFile from "./CredentialFile.ts"
/** @since 0.1.0 */
export * as Gates from "./Gates.ts"
/** @since 0.1.0 */
export * as Handshake from "./Handshake.ts"
/** @since 0.1.0 */
export * as InstanceIdentity from "./InstanceIdentity.ts"
/** @since 0.1.0 */
export * as NodeConfig from "./NodeConfig.ts"
/** @since 0.1.0 */
export * as NonceStore from "./NonceStore.ts"
/** @since 0.1.0 */
export * as ProducerAdmission from "./ProducerAdmission.ts"
/** @since 0.1.0 */
export * as ProducerMesh from "./ProducerMesh.ts"
/** @since 0.1.0 */
export * as RootKey from "./RootKey.ts"
