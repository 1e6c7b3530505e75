/** `node examples/effect-rpc websocket` or `iroh`. */
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as overIroh from "./overIroh.ts"
import * as overWebSocket from "./overWebSocket.ts"

if (process.argv[2] === "websocket") runMain(overWebSocket.program)
else runMain(overIroh.program)
