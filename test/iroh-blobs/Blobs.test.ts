import { assert, describe, it } from "@effect/vitest"
import type { Progress } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import { HashSeq } from "@aster-effect/iroh-blobs/HashSeq"
import { hashBlob } from "../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import type * as Request from "@aster-effect/iroh-blobs/Request"
import { DownloadFailed, type TransferError } from "@aster-effect/iroh-blobs/TransferError"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import type { Handler } from "@aster-effect/iroh/Router"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inNetwork, makePeer } from "./Peers.ts"
import { blobOf, respond } from "./Vectors.ts"

const hashOf = (bytes: Uint8Array) => BlobHash.fromBytes(hashBlob(bytes).hash)
const raw = (hash: BlobHash.BlobHash) => ({ hash, format: "raw" }) as const
const same = (a: Uint8Array, b: Uint8Array) => assert.isTrue(Buffer.from(a).equals(b))
const reasons = (failures: ReadonlyArray<TransferError>) => failures.map(({ peer, reason }) => [peer, reason._tag])

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "blobs-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A provider that answers every request with the given pieces, whatever they are. */
const impostor =
  (pieces: ReadonlyArray<Uint8Array>, end: "finish" | "stay" | { readonly reset: number } = "finish"): Handler =>
  (connection) =>
    Effect.gen(function* () {
      const { recv, send } = yield* connection.acceptBi
      const answer = Effect.gen(function* () {
        while ((yield* recv.read()) !== undefined);
        for (const piece of pieces) yield* send.write(piece)
        if (end === "finish") yield* send.finish
        else if (end !== "stay") yield* send.reset(end.reset)
      })
      yield* Effect.ignore(answer)
    }).pipe(Effect.forever)

