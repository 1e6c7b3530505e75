import * as Role from "@aster-effect/admission/Role"
import * as Rpc from "@aster-effect/core/service/Rpc"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export class Customer extends Wire.Class<Customer>("billing/Customer")({ name: Wire.String }) {}
export class Amount extends Wire.Class<Amount>("billing/Amount")({ name: Wire.String, cents: Wire.Int }) {}
export class Peer extends Wire.Class<Peer>("billing/Peer")({ endpoint_id: Wire.String }) {}
export class Outcome extends Wire.Class<Outcome>("billing/Outcome")({ was_admitted: Wire.Bool }) {}

/** Nobody calls it without one of these roles, and `refund` takes one more. */
export const Billing = Service.make("Billing", { requires: Role.anyOf("invoices", "refunds") }).add(
  Rpc.unary("invoice", { request: Customer, response: Amount }),
  Rpc.unary("refund", { request: Customer, response: Amount, requires: Role.role("refunds") })
)

/** For those who operate the deployment. */
export const Doors = Service.make("Doors", { requires: Role.role("operator") }).add(
  Rpc.unary("put_out", { request: Peer, response: Outcome })
)

const BillingLive = Billing.toLayer({
  invoice: ({ name }) => Effect.succeed(new Amount({ name, cents: 1_200 })),
  refund: ({ name }) => Effect.succeed(new Amount({ name, cents: -1_200 }))
})

const DoorsLive = Doors.toLayer(
  Effect.map(AdmittedPeers, (admitted) => ({
    put_out: ({ endpoint_id }: Peer) =>
      Effect.try({
        try: () => EndpointId.parse(endpoint_id),
        catch: () => RpcError.of("INVALID_ARGUMENT", "endpoint_id: expected 64 hex digits")
      }).pipe(
        Effect.flatMap(admitted.revoke),
        Effect.map((was_admitted) => new Outcome({ was_admitted }))
      )
  }))
)

/** They come with the record of admitted peers, which the server is to be given as well. */
export const services = Layer.merge(BillingLive, DoorsLive).pipe(Layer.provideMerge(AdmittedPeers.layer()))
