import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Schema from "effect/Schema"

export const Level = Wire.Enum("documented/Level", { LOW: 1, HIGH: 10 })

class Size extends Wire.Class<Size>("documented/Size", { untagged: true, qualifiedName: "documented.sizes.Size" })({
  width: Wire.Uint16,
  "in inches": Wire.Bool.pipe(Wire.withDefault(false))
}) {}

class Part extends Wire.Class<Part>("documented/Part")({
  name: Wire.String.annotate({ description: "What it is called */ in the catalogue." }),
  sizes: Wire.Record(Size),
  parts: Wire.List(Schema.suspend((): Schema.Codec<Part> => Part)),
  level: Level,
  weight: Wire.Optional(Wire.Float32).annotate({ deprecated: "see sizes" }),
  made: Wire.Date.annotate({ description: "The day,\nin UTC." })
}) {}

/** A service with something of everything that a generated client has to say. */
export const Parts = Service.make("Parts", {
  version: 3,
  scope: "session",
  serializationModes: ["xlang", "json"],
  description: "Parts and what they are made of.",
  deprecated: true
}).add(
  Rpc.unary("find", {
    request: Wire.String,
    response: Part,
    timeout: "1500 millis",
    idempotent: true,
    description: "One part by its name."
  }),
  Rpc.serverStream("all", { request: Wire.AnyRecord, response: Part, deprecated: "use find" }),
  Rpc.bidi("weigh", { request: Part, response: Wire.Map(Wire.Int64, Wire.Timestamp) })
)
