import { assert, describe, it } from "@effect/vitest"
import * as BlobHash from "@aster-effect/iroh-blobs/proto/BlobHash"
import * as BlobTicket from "@aster-effect/iroh-blobs/proto/BlobTicket"
import * as Collection from "@aster-effect/iroh-blobs/proto/Collection"
import { HashSeq } from "@aster-effect/iroh-blobs/proto/HashSeq"
import { Malformed } from "@aster-effect/iroh-blobs/proto/Malformed"
import { hashBlob } from "@aster-effect/iroh-blobs/proto/OutboardBuilder"
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
