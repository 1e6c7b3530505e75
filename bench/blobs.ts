/**
 * Blobs: hashing, verified encoding and decoding in one process, and a download against what the transport can carry.
 *
 *   node --conditions=source bench/blobs.ts
 *
 * Compare the numbers of one run with each other only. A package that is not installed is left out.
 */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { BaoDecoder } from "@aster-effect/iroh-blobs/proto/BaoDecoder"
import { BaoEncoder } from "@aster-effect/iroh-blobs/proto/BaoEncoder"
import * as Bitfield from "@aster-effect/iroh-blobs/proto/Bitfield"
import * as ChunkRanges from "@aster-effect/iroh-blobs/proto/ChunkRanges"
import { hashBlob } from "@aster-effect/iroh-blobs/proto/OutboardBuilder"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Router from "@aster-effect/iroh/Router"
import { blake3 } from "@noble/hashes/blake3.js"
import * as iroh from "@number0/iroh/index.js"
import { Context, Effect, Layer } from "effect"

const MIB = 1_048_576
const ROUNDS = 5

const content = (size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 11)) & 0xff
  return bytes
}

const rate = (bytes: number, milliseconds: number): number => bytes / MIB / (milliseconds / 1000)
const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Milliseconds of processor time that this thread has used: other programs do not disturb it. */
const threadTime = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** MiB/s of each contender, the median of rounds in which they take turns. */
const race = async (
  bytes: number,
  contenders: Readonly<Record<string, () => unknown>>,
  clock: () => number = () => performance.now()
) => {
  const rates: Record<string, Array<number>> = {}
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(contenders)) {
      const start = clock()
      await run()
      // The first round only warms up.
      if (round >= 0) (rates[name] ??= []).push(rate(bytes, clock() - start))
    }
  }
  return Object.entries(rates).map(([name, all]) => [name, median(all)] as const)
}

const print = (title: string, rows: ReadonlyArray<readonly [string, number]>) => {
  console.log(`\n${title}`)
  const best = rows[0]![1]
  for (const [name, value] of rows) {
    console.log(
      `  ${name.padEnd(34)} ${value.toFixed(1).padStart(8)} MiB/s  ${((100 * value) / best).toFixed(0).padStart(4)} %`
    )
  }
}

type Hash = (bytes: Uint8Array) => unknown

/** Other hashers, as far as they are there. */
const otherHashers = async (): Promise<Readonly<Record<string, Hash>>> => {
  const found: Record<string, Hash> = { "@noble/hashes": (bytes) => blake3(bytes) }
  for (const name of ["blake3-jit", "@webbuf/blake3", "hash-wasm"]) {
    const module: unknown = await import(name).catch(() => undefined)
    if (typeof module !== "object" || module === null) continue
    const hash: unknown = Reflect.get(module, "hash") ?? Reflect.get(module, "blake3")
    if (typeof hash === "function") found[name] = (bytes) => hash(bytes)
  }
  return found
}

const hashing = async () => {
  const others = await otherHashers()
  for (const size of [16_384, MIB, 32 * MIB]) {
    const bytes = content(size)
    const times = Math.max(1, (4 * MIB) / size)
    const repeat = (hash: Hash) => async () => {
      for (let i = 0; i < times; i++) await hash(bytes)
    }
    const contenders = {
      "this package": repeat(hashBlob),
      ...Object.fromEntries(Object.entries(others).map(([name, hash]) => [name, repeat(hash)]))
    }
    print(`BLAKE3 of ${size / 1024} KiB`, await race(size * times, contenders))
  }
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
  print(
    "64 MiB in memory",
    await race(bytes.length, {
      "hash with outboard": () => hashBlob(bytes),
      "verified encode": encode,
      "verified decode": decode
    })
  )
}

const TRANSFER = 16 * MIB
const CHUNK = 16 * 1024
const READ = 64 * 1024
const alpn = [...new TextEncoder().encode("floor")]
/** A collected endpoint takes its connections along. */
const held: Array<unknown> = []

/** The least that moving the bytes through @number0/iroh costs: number arrays in and out, and nothing else. */
const bareTransfer = async () => {
  const bind = async () => {
    const builder = iroh.Endpoint.builder()
    iroh.presetMinimal(builder)
    builder.relayMode(iroh.RelayMode.disabled())
    builder.alpns([alpn])
    builder.bindAddr("127.0.0.1:0")
    const endpoint = await builder.bind()
    held.push(endpoint)
    return endpoint
  }
  const [provider, getter] = [await bind(), await bind()]
  const serving = (async () => {
    const connection = await (await (await provider.acceptNext())!.accept()).connect()
    held.push(connection)
    return connection
  })()
  const address = new iroh.EndpointAddr(
    provider.id(),
    null,
    provider.boundSockets().filter((socket) => socket.startsWith("127."))
  )
  const connection = await getter.connect(address, alpn)
  held.push(connection)
  const accepted = await serving
  const bytes = content(TRANSFER)
  return async () => {
    const send = (async () => {
      const { recv, send } = await accepted.acceptBi()
      await recv.read(1)
      for (let at = 0; at < TRANSFER; at += CHUNK) {
        const array = Array<number>(CHUNK)
        for (let i = 0; i < CHUNK; i++) array[i] = bytes[at + i]!
        await send.writeAll(array)
      }
      await send.finish()
    })()
    const bi = await connection.openBi()
    const { recv } = bi
    await bi.send.writeAll([1])
    await bi.send.finish()
    const target = new Uint8Array(TRANSFER)
    for (let at = 0; ;) {
      const array = await recv.read(READ)
      if (array.length === 0) break
      for (let i = 0; i < array.length; i++) target[at + i] = array[i]!
      at += array.length
    }
    await send
  }
}

const node = IrohNode.layer({ bindAddress: "127.0.0.1:0", relayMode: "disabled" })
const peer = Effect.suspend(() =>
  Layer.build(
    Layer.fresh(Blobs.layer).pipe(
      Layer.provideMerge(Layer.mergeAll(Layer.fresh(BlobStore.layerMemory()), Layer.fresh(node)))
    )
  )
)

const transfer = Effect.gen(function* () {
  const [provider, getter] = [yield* peer, yield* peer]
  const handlers = { [BlobsProtocol.ALPN]: BlobsProtocol.handler() }
  yield* Effect.provideContext(Router.serve({ handlers }), provider)
  const { hash } = yield* Context.get(provider, Blobs).addBytes(content(TRANSFER))
  const ticket = yield* Context.get(provider, Blobs).share(hash)
  const blobs = Context.get(getter, Blobs)
  const download = Effect.gen(function* () {
    const { received } = yield* blobs.download(ticket, { tag: false })
    if (received !== TRANSFER) throw new Error(`received ${received} bytes`)
    yield* blobs.collectGarbage
  })
  const bare = yield* Effect.promise(bareTransfer)
  const context = yield* Effect.context<never>()
  const contenders = {
    "@number0/iroh alone": bare,
    "verified download": () => Effect.runPromiseWith(context)(download)
  }
  print(
    "16 MiB over QUIC on loopback, both ends in this process",
    yield* Effect.promise(() => race(TRANSFER, contenders))
  )
  print(
    "the same per second of this thread's processor time, which is what limits it",
    yield* Effect.promise(() => race(TRANSFER, contenders, threadTime))
  )
}).pipe(Effect.scoped)

await hashing()
await verified()
await Effect.runPromise(transfer)
process.exit(0)
