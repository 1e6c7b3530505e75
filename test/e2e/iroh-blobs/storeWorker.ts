/**
 * A process to be killed: opens the store in the directory given, checks everything in it, says "ready", and then
 * imports, receives, tags, untags and collects until it is killed. Exits with 1 when it finds anything wrong.
 *
 * Told to stop at a `tag` or a `partial` it stands still where one is kept, for the N-th time, and says "stopped".
 */
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { BaoDecoder, type BaoItem } from "../../../packages/iroh-blobs/src/proto/BaoDecoder.ts"
import { BaoEncoder } from "../../../packages/iroh-blobs/src/proto/BaoEncoder.ts"
import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
import { hashBlob } from "../../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { flushCompileCache } from "node:module"
import { Random } from "../../Random.ts"

// Who is killed keeps no compiled code at its end.
flushCompileCache()

const [path, seedText, stopAt, stopAfter] = process.argv.slice(2)
const random = new Random(Number(seedText)).below

/** Content that depends on the id alone, so that any process knows it. */
const contentOf = (id: number): Uint8Array => {
  const bytes = new Uint8Array(20_000 + (id % 5) * 700_000 + id)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * (id + 3) + (i >> 8)) & 0xff
  return bytes
}

let kept = 0

/** Something is kept by the store: nothing happens any more where the kill is to hit just then. */
const reached = (what: "tag" | "partial") => {
  if (what !== stopAt || ++kept < Number(stopAfter)) return
  process.stdout.write("stopped\n")
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

const check = (condition: boolean, problem: string) => {
  if (condition) return
  process.stdout.write(`wrong: ${problem}\n`)
  process.exit(1)
}

/** Encoding verifies everything that the store says is there, against the hash. */
const verify = Effect.fnUntraced(function* (store: BlobStore["Service"], hash: BlobHash.BlobHash) {
  const blob = yield* store.open(hash)
  const bitfield = blob.bitfield()
  const encoder = new BaoEncoder(BlobHash.toBytes(hash), bitfield, bitfield.ranges)
  for (let need = encoder.need; need !== undefined; need = encoder.need) {
    encoder.supply(yield* blob.read(need.from, need.offset, need.length))
  }
  check(!encoder.gap, `gap in ${hash}`)
  return bitfield
}, Effect.scoped)

const receive = Effect.fnUntraced(function* (store: BlobStore["Service"], id: number) {
  const content = contentOf(id)
  const { hash, outboard } = hashBlob(content)
  const chunks = Bitfield.chunksOf(content.length)
  for (let round = 0; round < 6; round++) {
    // Leaving the scope is where an interrupted download would: what it had becomes a partial blob.
    const scope = yield* Scope.make()
    const partial = yield* store.receive(BlobHash.fromBytes(hash)).pipe(Scope.provide(scope))
    const start = random(Math.ceil(chunks / 16)) * 16
    const ranges: ChunkRanges.ChunkRanges = round === 5 ? [0] : [start, start + 16 * (1 + random(40))]
    const encoder = new BaoEncoder(hash, Bitfield.complete(content.length), ranges)
    const decoder = new BaoDecoder(hash, ranges)
    decoder.accept(encoder.header)
    let items: Array<BaoItem> = []
    for (let need = encoder.need; need !== undefined; need = encoder.need) {
      const stored = need.from === "data" ? content : outboard
      items.push(decoder.accept(encoder.supply(stored.subarray(need.offset, need.offset + need.length))))
      if (items.length < 20) continue
      yield* partial.append(content.length, items)
      items = []
    }
    yield* partial.append(content.length, items)
    yield* Scope.close(scope, Exit.void)
    if ((yield* store.status(BlobHash.fromBytes(hash)))._tag === "Partial") reached("partial")
  }
})

const importBlob = Effect.fnUntraced(function* (store: BlobStore["Service"], id: number) {
  const writer = yield* store.create
  const content = contentOf(id)
  for (let at = 0; at < content.length; at += 100_000) yield* writer.write(content.subarray(at, at + 100_000))
  yield* writer.finish({ tag: `import-${id}` })
  reached("tag")
}, Effect.scoped)

const program = Effect.gen(function* () {
  const store = yield* BlobStore
  let partial = 0
  for (const { hash, status } of yield* Stream.runCollect(store.list)) {
    // A partial blob may know its size and have no group yet.
    const nothing = status._tag === "Partial" && (yield* Effect.option(Effect.scoped(store.open(hash))))._tag === "None"
    if (nothing) continue
    const bitfield = yield* verify(store, hash)
    if (!Bitfield.isComplete(bitfield)) partial++
  }
  const tags = yield* Stream.runCollect(store.tags.list())
  for (const { hash, name } of tags) {
    check((yield* store.status(hash))._tag === "Complete", `${name} is there without its blob`)
    const known = BlobHash.fromBytes(hashBlob(contentOf(Number(name.split("-")[1]))).hash)
    check(known === hash, `${name} names another blob`)
  }
  process.stdout.write(`ready ${tags.length} ${partial}\n`)
  while (true) {
    const ids = [random(12), random(12), random(12)] as const
    yield* Effect.all([importBlob(store, ids[0]), receive(store, ids[1])], { concurrency: 2 })
    if (random(3) === 0) {
      yield* store.tags.remove(`import-${ids[2]}`)
      yield* store.collectGarbage
    }
  }
})

await Effect.runPromise(Effect.provide(program, BlobStore.layerDirectory(path!)))
