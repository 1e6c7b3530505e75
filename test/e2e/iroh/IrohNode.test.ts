import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { contract } from "../../iroh/contract.ts"

contract(
  "QUIC",
  (options) => IrohNode.layer({ ...options, bindAddress: "127.0.0.1:0", relayMode: "disabled" }),
  MemoryNetwork.layer()
)
