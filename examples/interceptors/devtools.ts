/** A producer and a consumer whose calls are seen in Effect's devtools. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DevTools from "effect/devtools/DevTools"
import { withToken } from "./interceptors.ts"
import { AuthLive, Order, Orders, OrdersLive } from "./Orders.ts"

const Server = AsterServer.layer({ services: [Orders], node: loopback }).pipe(
  Layer.provide(OrdersLive),
  Layer.provide(AuthLive)
)

const consumer = Effect.gen(function* () {
  const orders = yield* (yield* AsterClient).client(Orders, { interceptors: [withToken("t-ada")] })
  yield* orders.place(new Order({ article: "tea", count: 2 }))
})

/** @param url where the devtools listen; their default is ws://localhost:34437 */
export const program = (url?: string) =>
  Effect.gen(function* () {
    const { address } = yield* AsterServer
    yield* Effect.provide(Effect.withSpan(consumer, "shopping"), AsterClient.layer({ address, node: loopback }))
  }).pipe(Effect.provide(Server), Effect.provide(DevTools.layer(url)))
