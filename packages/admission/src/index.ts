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
export * as NonceStore from "./NonceStore.ts"
/** @since 0.1.0 */
export * as RootKey from "./RootKey.ts"
