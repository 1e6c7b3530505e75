import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"

/** The examples stay on this machine. Leave `node` out of a server's options to be reachable from everywhere. */
export const loopback: IrohNodeOptions = { bindAddress: "127.0.0.1:0", relayMode: "disabled" }
