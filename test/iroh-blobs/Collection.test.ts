import { assert, describe, it } from "@effect/vitest"
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import * as Collection from "@aster-effect/iroh-blobs/Collection"
import { HashSeq } from "@aster-effect/iroh-blobs/HashSeq"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { hashBlob } from "../../packages/iroh-blobs/src/proto/OutboardBuilder.ts"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { base32nopad } from "@scure/base"
import { blobOf, contentOf, hex, unhex, vectors } from "./Vectors.ts"

const hashOf = (bytes: Uint8Array) => BlobHash.fromBytes(hashBlob(bytes).hash)

describe("HashSeq", () => {
  it("is the recorded one", () => {
    const seq = HashSeq.of(vectors.hashSeq.children.map(({ k, n }) => hashOf(blobOf(n, k))))
    assert.strictEqual(hex(seq.bytes), vectors.hashSeq.bytesHex)
    assert.strictEqual(hashOf(seq.bytes), vectors.hashSeq.hash)
    assert.lengthOf([...seq], 3)
    assert.throws(() => new HashSeq(new Uint8Array(33)), Malformed)
  })
})

describe("Collection", () => {
  it("is the recorded one", () => {
    for (const { entries, metaHex, rootHash, rootHex } of vectors.collections) {
      const meta = Collection.encodeNames(entries.map(([name]) => name))
      assert.strictEqual(hex(meta), metaHex)
      const root = Collection.root(
        hashOf(meta),
        entries.map(([, rule]) => hashOf(contentOf(rule)))
      )
      assert.strictEqual(hex(root.bytes), rootHex)
      assert.strictEqual(hashOf(root.bytes), rootHash)
      assert.deepStrictEqual(
        Collection.entries(root, Collection.decodeNames(meta)),
        entries.map(([name, rule]) => ({ name, hash: hashOf(contentOf(rule)) }))
      )
    }
  })

  it("refuses other metadata", () => {
    for (const text of [
      "",
      "436f6c",
      "436f6c6c656374696f6e56312e00",
      "436f6c6c656374696f6e56302e01",
      "436f6c6c656374696f6e56302e0102ff",
      "436f6c6c656374696f6e56302e0101ff"
    ]) {
      assert.throws(() => Collection.decodeNames(unhex(text)), Malformed)
    }
    assert.throws(() => Collection.entries(HashSeq.of([BlobHash.emptyBlob]), ["a"]), Malformed)
  })

  it("reads no more names than there can be", () => {
    const names = Collection.encodeNames(Array.from({ length: 1000 }, () => ""))
    assert.lengthOf(Collection.decodeNames(names), 1000)
    assert.lengthOf(Collection.decodeNames(names, 1000), 1000)
    assert.throws(() => Collection.decodeNames(names, 999), Malformed, "1000")
  })

  it("names become paths only when they stay inside", () => {
    assert.deepStrictEqual(Collection.safePath("a/b.txt"), ["a", "b.txt"])
    for (const name of [
      "",
      "/etc/passwd",
      "../x",
      "a/../../x",
      "a//b",
      ".",
      "C:\\x",
      "a\\b",
      "c:x",
      "a\u0000b",
      "a/"
    ]) {
      assert.throws(() => Collection.safePath(name), Malformed)
    }
  })
})

describe("BlobHash", () => {
  it("text forms", () => {
    const { emptyBlob } = BlobHash
    assert.strictEqual(BlobHash.parse(emptyBlob.toUpperCase()), emptyBlob)
    const base32 = base32nopad.encode(BlobHash.toBytes(emptyBlob))
    assert.lengthOf(base32, 52)
    assert.strictEqual(BlobHash.parse(base32), emptyBlob)
    assert.strictEqual(BlobHash.parse(base32.toLowerCase()), emptyBlob)
  })

  it("with a format", () => {
    const both = { hash: BlobHash.emptyBlob, format: "hashSeq" } as const
    assert.deepStrictEqual(BlobHash.parseWithFormat(BlobHash.format(both)), both)
    assert.deepStrictEqual(BlobHash.parseWithFormat(BlobHash.emptyBlob), { ...both, format: "raw" })
    for (const text of ["", "s", "x".repeat(64), BlobHash.emptyBlob + "0", "1".repeat(52)]) {
      assert.throws(() => BlobHash.parseWithFormat(text), Malformed)
    }
  })
})

describe("BlobTicket", () => {
  it("writes and reads the recorded tickets", () => {
    for (const { directAddresses, endpointId, format, hash, relayUrl, ticket } of vectors.tickets) {
      const addr = NodeAddr.make(EndpointId.parse(endpointId), [...directAddresses].reverse(), relayUrl ?? undefined)
      assert.strictEqual(BlobTicket.encode({ addr, format, hash: BlobHash.parse(hash) }), ticket)
      const read = BlobTicket.decode(ticket)
      assert.strictEqual(read.hash, hash)
      assert.strictEqual(read.format, format)
      assert.strictEqual(read.addr.endpointId, endpointId)
      assert.strictEqual(BlobTicket.encode(read), ticket)
      assert.deepStrictEqual(BlobTicket.decode("blob" + ticket.slice(4).toUpperCase()), read)
    }
  })

  it("random changes are read or refused, never anything else", () => {
    let seed = 9
    const next = (below: number) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % below
    for (let run = 0; run < 4000; run++) {
      const { ticket } = vectors.tickets[run % vectors.tickets.length]!
      const bytes = base32nopad.decode(ticket.slice(4).toUpperCase()).slice(0, run % 3 === 0 ? next(80) : undefined)
      for (let flips = next(4); flips > 0 && bytes.length > 0; flips--) bytes[next(bytes.length)]! ^= 1 << next(8)
      try {
        const read = BlobTicket.decode(`blob${base32nopad.encode(bytes).toLowerCase()}`)
        const { addr, ...content } = BlobTicket.decode(BlobTicket.encode(read))
        assert.deepStrictEqual(content, { hash: read.hash, format: read.format })
        assert.strictEqual(addr.endpointId, read.addr.endpointId)
        assert.sameMembers([...addr.directAddresses], [...read.addr.directAddresses])
      } catch (error) {
        assert.instanceOf(error, Malformed)
      }
    }
  })

  it("refuses other text", () => {
    const { ticket } = vectors.tickets[0]!
    for (const text of [
      "",
      "blob",
      "BLOB" + ticket.slice(4),
      ticket + " ",
      ticket.slice(0, -4),
      "blobae",
      "blob" + "a".repeat(20_000),
      ticket.replace("bloba", "blobi")
    ]) {
      assert.throws(() => BlobTicket.decode(text), Malformed)
    }
  })
})
