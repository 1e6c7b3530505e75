import { toHex, World } from "./model.ts"
import { Random } from "../../Random.ts"
import { RandomCase } from "./random.ts"

// Random values with the bytes this codec makes of them, for `generate.py --check`:
//   node --conditions=@aster-effect/source test/fory/golden/produce.ts [number of cases] [seed] > FILE

const random = new Random(Number(process.argv[3] ?? 1))
const cases = Array.from({ length: Number(process.argv[2] ?? 1000) }, (_, index) => {
  const generated = new RandomCase(random)
  const { types, root } = generated
  const world = new World(types)
  const codec = world.codec(root)
  const vectors = Array.from({ length: 5 }, () => {
    const value = generated.value()
    return { value, hex: toHex(codec.encode(world.value(value, root, true))) }
  })
  return { name: `random ${index}`, types, root, vectors }
})
process.stdout.write(JSON.stringify({ cases }))
