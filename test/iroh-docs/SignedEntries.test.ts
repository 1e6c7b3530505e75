/** Entries that are signed here and put in there, and reconciliation without a session. */
import * as BlobHash from "@aster-effect/iroh-blobs/BlobHash"
import type { Document } from "@aster-effect/iroh-docs/Document"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { PostcardWriter } from "@aster-effect/iroh/Postcard"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Bytes from "../../packages/iroh-docs/src/proto/Bytes.ts"
import * as Entry from "../../packages/iroh-docs/src/proto/Entry.ts"
import * as Signature from "../../packages/iroh-docs/src/proto/Signature.ts"
import { is, listener, peer, signed } from "./Peers.ts"

const MINUTE = 60_000_000
const nowMicros = () => Date.now() * 1000
const content = { hash: BlobHash.of(Bytes.of("milk")), size: 4 }
const keysOf = (document: Document) =>
  Effect.map(Stream.runCollect(document.getMany()), (all) => all.map(({ keyText }) => keyText))

/** A document at one node, and the same at another one that may only read it. */
const scene = Effect.gen(function* () {
  const [alice, bob] = [yield* peer(), yield* peer()]
  const written = yield* alice.docs.create
  const copy = yield* bob.docs.import({ _tag: "Read", document: written.id })
  return { alice, bob, written, copy }
})

