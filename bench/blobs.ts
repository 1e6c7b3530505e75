/**
 * Blobs: BLAKE3, verified encoding and decoding in one process, and a download beside what the transport alone can carry.
 *
 * `npm run bench:blobs` prints the results and writes them to their section of `bench/RESULTS.md`, within three minutes;
 * `npm run bench:blobs -- --print` only prints them. Option: `--out <file>`.
 */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
// oxlint-disable-next-line aster/layers -- the codec without its IO is what is measured
import { BaoDecoder } from "../packages/iroh-blobs/src/proto/BaoDecoder.ts"
// oxlint-disable-next-line aster/layers -- the codec without its IO is what is measured
import { BaoEncoder } from "../packages/iroh-blobs/src/proto/BaoEncoder.ts"
import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as ChunkRanges from "@aster-effect/iroh-blobs/ChunkRanges"
// oxlint-disable-next-line aster/layers -- the codec without its IO is what is measured
import { hashBlob } from "../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NativeBinding from "@aster-effect/iroh-native/NativeBinding"
import { blake3 } from "@noble/hashes/blake3.js"
import { hash as jit } from "blake3-jit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { fork } from "node:child_process"
import { once } from "node:events"
import { createReadStream } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as BareNode from "./BareNode.ts"
import * as bare from "./BareTransfer.ts"
import type { FromProvider } from "./blobsProvider.ts"
import { description, versionOf, watchForeignShare } from "./Machine.ts"
import { writeSection } from "./ResultsFile.ts"
import { median } from "./Statistics.ts"
import { content, loopback, processTime, threadTime, transferOn } from "./Transfer.ts"

const { values } = parseArgs({ options: { print: { type: "boolean", default: false }, out: { type: "string" } } })

const MIB = 1_048_576
const ROUNDS = 7
/** Many short ones: the nearer two transfers are in time, the more alike is what else the machine does. */
const TRANSFERS = 31

/** Milliseconds by name; of several clocks if there are several. */
type Times = Readonly<Record<string, number>>

interface Contender {
  readonly name: string
  readonly run: () => unknown
}

/**
 * The times of each contender, round by round: in every round they take turns, so that a slow spell of the machine meets
 * them all. A first round only warms up.
 */
const race = async (
  contenders: ReadonlyArray<Contender>,
  clocks: () => Promise<Times> | Times,
  count = ROUNDS
): Promise<ReadonlyMap<string, ReadonlyArray<Times>>> => {
  const rounds = new Map<string, Array<Times>>(contenders.map(({ name }) => [name, []]))
  for (let round = -1; round < count; round++) {
    for (const { name, run } of contenders) {
      const before = await clocks()
      await run()
      const after = await clocks()
      const taken = Object.fromEntries(Object.entries(after).map(([clock, time]) => [clock, time - before[clock]!]))
      if (round >= 0) rounds.get(name)!.push(taken)
    }
  }
  return rounds
}

/** Bytes per millisecond are kB/s. */
const rate = (bytes: number, milliseconds: number) => bytes / milliseconds / 1000
const medianRate = (bytes: number, rounds: ReadonlyArray<Times>, clock: string) =>
  median(rounds.map((times) => rate(bytes, times[clock]!)))

const number = (value: number) => value.toLocaleString("en-US", { maximumFractionDigits: value < 20 ? 1 : 0 })
const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  return [
    line(head),
    `|---|${head
      .slice(1)
      .map(() => "---:|")
      .join("")}`,
    ...rows.map(line)
  ].join("\n")
}

/** This process alone: its processor time is what it would take on an idle machine. */
const alone = () => ({ cpu: threadTime() })

const hashers: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  "this package, with the tree": hashBlob,
  [`@noble/hashes ${versionOf("@noble/hashes")}`]: (bytes) => blake3(bytes),
  [`blake3-jit ${versionOf("blake3-jit")} (WASM SIMD)`]: (bytes) => jit(bytes)
}

const hashing = async () => {
  const sizes = [16 * 1024, MIB, 32 * MIB]
  const columns: Array<ReadonlyMap<string, number>> = []
  for (const size of sizes) {
    const bytes = content(size)
    const times = Math.max(1, (8 * MIB) / size)
    const contenders = Object.entries(hashers).map(([name, hash]) => ({
      name,
      run: () => {
        for (let i = 0; i < times; i++) hash(bytes)
      }
    }))
    const rounds = await race(contenders, alone)
    columns.push(new Map([...rounds].map(([name, all]) => [name, medianRate(size * times, all, "cpu")])))
  }
  return table(
    ["BLAKE3, MB/s", ...sizes.map((size) => (size < MIB ? `${size / 1024} KiB` : `${size / MIB} MiB`))],
    Object.keys(hashers).map((name) => [name, ...columns.map((column) => number(column.get(name)!))])
  )
}