describe("downloads", () => {
  it.live("take nothing of what is larger than allowed", () =>
    Effect.gen(function* () {
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      const add = (size: number) =>
        Effect.map(provider.blobs.addBytes(new Uint8Array(size).fill(size)), ({ hash }) => hash)
      const [small, large] = [yield* add(1000), yield* add(1_000_000)]
      const from = [provider.addr]
      const bounded = (size: number) => getter.blobs.download(raw(large), { from, maxBytes: size, tag: false })
      const error = yield* Effect.flip(bounded(999_999))
      assert.instanceOf(error, DownloadFailed)
      assert.deepStrictEqual(error.failures[0]!.reason, { _tag: "TooLarge", size: 1_000_000, limit: 999_999 })
      assert.strictEqual((yield* getter.blobs.status(large))._tag, "NotFound")

      // Those beside it are not held up.
      const other = yield* add(2000)
      const many = yield* Effect.flip(
        getter.blobs.downloadMany([large, other], { from, maxBytes: (hash) => (hash === other ? 2000 : 1000) })
      )
      assert.deepStrictEqual(reasons((many as DownloadFailed).failures), [[provider.node.endpointId, "TooLarge"]])
      assert.deepStrictEqual([yield* getter.blobs.has(large), yield* getter.blobs.has(other)], [false, true])

      // Of a sequence all count together.
      const list = yield* provider.blobs.addCollection([
        { name: "large", hash: large },
        { name: "small", hash: small }
      ])
      const sequence = (size: number) =>
        getter.blobs.download({ hash: list.hash, format: "hashSeq" }, { from, maxBytes: size, tag: false })
      const tooMuch = yield* Effect.flip(sequence(1_000_500))
      assert.deepStrictEqual(reasons((tooMuch as DownloadFailed).failures), [[provider.node.endpointId, "TooLarge"]])
      yield* sequence(1_001_500)
      assert.isTrue(yield* getter.blobs.has(small))
    }).pipe(inNetwork)
  )

  it.live("of every size arrive whole, and once", () =>
    Effect.gen(function* () {
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      for (const size of [0, 1, 1023, 1024, 1025, 16_383, 16_384, 16_385, 1_048_576, 5_000_001]) {
        const blob = blobOf(size, 3)
        const { hash } = yield* provider.blobs.addBytes(blob)
        const ticket = yield* provider.blobs.share(hash)
        const seen: Array<number> = []
        const { received } = yield* getter.blobs.download(ticket, {
          onProgress: ({ done, total }) =>
            Effect.sync(() => {
              assert.strictEqual(total, size)
              seen.push(done)
            })
        })
        assert.strictEqual(received, size)
        assert.strictEqual(seen.at(-1) ?? 0, size)
        assert.deepStrictEqual(
          seen,
          seen.toSorted((a, b) => a - b)
        )
        same(yield* getter.blobs.read(hash), blob)
        assert.strictEqual((yield* getter.blobs.download(ticket)).received, 0)
      }
    }).pipe(inNetwork)
  )

  it.live("ask only for what is missing", () =>
    Effect.gen(function* () {
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      const blob = blobOf(400_000, 3)
      const { hash } = yield* provider.blobs.addBytes(blob)
      const get = (ranges?: ReadonlyArray<{ readonly start?: number; readonly end?: number }>) =>
        getter.blobs.download(raw(hash), { from: [provider.addr], ranges, tag: false })
      assert.strictEqual(
        (yield* get([{ start: 20_000, end: 20_001 }, { start: 390_000 }])).received,
        16_384 + 400_000 - 23 * 16_384
      )
      same(yield* getter.blobs.read(hash, { start: 390_000 }), blob.subarray(390_000))
      const lacking = yield* Effect.flip(getter.blobs.read(hash, { start: 20_000, end: 40_000 }))
      assert.deepInclude(lacking, { _tag: "RangeNotFound", offset: 32_768 })
      assert.strictEqual((yield* Effect.flip(getter.blobs.read(hash)))._tag, "BlobNotFound")
      assert.strictEqual((yield* Effect.flip(getter.blobs.share(hash)))._tag, "BlobNotFound")
      assert.strictEqual((yield* get()).received, 400_000 - 16_384 - (400_000 - 23 * 16_384))
      same(yield* getter.blobs.read(hash), blob)
      same(
        Buffer.concat(yield* Stream.runCollect(getter.blobs.stream(hash, { start: 7, end: 399_999 }))),
        blob.subarray(7, 399_999)
      )
      assert.strictEqual((yield* Effect.flip(getter.blobs.read(hash, { end: 400_001 })))._tag, "RangeNotFound")
    }).pipe(inNetwork)
  )

  it.live("ask the ticket's peer, those named and the usual providers in turn, and nobody twice", () =>
    Effect.gen(function* () {
      const peers = [yield* makePeer(), yield* makePeer(), yield* makePeer()] as const
      const [ticketed, named, usual] = peers
      const getter = yield* makePeer({ providers: [usual.addr, named.addr] })
      const hash = hashOf(blobOf(5000, 1))
      // An address is what any of the sources knows of it.
      const addr = { ...ticketed.addr, directAddresses: [] }
      const from = [named.addr, ticketed.addr]
      const error = yield* Effect.flip(getter.blobs.download({ ...raw(hash), addr }, { from }))
      assert.strictEqual(error._tag, "DownloadFailed")
      if (error._tag !== "DownloadFailed") return
      assert.deepStrictEqual(
        reasons(error.failures),
        peers.map(({ addr }) => [addr.endpointId, "NotFound"])
      )
      yield* usual.blobs.addBytes(blobOf(5000, 1))
      assert.strictEqual((yield* getter.blobs.download(hash)).received, 5000)
    }).pipe(inNetwork)
  )

  it.live("leave a lying peer at its first wrong group, name it, and go on with the next", () =>
    Effect.gen(function* () {
      let sent = 0
      const honest = yield* makePeer({ onServed: (served) => Effect.sync(() => (sent += served.sent)) })
      const getter = yield* makePeer()
      const blob = blobOf(200_000, 3)
      const { hash } = yield* honest.blobs.addBytes(blob)
      const { parts } = respond(blob, [0])
      const leaves = parts.flatMap((part, i) => (part.length === 16_384 ? [i] : []))
      const bad = parts.map((part, i) => (i === leaves[5] ? part.map((byte) => byte ^ 1) : part))
      const liar = yield* makePeer({ handler: impostor(bad) })
      const { failures, received } = yield* getter.blobs.download(raw(hash), { from: [liar.addr, honest.addr] })
      assert.deepStrictEqual(reasons(failures), [[liar.addr.endpointId, "Corrupt"]])
      assert.deepInclude(failures[0]!.reason, { offset: 5 * 16_384 })
      assert.include(failures[0]!.message, liar.addr.endpointId.slice(0, 10))
      // What the liar sent before its lie was not asked for again.
      assert.strictEqual(received, 200_000)
      yield* Effect.sleep(20)
      assert.isBelow(sent, 200_000 - 4 * 16_384)
      same(yield* getter.blobs.read(hash), blob)
    }).pipe(inNetwork)
  )

  it.live(
    "survive every kind of bad answer",
    () =>
      Effect.gen(function* () {
        const [honest, empty] = [yield* makePeer(), yield* makePeer()]
        const blob = blobOf(100_000, 3)
        const { hash } = yield* honest.blobs.addBytes(blob)
        const { bytes, parts } = respond(blob, [0])
        const size = (claim: bigint) => {
          const header = new Uint8Array(8)
          new DataView(header.buffer).setBigUint64(0, claim, true)
          return [header, ...parts.slice(1)]
        }
        const endless = Array.from({ length: 64 }, () => new Uint8Array(65_536))
        const answers: ReadonlyArray<readonly [string, Parameters<typeof impostor>]> = [
          ["NotFound", [[]]],
          ["NotFound", [[], { reset: 3 }]],
          ["Refused", [[], { reset: 1 }]],
          ["RateLimited", [[], { reset: 2 }]],
          ["BrokenOff", [[], { reset: 77 }]],
          ["BrokenOff", [[bytes.subarray(0, 5)]]],
          ["BrokenOff", [[bytes.subarray(0, 100)]]],
          ["NotFound", [parts.slice(0, 7)]],
          ["Stalled", [parts.slice(0, 6), "stay"]],
          ["Corrupt", [endless]],
          ["Corrupt", [[parts[0]!, ...endless]]],
          ["Corrupt", [size(0n)]],
          ["Corrupt", [size(99_999n)]],
          ["Corrupt", [size(2n ** 53n)]],
          ["Corrupt", [size(2n ** 64n - 1n)]],
          ["Corrupt", [size(2n ** 50n)]],
          ["Corrupt", [[parts[0]!, parts[2]!, parts[1]!, ...parts.slice(3)]]]
        ]
        const liars = []
        for (const [, answer] of answers) liars.push(yield* makePeer({ handler: impostor(...answer) }))
        const expected = liars.map(({ addr }, i) => [addr.endpointId, answers[i]![0]])
        for (const from of [...liars.map((liar) => [liar.addr]), liars.map(({ addr }) => addr)]) {
          const getter = yield* makePeer()
          const error = yield* Effect.flip(getter.blobs.download(raw(hash), { from, stallTimeout: 600 }))
          assert.isTrue(error._tag === "DownloadFailed")
          if (error._tag === "DownloadFailed" && from.length === 1) {
            assert.deepStrictEqual(
              reasons(error.failures),
              expected.filter(([id]) => id === from[0]!.endpointId)
            )
          }
          const { received } = yield* getter.blobs.download(raw(hash), {
            from: [empty.addr, ...from, honest.addr],
            stallTimeout: 600
          })
          assert.isAtMost(received, 100_000)
          same(yield* getter.blobs.read(hash), blob)
        }
        // More after the end is nobody's concern.
        const chatty = yield* makePeer({ handler: impostor([bytes, new Uint8Array(100)]) })
        const getter = yield* makePeer()
        assert.deepStrictEqual((yield* getter.blobs.download(raw(hash), { from: [chatty.addr] })).failures, [])
      }).pipe(inNetwork),
    120_000
  )

  it.live("take no other size once one is proven", () =>
    Effect.gen(function* () {
      const [honest, getter] = [yield* makePeer(), yield* makePeer()]
      const blob = blobOf(100_000, 3)
      const { hash } = yield* honest.blobs.addBytes(blob)
      yield* getter.blobs.download(raw(hash), { from: [honest.addr], ranges: [{ start: 99_999 }], tag: false })
      // 120 000 bytes have the same tree above the first group, so its data alone would not give the lie away.
      const lie = respond(blob, [0, 16]).bytes
      new DataView(lie.buffer).setBigUint64(0, 120_000n, true)
      const liar = yield* makePeer({ handler: impostor([lie]) })
      const first = { ranges: [{ end: 16_384 }], tag: false } as const
      const error = yield* Effect.flip(getter.blobs.download(raw(hash), { from: [liar.addr], ...first }))
      assert.isTrue(error._tag === "DownloadFailed" && error.failures[0]?.reason._tag === "Corrupt")
      // Who knows no size yet cannot tell, but loses nothing by it.
      const other = yield* makePeer()
      yield* other.blobs.download(raw(hash), { from: [liar.addr], ...first })
      assert.deepStrictEqual(yield* other.blobs.status(hash), { _tag: "Partial", size: 120_000, sizeVerified: false })
      assert.strictEqual((yield* other.blobs.download(raw(hash), { from: [honest.addr] })).received, 100_000 - 16_384)
      same(yield* other.blobs.read(hash), blob)
    }).pipe(inNetwork)
  )

  it.live("say what went wrong when nobody has it", () =>
    Effect.gen(function* () {
      const [getter, one, gone] = [yield* makePeer(), yield* makePeer(), yield* makePeer()]
      yield* gone.node.close
      const hash = hashOf(blobOf(5, 5))
      const error = yield* Effect.flip(
        getter.blobs.download(raw(hash), { from: [one.addr, gone.addr], stallTimeout: 1_000 })
      )
      assert.isTrue(error._tag === "DownloadFailed")
      if (error._tag === "DownloadFailed") {
        assert.deepStrictEqual(reasons(error.failures), [
          [one.addr.endpointId, "NotFound"],
          [gone.addr.endpointId, "Stalled"]
        ])
      }
      assert.include((yield* Effect.flip(getter.blobs.download(hash))).message, "no peer")
      for (const text of ["blobxyz", "nonsense", ""]) {
        assert.strictEqual((yield* Effect.flip(getter.blobs.download(text)))._tag, "MalformedBlob")
      }
    }).pipe(inNetwork)
  )

  it.live("put together what several peers have parts of, whatever their order", () =>
    Effect.gen(function* () {
      const source = yield* makePeer()
      const [odd, even, getter] = [yield* makePeer(), yield* makePeer(), yield* makePeer()]
      const blob = blobOf(400_000, 3)
      const { hash } = yield* source.blobs.addBytes(blob)
      const third = Math.floor(400_000 / 3)
      const from = { from: [source.addr], tag: false } as const
      yield* even.blobs.download(raw(hash), { ...from, ranges: [{ end: third }, { start: 2 * third }] })
      yield* odd.blobs.download(raw(hash), { ...from, ranges: [{ start: third, end: 2 * third }, { start: 399_999 }] })
      const whole = yield* getter.blobs.download(raw(hash), { from: [odd.addr, even.addr] })
      assert.strictEqual(whole.received, 400_000)
      same(yield* getter.blobs.read(hash), blob)
      // Of a hash sequence, every second child each.
      const children = Array.from({ length: 6 }, (_, i) => blobOf(20_000 + i, i))
      const seq = HashSeq.of(children.map(hashOf))
      for (const [i, peer] of [even, odd].entries()) {
        yield* peer.blobs.addBytes(seq.bytes)
        for (let child = i; child < 6; child += 2) yield* peer.blobs.addBytes(children[child]!)
      }
      const root = { hash: hashOf(seq.bytes), format: "hashSeq" } as const
      const alone = yield* Effect.flip(getter.blobs.download(root, { from: [odd.addr] }))
      assert.isTrue(alone._tag === "DownloadFailed" && alone.failures.length === 1)
      yield* getter.blobs.download(root, { from: [odd.addr, even.addr] })
      for (const child of children) same(yield* getter.blobs.read(hashOf(child)), child)
    }).pipe(inNetwork)
  )

  it.live("of many blobs take from each peer what it has", () =>
    Effect.gen(function* () {
      const requests: Array<string> = []
      const note = {
        onServed: ({ request }: BlobsProtocol.ServedRequest) => Effect.sync(() => requests.push(request?._tag ?? ""))
      }
      const [some, others, getter] = [yield* makePeer(note), yield* makePeer(note), yield* makePeer()]
      const contents = Array.from({ length: 40 }, (_, i) => blobOf(i * 700, i))
      const hashes = contents.map(hashOf)
      for (const [i, content] of contents.entries()) yield* (i % 20 === 7 ? others : some).blobs.addBytes(content)
      const seen: Array<Progress> = []
      const alone = yield* Effect.flip(getter.blobs.downloadMany(hashes, { from: [some.addr] }))
      assert.isTrue(alone._tag === "DownloadFailed" && alone.failures[0]?.reason._tag === "NotFound")
      assert.lengthOf(yield* Stream.runCollect(getter.blobs.list), 37)
      const { failures, received } = yield* getter.blobs.downloadMany([...hashes, ...hashes], {
        from: [some.addr, others.addr],
        onProgress: (progress) => Effect.sync(() => seen.push(progress))
      })
      assert.deepStrictEqual(reasons(failures), [[some.addr.endpointId, "NotFound"]])
      assert.strictEqual(received, 7 * 700 + 27 * 700)
      assert.deepStrictEqual(seen.at(-1), { done: received, blob: { number: 2, of: 2 } })
      for (const [i, content] of contents.entries()) same(yield* getter.blobs.read(hashes[i]!), content)
      assert.lengthOf(yield* Stream.runCollect(getter.blobs.tags.list()), 40)
      assert.isTrue(requests.every((tag) => tag === "GetMany"))
      // Each one that is lacking costs an answer that ends early, and one for it alone.
      assert.isBelow(requests.length, 12)
      assert.strictEqual((yield* getter.blobs.downloadMany(hashes)).received, 0)
      const nobody = yield* Effect.flip(getter.blobs.downloadMany([hashOf(blobOf(1, 1))]))
      assert.include(nobody.message, "no peer")
    }).pipe(inNetwork)
  )

  it.live("of many blobs go on after one that a peer has only heard of", () =>
    Effect.gen(function* () {
      const [first, unknown, third] = [blobOf(5, 1), blobOf(70_000, 2), blobOf(40_000, 3)]
      // As release 0.104 answers: 8 zero bytes, and then the next blob.
      const answer = [respond(first, [0]).bytes, new Uint8Array(8), respond(third, [0]).bytes]
      const [provider, getter] = [yield* makePeer({ handler: impostor(answer) }), yield* makePeer()]
      const hashes = [first, unknown, third].map(hashOf)
      const error = yield* Effect.flip(getter.blobs.downloadMany(hashes, { from: [provider.addr] }))
      assert.isTrue(error._tag === "DownloadFailed")
      if (error._tag === "DownloadFailed") {
        assert.strictEqual(error.hash, hashes[1])
        assert.deepStrictEqual(reasons(error.failures), [[provider.addr.endpointId, "NotFound"]])
      }
      same(yield* getter.blobs.read(hashes[0]!), first)
      same(yield* getter.blobs.read(hashes[2]!), third)
    }).pipe(inNetwork)
  )

  it.live("refuse ranges that no blob can have", () =>
    Effect.gen(function* () {
      const { blobs } = yield* makePeer()
      const { hash } = yield* blobs.addBytes(blobOf(5000, 1))
      const bad = [{ start: NaN }, { end: NaN }, { start: 0.5 }, { start: -1 }, { end: 2 ** 53 }, { start: 9, end: 3 }]
      for (const range of bad) {
        assert.strictEqual((yield* Effect.flip(blobs.read(hash, range)))._tag, "InvalidRange")
        assert.strictEqual((yield* Effect.flip(Stream.runDrain(blobs.stream(hash, range))))._tag, "InvalidRange")
        assert.strictEqual((yield* Effect.flip(blobs.download(raw(hash), { ranges: [range] })))._tag, "InvalidRange")
      }
      assert.strictEqual((yield* blobs.read(hash, { end: Infinity })).length, 5000)
      assert.strictEqual((yield* blobs.read(hash, { start: 5000 })).length, 0)
      assert.strictEqual((yield* Effect.flip(blobs.read(hash, { start: 5001 })))._tag, "RangeNotFound")
      for (const maxRequests of [NaN, 0, -1, 0.5, Infinity]) {
        assert.throws(() => BlobsProtocol.handler({ maxRequests }), RangeError)
      }
    }).pipe(inNetwork)
  )

  it.live("of a hash sequence go on after a child that a peer lacks", () =>
    Effect.gen(function* () {
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      const children = Array.from({ length: 5 }, (_, i) => blobOf(20_000 + i, i))
      const seq = HashSeq.of(children.map(hashOf))
      yield* provider.blobs.addBytes(seq.bytes)
      for (const child of [1, 2, 4]) yield* provider.blobs.addBytes(children[child]!)
      const root = { hash: hashOf(seq.bytes), format: "hashSeq" } as const
      const error = yield* Effect.flip(getter.blobs.download(root, { from: [provider.addr] }))
      assert.isTrue(error._tag === "DownloadFailed" && error.failures[0]?.hash === hashOf(children[0]!))
      for (const [i, child] of children.entries())
        assert.strictEqual(yield* getter.blobs.has(hashOf(child)), [1, 2, 4].includes(i), `${i}`)
    }).pipe(inNetwork)
  )

  it.live("say that a peer lets in admitted peers only", () =>
    Effect.gen(function* () {
      const gated = yield* makePeer({ handler: (connection) => connection.close(403, "not admitted") })
      const getter = yield* makePeer()
      const hash = hashOf(blobOf(5, 5))
      const error = yield* Effect.flip(getter.blobs.download(raw(hash), { from: [gated.addr] }))
      assert.isTrue(error._tag === "DownloadFailed")
      if (error._tag === "DownloadFailed") {
        assert.deepStrictEqual(reasons(error.failures), [[gated.addr.endpointId, "NotAdmitted"]])
        assert.include(error.message, "admission")
      }
    }).pipe(inNetwork)
  )

  it.live("interrupted by the loss of a peer are resumed", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const [first, second, getter] = [yield* makePeer(), yield* makePeer(), yield* makePeer()]
      const blob = blobOf(3_000_000, 3)
      const { hash } = yield* first.blobs.addBytes(blob)
      yield* second.blobs.addBytes(blob)
      const { failures, received } = yield* getter.blobs.download(raw(hash), {
        from: [first.addr, second.addr],
        stallTimeout: 1_000,
        onProgress: ({ done }) => (done > 1_000_000 ? network.lose(first.addr.endpointId) : Effect.void)
      })
      assert.lengthOf(failures, 1)
      assert.strictEqual(received, 3_000_000)
      same(yield* getter.blobs.read(hash), blob)
    }).pipe(inNetwork)
  )

  it.live("interrupted by their owner keep what was verified", () =>
    Effect.gen(function* () {
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      const blob = blobOf(3_000_000, 3)
      const { hash } = yield* provider.blobs.addBytes(blob)
      const half = yield* Effect.forkChild(
        getter.blobs.download(raw(hash), {
          from: [provider.addr],
          onProgress: ({ done }) => (done > 1_000_000 ? Effect.never : Effect.void)
        }),
        { startImmediately: true }
      )
      while (
        (yield* getter.store.bitfield(hash)).ranges.at(-1)! * 1024 < 1_000_000 ||
        (yield* getter.store.bitfield(hash)).ranges.length === 0
      )
        yield* Effect.sleep(5)
      yield* Effect.sleep(20)
      yield* Fiber.interrupt(half)
      const { received } = yield* getter.blobs.download(raw(hash), { from: [provider.addr] })
      assert.isBelow(received, 2_000_000)
      same(yield* getter.blobs.read(hash), blob)
    }).pipe(inNetwork)
  )

  it.live("fifty at a time, of the same and of different blobs", () =>
    Effect.gen(function* () {
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      const blobs = Array.from({ length: 10 }, (_, i) => blobOf(50_000 + i * 30_000, i))
      const tickets: Array<string> = []
      for (const blob of blobs) tickets.push(yield* provider.blobs.share((yield* provider.blobs.addBytes(blob)).hash))
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => tickets[i % 10]!),
        (ticket) => getter.blobs.download(ticket),
        {
          concurrency: "unbounded",
          discard: true
        }
      )
      for (const blob of blobs) same(yield* getter.blobs.read(hashOf(blob)), blob)
      yield* getter.blobs.collectGarbage
      assert.lengthOf(yield* Stream.runCollect(getter.blobs.list), 10)
    }).pipe(inNetwork)
  )
})

