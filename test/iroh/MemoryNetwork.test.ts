import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { contract } from "./contract.ts"

contract("memory", (options) => IrohNode.layerMemory(options), MemoryNetwork.layer())
contract("memory with latency", (options) => IrohNode.layerMemory(options), MemoryNetwork.layer({ latency: 1 }), {
  sequentialStreams: 300
})