const verified = async () => {
  const bytes = content(64 * MIB)
  const { hash, outboard } = hashBlob(bytes)
  const response = new Uint8Array(8 + bytes.length + outboard.length)
  const target = new Uint8Array(bytes.length)
  const encode = () => {
    const encoder = new BaoEncoder(hash, Bitfield.complete(bytes.length), ChunkRanges.all)
    response.set(encoder.header)
    let at = 8
    for (let need = encoder.need; need !== undefined; need = encoder.need) {
      const from = need.from === "data" ? bytes : outboard
      const part = encoder.supply(from.subarray(need.offset, need.offset + need.length))
      response.set(part, at)
      at += part.length
    }
  }
  const decode = () => {
    const decoder = new BaoDecoder(hash, ChunkRanges.all)
    for (let at = 0; decoder.wanted > 0;) {
      const end = at + decoder.wanted
      const item = decoder.accept(response.subarray(at, end))
      if (item._tag === "Data") target.set(item.data, item.offset)
      at = end
    }
  }
  // Every second chunk: pairs down to single chunks, which are made anew from the data.
  const gaps = Array.from({ length: bytes.length / 1024 }, (_, i) => i + 1)
  const encodeGaps = () => {
    const encoder = new BaoEncoder(hash, Bitfield.complete(bytes.length), gaps)
    for (let need = encoder.need; need !== undefined; need = encoder.need) {
      const from = need.from === "data" ? bytes : outboard
      encoder.supply(from.subarray(need.offset, need.offset + need.length))
    }
  }
  const rounds = await race(
    [
      { name: "encode", run: encode },
      { name: "decode", run: decode },
      { name: "gaps", run: encodeGaps }
    ],
    alone
  )
  if (Buffer.compare(bytes, target) !== 0) throw new Error("What was decoded is not what was encoded.")
  return Object.fromEntries([...rounds].map(([name, all]) => [name, medianRate(bytes.length, all, "cpu")]))
}

/** Reading a stored blob, every group verified, beside reading the same file. */
const stored = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "aster-bench-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true }))
  )
  return yield* Effect.gen(function* () {
    const blobs = yield* Blobs
    const { hash, size } = yield* blobs.addBytes(content(64 * MIB))
    const file = join(directory, "store", "data", `${hash}.data`)
    const plain = async () => {
      let read = 0
      for await (const part of createReadStream(file, { highWaterMark: 262_144 })) read += part.length
      if (read !== size) throw new Error(`${read} bytes were read.`)
    }
    const contenders = [
      { name: "the file itself", run: plain },
      { name: "`stream`", run: () => Effect.runPromise(Stream.runDrain(blobs.stream(hash))) },
      { name: "`verify`", run: () => Effect.runPromise(blobs.verify(hash)) },
      {
        name: "`export`",
        run: () => Effect.runPromise(blobs.export(hash, join(directory, "out"), { overwrite: true }))
      }
    ]
    const clocks = () => ({ cpu: threadTime(), wall: performance.now() })
    const rounds = yield* Effect.promise(() => race(contenders, clocks))
    return [...rounds].map(([name, all]) => [
      name,
      number(medianRate(size, all, "wall")),
      number(medianRate(size, all, "cpu"))
    ])
  }).pipe(
    Effect.provide(
      Blobs.layer.pipe(
        Layer.provide([BlobStore.layer({ directory: join(directory, "store") }), IrohNode.layer(loopback)])
      )
    )
  )
}).pipe(Effect.scoped)

const [BARE, BLOB] = ["alone", "verified download"]