describe("collections", () => {
  it.live("travel whole, and only what is missing of them", () =>
    Effect.gen(function* () {
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      const directory = yield* temporary
      const contents = [blobOf(10, 1), blobOf(0, 1), blobOf(70_000, 1), blobOf(10, 1), blobOf(300_000, 2)]
      const entries = []
      for (const [i, content] of contents.entries()) {
        entries.push({
          name: `folder ${i}/ä-${i}`,
          hash: (yield* provider.blobs.addBytes(content, { tag: false })).hash
        })
      }
      const { hash } = yield* provider.blobs.addCollection(entries, { tag: "mine" })
      yield* provider.blobs.collectGarbage
      const ticket = yield* provider.blobs.share({ hash, format: "hashSeq" })
      assert.strictEqual(BlobTicket.decode(ticket).format, "hashSeq")
      yield* getter.blobs.addBytes(contents[4]!)
      yield* getter.blobs
        .download(ticket, { tag: "theirs" })
        .pipe(Effect.tap(({ received }) => Effect.sync(() => assert.isBelow(received, 71_000))))
      assert.deepStrictEqual(yield* getter.blobs.collection(hash), entries)
      yield* getter.blobs.tags.removeAll({ prefix: "auto-" })
      yield* getter.blobs.collectGarbage
      yield* getter.blobs.exportCollection(hash, directory)
      contents.forEach((content, i) => same(readFileSync(join(directory, `folder ${i}`, `ä-${i}`)), content))
      assert.strictEqual((yield* getter.blobs.download(ticket)).received, 0)
      const evil = yield* getter.blobs.addCollection([...entries, { name: "../out", hash: entries[0]!.hash }])
      assert.strictEqual(
        (yield* Effect.flip(getter.blobs.exportCollection(evil.hash, join(directory, "x"))))._tag,
        "MalformedBlob"
      )
      assert.isFalse(existsSync(join(directory, "x")))
      const noSeq = yield* Effect.flip(getter.blobs.download({ hash: entries[0]!.hash, format: "hashSeq" }))
      assert.strictEqual(noSeq._tag, "MalformedBlob")
    }).pipe(inNetwork)
  )

  it.live("of thousands of blobs go in requests that peers accept", () =>
    Effect.gen(function* () {
      const requests: Array<Request.Request> = []
      const provider = yield* makePeer({
        onServed: ({ request }) => Effect.sync(() => request !== undefined && requests.push(request))
      })
      const getter = yield* makePeer()
      const entries = yield* Effect.forEach(
        Array.from({ length: 2500 }, (_, i) => i),
        (i) =>
          Effect.map(provider.blobs.addBytes(new TextEncoder().encode(`${i}`), { tag: false }), ({ hash }) => ({
            name: `${i}`,
            hash
          })),
        { concurrency: 100 }
      )
      const { hash } = yield* provider.blobs.addCollection(entries)
      yield* getter.blobs.download(yield* provider.blobs.share({ hash, format: "hashSeq" }))
      assert.lengthOf(yield* getter.blobs.collection(hash), 2500)
      assert.strictEqual(requests.length, 4)
      for (const entry of entries) assert.isTrue(yield* getter.blobs.has(entry.hash))
    }).pipe(inNetwork)
  )
})