layer(MemoryNetwork.layer(), { excludeTestServices: true })("signed entries", (it) => {
  it.effect("an entry of a chosen time changes nothing until it is put in, by whomever", () =>
    Effect.gen(function* () {
      const { alice, bob, copy, written } = yield* scene
      const entry = yield* written.sign({ key: "list", timestamp: 5, content })
      assert.strictEqual(entry.timestamp, 5)
      assert.deepStrictEqual((yield* written.sign({ key: "list", timestamp: 5, content })).encode(), entry.encode())
      assert.deepStrictEqual(yield* keysOf(written), [])

      const heard = yield* listener(yield* copy.subscribe())
      assert.isTrue(yield* copy.insert(entry.encode()))
      const event = yield* heard(is("InsertRemote"))
      assert.deepStrictEqual([event.from, event.contentHere], [bob.node.endpointId, false])
      assert.isFalse(yield* copy.insert(entry.encode()), "the same again")
      const found = Option.getOrThrow(yield* copy.latest("list"))
      assert.deepStrictEqual(found.encode(), entry.encode())
      assert.deepStrictEqual((yield* copy.status).missing, [content.hash])

      const newer = yield* written.sign({ key: "list", timestamp: 7, content })
      const deletion = yield* written.sign({ key: "li", timestamp: 6 })
      assert.isTrue(deletion.isDeletion)
      assert.isTrue(yield* written.insert(newer.encode()))
      assert.isFalse(yield* written.insert(entry.encode()), "an older one")
      assert.isTrue(yield* written.insert(deletion.encode()))
      assert.deepStrictEqual(yield* keysOf(written), ["list"])
      yield* alice.blobs.addBytes(Bytes.of("milk"))
      assert.deepStrictEqual(yield* written.getText("list"), Option.some("milk"))
    })
  )

  it.effect("the content of an entry that was put in is kept as long as the entry", () =>
    Effect.gen(function* () {
      const { alice, written } = yield* scene
      yield* alice.blobs.addBytes(Bytes.of("milk"), { tag: "mine" })
      yield* written.insert((yield* written.sign({ key: "list", timestamp: 5, content })).encode())
      const tag = `doc/${written.id}/${content.hash}`
      const tags = Effect.map(Stream.runCollect(alice.blobs.tags.list()), (all) => all.map(({ name }) => name))
      assert.include(yield* tags, tag)
      assert.deepStrictEqual((yield* written.status).missing, [])
      yield* written.insert((yield* written.sign({ key: "", timestamp: 6 })).encode())
      assert.notInclude(yield* tags, tag)
    })
  )

  it.effect("is signed only where it would be taken", () =>
    Effect.gen(function* () {
      const { bob, copy, written } = yield* scene
      const refused = (unsigned: Parameters<Document["sign"]>[0]) =>
        Effect.map(Effect.flip(written.sign(unsigned)), (error) => ("reason" in error ? error.reason : error._tag))
      const timestamp = nowMicros()
      assert.strictEqual(yield* refused({ key: "k", timestamp: timestamp + 11 * MINUTE }), "InFuture")
      assert.strictEqual((yield* written.sign({ key: "k", timestamp: timestamp + 9 * MINUTE })).keyText, "k")
      for (const wrong of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
        assert.strictEqual(yield* refused({ key: "k", timestamp: wrong }), "Malformed")
        assert.strictEqual(
          yield* refused({ key: "k", timestamp, content: { ...content, size: wrong } }),
          "Malformed",
          `${wrong} bytes`
        )
      }
      assert.strictEqual(yield* refused({ key: "k".repeat(2049), timestamp }), "KeyTooLong")
      assert.strictEqual(yield* refused({ key: "k", timestamp, content: { ...content, size: 0 } }), "Empty")
      assert.strictEqual((yield* Effect.flip(copy.sign({ key: "k", timestamp })))._tag, "DocumentReadOnly")
      const author = yield* bob.docs.authors.create
      const unknown = yield* Effect.flip(written.sign({ key: "k", timestamp }, { author }))
      assert.strictEqual(unknown._tag, "AuthorNotFound")
    })
  )

  it.effect("what breaks a rule is not put in, and is told why", () =>
    Effect.gen(function* () {
      const { alice, copy, written } = yield* scene
      const other = yield* alice.docs.create
      const namespace = Signature.keyPair(Redacted.value((yield* alice.docs.secret(written.id))!))
      const author = Signature.keyPair(new Uint8Array(32).fill(9))
      const sign = (key: string, change?: Partial<Entry.Entry>) => signed(namespace, author, key, change)
      const bytesOf = (entry: Entry.SignedEntry) => {
        const writer = new PostcardWriter()
        Entry.write(writer, entry)
        return writer.finish()
      }
      const good = bytesOf(sign("good"))
      const { authorSignature, namespaceSignature } = sign("other")
      const wrong = {
        Malformed: [new Uint8Array(), good.subarray(0, -1), Uint8Array.of(...good, 0)],
        OtherDocument: [(yield* other.sign({ key: "good", timestamp: 5 })).encode()],
        KeyTooLong: [bytesOf(sign("k".repeat(2049)))],
        Inconsistent: [bytesOf(sign("k", { length: 0 })), bytesOf(sign("k", { hash: Entry.EMPTY_HASH }))],
        InFuture: [bytesOf(sign("k", { timestamp: nowMicros() + 11 * MINUTE }))],
        BadSignature: [
          bytesOf({ ...sign("k"), authorSignature }),
          bytesOf({ ...sign("k"), namespaceSignature }),
          bytesOf({ ...sign("k"), timestamp: 1 })
        ]
      }
      for (const [reason, all] of Object.entries(wrong)) {
        for (const bytes of all) {
          const error = yield* Effect.flip(copy.insert(bytes))
          assert.strictEqual("reason" in error ? error.reason : error._tag, reason)
        }
      }
      assert.deepStrictEqual(yield* keysOf(copy), [])
      assert.isTrue(yield* copy.insert(good))
    })
  )

  it.effect("messages of a reconciliation may go by any way", () =>
    Effect.gen(function* () {
      const { alice, bob, copy, written } = yield* scene
      const foreign = yield* written.sign({ key: "only at the copy", timestamp: 5, content })
      yield* copy.insert(foreign.encode())
      for (let i = 0; i < 100; i++) yield* written.set(`note/${i}`, `about ${i}`)
      const sides: ReadonlyArray<readonly [Document, EndpointId]> = [
        [written, bob.node.endpointId],
        [copy, alice.node.endpointId]
      ]
      let { reply } = yield* copy.reconcile(alice.node.endpointId)
      let [sent, received, rounds] = [0, 0, 0]
      for (; reply !== undefined; rounds++) {
        assert.isBelow(rounds, 20)
        const [document, from] = sides[rounds % 2]!
        const next = yield* document.reconcile(from, reply)
        sent += next.sent
        received += next.received
        reply = next.reply
      }
      assert.isAbove(rounds, 1)
      assert.strictEqual(sent, received)
      assert.isAtLeast(received, 101)
      assert.strictEqual((yield* keysOf(written)).length, 101)
      assert.deepStrictEqual(yield* keysOf(copy), yield* keysOf(written))
    })
  )

  it.effect("what is no message of a reconciliation is refused", () =>
    Effect.gen(function* () {
      const alice = yield* peer({ maxMessage: 1000 })
      const document = yield* alice.docs.create
      const reasonOf = (message: Uint8Array) =>
        Effect.map(Effect.flip(document.reconcile(alice.node.endpointId, message)), (error) =>
          "reason" in error ? error.reason : error._tag
        )
      const { reply } = yield* document.reconcile(alice.node.endpointId)
      assert.strictEqual(yield* reasonOf(new Uint8Array()), "Protocol")
      assert.strictEqual(yield* reasonOf(reply!.subarray(0, -1)), "Protocol")
      assert.strictEqual(yield* reasonOf(Uint8Array.of(...reply!, 0)), "Protocol")
      assert.strictEqual(yield* reasonOf(new Uint8Array(1001)), "TooLarge")
      assert.isUndefined((yield* document.reconcile(alice.node.endpointId, reply)).reply, "nothing to be said")
    })
  )
})
