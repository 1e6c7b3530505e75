/** The contract with the tasks on a thread of their own; `e2e-native` runs everything with them on the event loop. */
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { contract } from "../../iroh/contract.ts"

contract(
  "native, thread",
  (options) =>
    IrohNode.layer({
      ...options,
      bindAddress: "127.0.0.1:0",
      relayMode: "disabled",
      binding: "native",
      native: { mode: "thread" }
    }),
  MemoryNetwork.layer(),
  { direct: true, opensAtOnce: true }
)
