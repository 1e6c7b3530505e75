/** A producer and a consumer with interceptors, in one process. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { runMain } from "@aster-effect/platform-node/NodeRuntime"
import { logging, retrying, withToken } from "./interceptors.ts"
import { AuthLive, Order, Orders, OrdersLive } from "./Orders.ts"

const Server = AsterServer.layer({ services: [Orders], interceptors: [logging], node: loopback }).pipe(
  Layer.provide(OrdersLive),
  Layer.provide(AuthLive)
)

const consumer = (token: string) =>
  Effect.gen(function* () {
    const orders = yield* (yield* AsterClient).client(Orders, { interceptors: [withToken(token)] })
    const order = new Order({ article: "tea", count: 2 })
    yield* orders.place(order)
    yield* Stream.runForEach(orders.suggest(order), ({ count }) => Console.log(`suggested: ${count}`))
  }).pipe(Effect.catchTag("UnknownCustomer", (error) => Console.log(`not known: "${error.token}"`)))

const program = Effect.gen(function* () {
  const { address } = yield* AsterServer
  const client = AsterClient.layer({ address, interceptors: [retrying], node: loopback })
  yield* Effect.provide(Effect.andThen(consumer("t-ada"), consumer("t-eve")), client)
})

runMain(Effect.provide(program, Server))
