/** `node examples/effect-rpc websocket`, `iroh` or `service`. */
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import * as asService from "./asService.ts"
import * as overIroh from "./overIroh.ts"
import * as overWebSocket from "./overWebSocket.ts"

if (process.argv[2] === "websocket") runMain(overWebSocket.program)
else if (process.argv[2] === "service") runMain(asService.program)
else runMain(overIroh.program)
