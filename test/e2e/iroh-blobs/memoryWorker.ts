/** Imports a file of 1 GiB, reads it as a stream and exports it; prints the growth of its memory in MiB, and the speeds. */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { closeSync, openSync, writeSync } from "node:fs"
import { join } from "node:path"

const directory = process.argv[2]!
const MIB = 1_048_576
const SIZE = 1024 * MIB

const source = join(directory, "source")
const file = openSync(source, "w")
const block = new Uint8Array(MIB)
const written = createHash("sha256")
for (let i = 0; i < 1024; i++) {
  for (let at = 0; at < MIB; at++) block[at] = (at * (i + 7) + (at >> 9)) & 0xff
  writeSync(file, block)
  written.update(block)
}
closeSync(file)

let peak = 0
let base = 0
const sample = () => (peak = Math.max(peak, process.memoryUsage().rss))

const program = Effect.gen(function* () {
  const blobs = yield* Blobs
  // Everything is loaded and warm before the count begins.
  const small = yield* blobs.addStream(Stream.make(block, block, block))
  yield* blobs.export(small.hash, join(directory, "small"))
  base = process.memoryUsage().rss
  const timer = setInterval(sample, 20)
  const timed = <A, E>(name: string, effect: Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const start = performance.now()
      const result = yield* effect
      console.log(name, Math.round(1024 / ((performance.now() - start) / 1000)), "MiB/s")
      return result
    })
  const { hash, size } = yield* timed("import", blobs.addPath(source, { onProgress: () => Effect.sync(sample) }))
  const read = createHash("sha256")
  yield* timed(
    "stream",
    Stream.runForEach(blobs.stream(hash), (bytes) => Effect.sync(() => read.update(bytes)))
  )
  yield* timed("export", blobs.export(hash, join(directory, "out"), { onProgress: () => Effect.sync(sample) }))
  clearInterval(timer)
  console.log(size === SIZE && read.digest("hex") === written.digest("hex") ? "same" : "different")
  console.log("growth", Math.round((peak - base) / MIB))
})

const layer = Blobs.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(BlobStore.layerDirectory(join(directory, "store")), IrohNode.layerMemory())),
  Layer.provide(MemoryNetwork.layer())
)
await Effect.runPromise(Effect.provide(program, layer))
