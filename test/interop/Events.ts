/** The service of `events.py`. */
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"

export class Event extends Wire.Class<Event>("events/Event", { qualifiedName: "events.Event" })({
  name: Wire.String.pipe(Wire.withDefault("")),
  attributes: Wire.AnyRecord.pipe(Wire.withDefault({})),
  tags: Wire.AnyList.pipe(Wire.withDefault([])),
  context: Wire.Optional(Wire.AnyRecord)
}) {}

export class Receipt extends Wire.Class<Receipt>("events/Receipt", { qualifiedName: "events.Receipt" })({
  count: Wire.Int.pipe(Wire.withDefault(0)),
  seen: Wire.AnyRecord.pipe(Wire.withDefault({}))
}) {}

export const Events = Service.make("Events", { postponedAnnotations: true }).add(
  Rpc.unary("echo", { request: Event, response: Event }),
  Rpc.unary("record", { request: Event, response: Receipt }),
  Rpc.serverStream("replay", { request: Event, response: Event })
)
