/**
 * The producers of one deployment.
 *
 * @since 0.1.0
 */
export * as JoinError from "./JoinError.ts"
export * as Member from "./Member.ts"
export * as Mesh from "./Mesh.ts"
export * as MeshMessage from "./MeshMessage.ts"
export * as MeshState from "./MeshState.ts"
export * as ProducerMesh from "./ProducerMesh.ts"
export * as ServiceProducers from "./ServiceProducers.ts"