describe("garbage", () => {
  it.live("collected without a pause takes nothing from folders, collections and downloads on their way", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const [provider, getter] = [yield* makePeer(), yield* makePeer()]
      const names = Array.from({ length: 20 }, (_, i) => `${i}`)
      mkdirSync(join(directory, "in"))
      for (const [i, name] of names.entries()) writeFileSync(join(directory, "in", name), blobOf(i * 3000, i))
      let runs = 0
      for (const { store } of [provider, getter])
        yield* Effect.tap(
          store.collectGarbage,
          Effect.sync(() => runs++)
        ).pipe(Effect.forever, Effect.forkScoped)
      for (let round = 0; round < 2; round++) {
        const { entries, hash } = yield* provider.blobs.addFolder(join(directory, "in"), { tag: "folder" })
        const ticket = yield* provider.blobs.share({ hash, format: "hashSeq" })
        yield* getter.blobs.download(ticket, { tag: "folder" })
        yield* getter.blobs.exportCollection(hash, join(directory, `out-${round}`))
        for (const [i, name] of names.entries())
          same(readFileSync(join(directory, `out-${round}`, name)), blobOf(i * 3000, i))
        yield* getter.blobs.tags.remove("folder")
        const hashes = entries.map((entry) => entry.hash)
        yield* getter.blobs.downloadMany(hashes, { from: [provider.addr] })
        for (const hash of hashes) assert.isTrue(yield* getter.blobs.has(hash))
        for (const { blobs } of [provider, getter]) yield* blobs.tags.removeAll({})
      }
      assert.isAbove(runs, 10)
      for (const { blobs } of [provider, getter]) {
        yield* blobs.collectGarbage
        assert.isEmpty(yield* Stream.runCollect(blobs.list))
      }
    }).pipe(inNetwork)
  )
})