/** The same bytes from another process, over the bare transport and as a blob. */
const transferring = Effect.fnUntraced(function* (binding: "number0" | "native") {
  const size = transferOn(binding)
  const provider = yield* Effect.acquireRelease(
    Effect.sync(() => fork(fileURLToPath(new URL("./blobsProvider.ts", import.meta.url)), [binding])),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const message = async (): Promise<FromProvider> => (await once(provider, "message"))[0]
  const serving = yield* Effect.promise(message)
  if (serving.kind !== "serving") throw new Error("The provider did not start.")
  const blobs = yield* Blobs
  const download = Effect.gen(function* () {
    const { hash, received } = yield* blobs.download(serving.ticket, { tag: false })
    if (received !== size) throw new Error(`A download brought ${received} bytes.`)
    // Nothing keeps it, so that the next round downloads it again.
    yield* blobs.collectGarbage
    if (yield* blobs.has(hash)) throw new Error("The blob is still there.")
  })
  const getBare =
    binding === "native"
      ? yield* BareNode.get(serving.node, size)
      : yield* Effect.map(
          Effect.promise(() => bare.get(serving.bare, size)),
          (get) => Effect.map(Effect.promise(get), ({ length }) => length)
        )
  const contenders = [
    {
      name: BARE!,
      run: async () => {
        const length = await Effect.runPromise(getBare)
        if (length !== size) throw new Error(`The bare transport brought ${length} bytes.`)
      }
    },
    { name: BLOB!, run: () => Effect.runPromise(download) }
  ]
  const clocks = async (): Promise<Times> => {
    provider.send("time")
    const told = await message()
    return {
      wall: performance.now(),
      getter: threadTime(),
      provider: told.kind === "time" ? told.thread : Number.NaN
    }
  }
  const inAll = async () => {
    provider.send("time")
    const told = await message()
    return processTime() + (told.kind === "time" ? told.process : Number.NaN)
  }
  const foreign = watchForeignShare()
  const before = yield* Effect.promise(inAll)
  const rounds = yield* Effect.promise(() => race(contenders, clocks, TRANSFERS))
  return { binding, size, rounds, foreign: foreign(((yield* Effect.promise(inAll)) - before) / 1000) }
})

const transfer = (binding: "number0" | "native") =>
  Effect.runPromise(
    transferring(binding).pipe(
      Effect.provide(
        Blobs.layer.pipe(
          Layer.provideMerge(Layer.mergeAll(BlobStore.layerMemory(), IrohNode.layer({ ...loopback, binding })))
        )
      ),
      Effect.scoped
    )
  )

const hashTable = await hashing()
const { decode, encode, gaps } = await verified()
const reading = await Effect.runPromise(stored)
const transfers = [await transfer("number0")]
if (NativeBinding.load() !== undefined) transfers.push(await transfer("native"))
const foreign = Math.max(...transfers.map((transfer) => transfer.foreign))

/** Bare against blob within each round. */
const ratio = (binding: string, clock: string) => {
  const rounds = transfers.find((transfer) => transfer.binding === binding)?.rounds
  return median(rounds?.get(BLOB!)!.map((times, i) => rounds.get(BARE!)![i]![clock]! / times[clock]!) ?? [Number.NaN])
}
const goal = (name: string, limit: number, value: number, unit: string) => [
  name,
  `${limit}${unit}`,
  `${unit === "" ? value.toFixed(2) : number(value)}${unit}`,
  Number.isNaN(value) ? "not measured" : value >= limit ? "PASS" : "MISS"
]

const page = `# Blobs on one machine

Written by \`npm run bench:blobs\` on ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC.

- Machine: ${description()}. MB/s are 10^6 bytes.
- Hashing, encoding and decoding are measured by the processor time of their one thread, which other programs disturb
  least; every number is the median of ${ROUNDS} rounds in which all take turns.

${hashTable}

Encoding 64 MiB for a peer, every group verified on its way out: ${number(encode!)} MB/s. Decoding it, every group verified
on its way in: ${number(decode!)} MB/s. Encoding every second chunk of it, which is as many gaps as there can be:
${number(gaps!)} MB/s of the blob.

${table(["64 MiB from a store on disk, MB/s", "elapsed", "by the thread's time"], reading)}

Whatever is read is verified against the hash, which is most of what reading costs.

${table(
  ["between two processes over QUIC on loopback, MB/s", "elapsed", "getter's thread", "provider's thread"],
  transfers.flatMap(({ binding, rounds, size }) =>
    [BARE!, BLOB!].map((name) => [
      `${binding === "native" ? "native binding" : "@number0/iroh"}, ${size / MIB} MiB, ${name}`,
      ...["wall", "getter", "provider"].map((clock) => number(medianRate(size, rounds.get(name)!, clock)))
    ])
  )
)}

The last two columns are bytes per second of processor time. "Alone" is the least that the binding asks for, and nothing
else: of @number0/iroh, arrays of numbers in and out, copied by index; of the native one, a node's streams, copied once. A
download has the protocol, verification, a store and everything
that makes it go on after failures on top. Stores are in memory; the getter's uses what the download before took.

${table(
  ["goal", "at least", "measured", "verdict"],
  [
    goal("verified encode", 300, encode!, " MB/s"),
    goal("verified decode", 300, decode!, " MB/s"),
    goal("download against @number0/iroh alone, elapsed", 0.9, ratio("number0", "wall"), ""),
    goal("the same by the getter's processor time, which limits it", 0.9, ratio("number0", "getter"), ""),
    goal("download against the native binding alone, elapsed", 0.8, ratio("native", "wall"), "")
  ]
)}

Ratios are taken within each of ${TRANSFERS} rounds, which meets both in the same weather; these are their medians. During the
transfers others took ${(foreign * 100).toFixed(0)} % of the machine.
`
console.log(page)
const out = values.out ?? (values.print ? undefined : fileURLToPath(new URL("./RESULTS.md", import.meta.url)))
if (out !== undefined) writeSection(out, "blobs", page)
process.exit(0)
