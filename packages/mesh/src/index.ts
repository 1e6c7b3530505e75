/**
 * The producers of one deployment.
 *
 * @since 0.1.0
 */
export * as MeshState from "./MeshState.ts"
export * as ProducerMesh from "./ProducerMesh.ts"
