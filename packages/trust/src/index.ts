/**
 * Root keys, credentials, and whom a node lets in.
 *
 * @since 0.1.0
 */
export * as AdmittedPeers from "./AdmittedPeers.ts"
export * as ClientTrust from "./ClientTrust.ts"
export * as Credential from "./Credential.ts"
export * as CredentialFile from "./CredentialFile.ts"
export * as GatePolicy from "./GatePolicy.ts"
export * as Gates from "./Gates.ts"
export * as InstanceIdentity from "./InstanceIdentity.ts"
export * as NonceStore from "./NonceStore.ts"
export * as PresentedCredential from "./PresentedCredential.ts"
export * as RootKey from "./RootKey.ts"
export * as ServerTrust from "./ServerTrust.ts"