describe("files", () => {
  it.live("go in and out, with progress", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const { blobs } = yield* makePeer({ store: Layer.orDie(BlobStore.layerDirectory(join(directory, "store"))) })
      const content = blobOf(2_500_000, 9)
      writeFileSync(join(directory, "in"), content)
      const seen: Array<readonly [number, number | undefined]> = []
      const onProgress = ({ done, total }: { readonly done: number; readonly total?: number | undefined }) =>
        Effect.sync(() => seen.push([done, total]))
      const { hash } = yield* blobs.addPath(join(directory, "in"), { tag: "file", onProgress })
      assert.strictEqual(hash, hashOf(content))
      assert.deepStrictEqual(seen, [
        [1_048_576, 2_500_000],
        [2_097_152, 2_500_000],
        [2_500_000, 2_500_000]
      ])
      yield* blobs.export(hash, join(directory, "deep", "out"), { onProgress })
      same(readFileSync(join(directory, "deep", "out")), content)
      assert.deepStrictEqual(readdirSync(join(directory, "deep")), ["out"])
      assert.lengthOf(seen, 6)
      const error = yield* Effect.flip(blobs.addPath(join(directory, "nothing")))
      assert.deepInclude(error, { _tag: "BlobFileError", operation: "read" })
      assert.strictEqual((yield* Effect.flip(blobs.export(hash, join(directory, "in", "x"))))._tag, "BlobFileError")
      const streamed = yield* blobs.addStream(Stream.make(content.subarray(0, 10), content.subarray(10)))
      assert.strictEqual(streamed.hash, hash)
      const broken = yield* Effect.flip(
        blobs.addStream(Stream.concat(Stream.make(content), Stream.fail("mine" as const)))
      )
      assert.strictEqual(broken, "mine")
      assert.isEmpty(readdirSync(join(directory, "store", "temp")))
    }).pipe(inNetwork)
  )

  it.live("of a folder go in as a collection and come out elsewhere, with progress", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const folder = join(directory, "folder")
      const store = (name: string) => Layer.orDie(BlobStore.layerDirectory(join(directory, name)))
      const provider = yield* makePeer({ store: store("a") })
      const getter = yield* makePeer({ store: store("b") })
      const contents = new Map([
        ["b", blobOf(400_000, 1)],
        ["b.partial", blobOf(7, 1)],
        ["a/ä", blobOf(0, 0)],
        ["a/x/y", blobOf(70_000, 2)],
        ["a/x/z", blobOf(70_000, 2)]
      ])
      mkdirSync(join(folder, "a", "x"), { recursive: true })
      mkdirSync(join(folder, "nothing"))
      for (const [name, content] of contents) writeFileSync(join(folder, name), content)
      symlinkSync("/etc/hostname", join(folder, "a", "link"))
      const bytes = 400_000 + 7 + 140_000
      const seen: Array<Progress> = []
      const onProgress = (progress: Progress) => Effect.sync(() => seen.push(progress))
      const added = yield* provider.blobs.addFolder(folder, { tag: "folder", onProgress })
      assert.deepStrictEqual(
        added.entries.map(({ name }) => name),
        ["a/x/y", "a/x/z", "a/ä", "b", "b.partial"]
      )
      assert.deepStrictEqual([added.bytes, added.skipped], [bytes, ["a/link"]])
      assert.deepStrictEqual(seen.at(-1), { done: bytes, total: bytes })
      // Nothing but the tag keeps it.
      yield* provider.blobs.collectGarbage
      assert.deepStrictEqual(yield* provider.blobs.collection(added.hash), added.entries)
      const ticket = yield* provider.blobs.share({ hash: added.hash, format: "hashSeq" })
      yield* getter.blobs.download(ticket, { onProgress })
      assert.deepStrictEqual(seen.at(-1)?.blob, { number: 4, of: 4 })
      seen.length = 0
      yield* getter.blobs.exportCollection(added.hash, join(directory, "out"), { onProgress })
      assert.deepStrictEqual(seen.at(-1), { done: bytes, total: bytes })
      for (const [name, content] of contents) same(readFileSync(join(directory, "out", name)), content)
      assert.sameMembers(readdirSync(join(directory, "out")), ["a", "b", "b.partial"])

      writeFileSync(join(folder, "a:b"), "")
      const without = yield* provider.blobs.addFolder(folder)
      assert.strictEqual(without.hash, added.hash)
      assert.sameMembers([...without.skipped], ["a/link", "a:b"])
      assert.deepStrictEqual(without.emptyFolders, ["nothing"])
      const absent = yield* Effect.flip(provider.blobs.addFolder(join(directory, "absent")))
      assert.deepInclude(absent, { _tag: "BlobFileError", operation: "read" })
    }).pipe(inNetwork)
  )
})
