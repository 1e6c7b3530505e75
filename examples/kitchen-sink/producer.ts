import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { HelloServiceLive } from "./HelloService.ts"
import { TaskRunnerLive } from "../task-runner/TaskRunner.ts"
import { KitchenJsonLive, KitchenSinkLive } from "./KitchenSink.ts"

const services = Layer.mergeAll(KitchenSinkLive, KitchenJsonLive, TaskRunnerLive, HelloServiceLive)

/** Standard output is for the one line that scripts read. */
const LogToStderr = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

/** Serves until it is told to stop. With `json`, prints one line for scripts once it listens. */
export const producer = (json: boolean) =>
  Effect.gen(function* () {
    const server = yield* AsterServer
    const { address, endpointAddrB64, endpointId, directAddresses } = server
    yield* Console.log(
      json
        ? JSON.stringify({ address, endpointAddrB64, endpointId, directAddresses, services: server.services })
        : `KitchenSink serving at ${address}`
    )
    yield* server.serve
  }).pipe(
    Effect.provide(AsterServer.layer({ node: loopback }).pipe(Layer.provide(services))),
    Effect.provide(json ? LogToStderr : Layer.empty)
  )
