import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Schema from "effect/Schema"

export const Priority = Wire.Enum("board/Priority", { LOW: "low", HIGH: "high" })

export class Card extends Wire.Class<Card>("board/Card")({
  id: Wire.Int64,
  title: Wire.String.check(Schema.isMinLength(1)),
  priority: Priority.pipe(Wire.withDefault("low")),
  due: Wire.Optional(Wire.Date).annotate({ description: "The last day, midnight UTC." }),
  labels: Wire.List(Wire.String).pipe(Wire.withDefault([])),
  effort: Wire.Optional(Wire.Float64).annotate({ deprecated: "use attributes.effort" }),
  attributes: Wire.AnyRecord.pipe(Wire.withDefault({})),
  parts: Wire.List(Schema.suspend((): Schema.Codec<Card, unknown> => Card))
}) {
  get isUrgent(): boolean {
    return this.priority === "high"
  }
}

export const Board = Service.make("Board", { description: "Cards of a team." }).add(
  Rpc.unary("add", { request: Card, response: Card, description: "Adds a card and answers it with its id." })
)
