/**
 * An iroh node for Effect: endpoints, connections, streams, router and tickets.
 *
 * @since 0.1.0
 */
export * as Binding from "./Binding.ts"
export * as Blake3 from "./Blake3.ts"
export * as BiStream from "./BiStream.ts"
export * as Connection from "./Connection.ts"
export * as ConnectionGate from "./ConnectionGate.ts"
export * as Ed25519 from "./Ed25519.ts"
export * as EndpointId from "./EndpointId.ts"
export * as FileAccess from "./FileAccess.ts"
export * as IrohNode from "./IrohNode.ts"
export * as Malformed from "./Malformed.ts"
export * as MemoryNetwork from "./MemoryNetwork.ts"
export * as NodeAddr from "./NodeAddr.ts"
export * as NodeError from "./NodeError.ts"
export * as NodeOptions from "./NodeOptions.ts"
export * as PeerAttributes from "./PeerAttributes.ts"
export * as Postcard from "./Postcard.ts"
export * as Printable from "./Printable.ts"
export * as Router from "./Router.ts"
export * as SecretKey from "./SecretKey.ts"
export * as SecureBytes from "./SecureBytes.ts"
export * as Supervisor from "./Supervisor.ts"
export * as Ticket from "./Ticket.ts"
