import * as Bitfield from "@aster-effect/iroh-blobs/Bitfield"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Router from "@aster-effect/iroh/Router"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { blobOf } from "../../iroh-blobs/Vectors.ts"
import { eventually } from "../iroh-docs/Eventually.ts"
import { fetchBlob, hasRustPeer, rustPeer, type RustPeer } from "../../peers/RustPeer.ts"

const node = IrohNode.layer({ bindAddress: "127.0.0.1:0", relayMode: "disabled" })

/** A node of ours that serves its blobs. */
const ours = Effect.gen(function* () {
  const layer = Layer.fresh(Blobs.layer.pipe(Layer.provideMerge(Layer.mergeAll(BlobStore.layerMemory(), node))))
  const context = yield* Layer.build(layer)
  yield* Effect.provideContext(
    Router.serve({ protocols: [BlobsProtocol.protocol()], gracePeriod: "1 second" }),
    context
  )
  const { addr } = { addr: yield* Context.get(context, IrohNode).address }
  return { blobs: Context.get(context, Blobs), store: Context.get(context, BlobStore), addr }
})

const addrOf = ({ addr: { addrs, id } }: RustPeer) => NodeAddr.make(id as NodeAddr.NodeAddr["endpointId"], addrs)
/** Ours, as the peer takes it. */
const asRust = ({ directAddresses, endpointId }: NodeAddr.NodeAddr) => ({ id: endpointId, addrs: directAddresses })

const size = 8 * 1_048_576
const content = blobOf(size, 3)
const hash = BlobHash.of(content)
const raw = { hash, format: "raw" } as const
const add = (rust: RustPeer) => rust.run("blob.add", { content: { size, seed: 3 } })
const same = (actual: Uint8Array) => assert.isTrue(Buffer.from(content).equals(actual))

describe("with Rust peers on iroh 1.4", { skip: !hasRustPeer }, () => {
  it.live("blobs come in and go out", () =>
    Effect.gen(function* () {
      const [rust, here] = [yield* rustPeer(), yield* ours]
      assert.strictEqual((yield* add(rust))["hash"], hash)
      yield* here.blobs.download(raw, { from: [addrOf(rust)] })
      same(yield* here.blobs.read(hash))
      const other = blobOf(3_000_000, 1)
      const added = yield* here.blobs.addBytes(other)
      yield* fetchBlob(rust, { hash: added.hash, from: [asRust(here.addr)] })
      assert.deepInclude(yield* rust.run("blob.status", { hash: added.hash }), { status: "complete" })
    }).pipe(Effect.scoped)
  )

  it.live("two of which each has another half give the whole", () =>
    Effect.gen(function* () {
      const [source, front, back, here] = [yield* rustPeer(), yield* rustPeer(), yield* rustPeer(), yield* ours]
      yield* add(source)
      const from = [source.addr.ticket]
      // In pieces, so that each breaks off soon and has what comes after it.
      const pieces = (odd: boolean) =>
        Array.from({ length: 8 }, (_, i) => [(2 * i + Number(odd)) * 512, (2 * i + Number(odd) + 1) * 512])
      yield* fetchBlob(front, { hash, from, ranges: pieces(false) })
      yield* fetchBlob(back, { hash, from, ranges: pieces(true) })
      yield* source.kill
      const { received } = yield* here.blobs.download(raw, { from: [addrOf(front), addrOf(back)] })
      same(yield* here.blobs.read(hash))
      assert.strictEqual(received, size, "each part came once")
    }).pipe(Effect.scoped)
  )

  it.live("one that died and came back is asked over a new connection", () =>
    Effect.gen(function* () {
      const here = yield* ours
      const secret = "5".repeat(64)
      const first = yield* rustPeer(["--secret", secret])
      yield* first.run("blob.add", { content: "small" })
      const small = BlobHash.of(new TextEncoder().encode("small"))
      yield* here.blobs.download({ hash: small, format: "raw" }, { from: [addrOf(first)] })
      yield* first.kill
      const second = yield* rustPeer(["--secret", secret, "--bind", first.addr.addrs[0]!])
      assert.strictEqual(second.addr.id, first.addr.id)
      yield* add(second)
      const began = Date.now()
      yield* here.blobs.download(raw, { from: [addrOf(second)] })
      same(yield* here.blobs.read(hash))
      // The old connection would have been waited for 30 seconds.
      assert.isBelow(Date.now() - began, 28_000)
    }).pipe(Effect.scoped)
  )

  it.live("a push that is refused is Refused, whatever its size", () =>
    Effect.gen(function* () {
      const [rust, here] = [yield* rustPeer(), yield* ours]
      for (const bytes of [blobOf(100, 1), blobOf(40 * 1_048_576, 2)]) {
        const added = yield* here.blobs.addBytes(bytes)
        const error = yield* Effect.flip(here.blobs.push({ hash: added.hash, format: "raw" }, addrOf(rust)))
        assert.deepInclude(error, { _tag: "TransferError", reason: { _tag: "Refused" } })
      }
      const open = yield* rustPeer(["--push"])
      yield* here.blobs.addBytes(content)
      yield* here.blobs.push(raw, addrOf(open))
      yield* eventually(open.run("blob.status", { hash }), ({ status }) => status === "complete", "1 minute")
    }).pipe(Effect.scoped)
  )

  it.live("what we have of a blob is served on, because its size is proven first", () =>
    Effect.gen(function* () {
      const [source, getter, here] = [yield* rustPeer(), yield* rustPeer(), yield* ours]
      const big = 64 * 1_048_576
      const { hash: text } = yield* source.run("blob.add", { content: { size: big, seed: 1 } })
      const whole = BlobHash.parse(String(text))
      yield* here.store.protect({ hash: whole, format: "raw" })
      // Interrupted in its middle.
      const download = yield* Effect.forkChild(
        here.blobs.download({ hash: whole, format: "raw" }, { from: [addrOf(source)], tag: false })
      )
      yield* Effect.repeat(here.store.bitfield(whole), { until: ({ ranges }) => ranges.length > 0 })
      yield* Effect.sleep("20 millis")
      yield* Fiber.interrupt(download)
      const { ranges, size: claimed, verified } = yield* here.store.bitfield(whole)
      assert.isTrue(verified)
      assert.strictEqual(claimed, big)
      assert.isFalse(Bitfield.isComplete({ ranges, size: claimed, verified }))
      assert.strictEqual(ranges[0], 0)
      yield* fetchBlob(getter, { hash: whole, from: [asRust(here.addr)], ranges: [[0, ranges[1]]] })
      const status = yield* getter.run("blob.status", { hash: whole })
      assert.deepInclude(status, { status: "partial", ranges: [0, ranges[1]] })
    }).pipe(Effect.scoped)
  )
})
