import * as Interceptor from "@aster-effect/core/interceptor/Interceptor"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

export class Order extends Wire.Class<Order>("orders/Order")({ article: Wire.String, count: Wire.Int }) {}

/** Who calls: handlers ask for it. */
export class Customer extends Context.Service<Customer, { readonly name: string }>()("orders/Customer") {}

export class UnknownCustomer extends Schema.TaggedError<UnknownCustomer>()("UnknownCustomer", {
  token: Schema.String
}) {}

/** Provides the customer, or ends the call with an error that callers see typed. */
export class Auth extends Interceptor.Service<Auth, { provides: Customer }>()("orders/Auth", {
  error: UnknownCustomer
}) {}

export const Orders = Service.make("Orders", { interceptors: [Auth] }).add(
  Rpc.unary("place", { request: Order, response: Order }),
  Rpc.serverStream("suggest", { request: Order, response: Order })
)

export const OrdersLive = Orders.toLayer({
  place: (order) =>
    Effect.as(
      Effect.flatMap(Customer, ({ name }) => Effect.logInfo(`${name} orders`, order)),
      order
    ),
  suggest: (order) => Stream.map(Stream.range(1, 3), (count) => new Order({ ...order, count }))
})

/** What stands behind `Auth` on a server. */
export const AuthLive = Auth.toLayer((call, next) => {
  const token = call.metadata.get("token") ?? ""
  return token === "t-ada"
    ? Effect.provideService(next(call), Customer, { name: "ada" })
    : Effect.fail(new UnknownCustomer({ token }))
})
