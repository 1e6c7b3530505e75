/**
 * The handshakes by which peers are let in, and the roles that services require.
 *
 * @since 0.1.0
 */
export * as AdmissionRequest from "./AdmissionRequest.ts"
export * as ConsumerAdmission from "./ConsumerAdmission.ts"
export * as Handshake from "./Handshake.ts"
export * as HandshakeSlots from "./HandshakeSlots.ts"
export * as ProducerAdmission from "./ProducerAdmission.ts"
export * as Role from "./Role.ts"
