export * as ArtifactRef from "./ArtifactRef.ts"
export * as Publication from "./Publication.ts"
export * as PublishedContract from "./PublishedContract.ts"
export * as RegistryKey from "./RegistryKey.ts"
