import { Fory, Type } from "@aster-effect/fory"

const Reading = Type.struct({
  namespace: "lab",
  name: "Reading",
  fields: { sensor: Type.string, values: Type.list(Type.float64) }
})

const codec = Fory.make({ types: [Reading] }).codec(Reading)
const bytes = codec.encode({ sensor: "t1", values: [20.5, 21] })
console.log(bytes.length, "bytes")
console.log(codec.decode(bytes))
