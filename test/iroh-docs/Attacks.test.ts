/** What a peer may send that it should not: it is refused, counted, and costs the session at most. */
import type { DocsOptions } from "@aster-effect/iroh-docs/Docs"
import * as Docs from "@aster-effect/iroh-docs/Docs"
import * as DocumentId from "@aster-effect/iroh-docs/DocumentId"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { PostcardWriter } from "@aster-effect/iroh/Postcard"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Bytes from "../../packages/iroh-docs/src/proto/Bytes.ts"
import * as Entry from "../../packages/iroh-docs/src/proto/Entry.ts"
import * as Reconciler from "../../packages/iroh-docs/src/proto/Reconciler.ts"
import * as EntryTree from "../../packages/iroh-docs/src/proto/EntryTree.ts"
import * as Signature from "../../packages/iroh-docs/src/proto/Signature.ts"
import * as SyncMessage from "../../packages/iroh-docs/src/proto/SyncMessage.ts"
import { is, listener, peer, signed } from "./Peers.ts"

const author = Signature.keyPair(new Uint8Array(32).fill(9))
const nowMicros = () => Date.now() * 1000

/** A node with a document, and a stranger that talks to it in bytes. */
const scene = Effect.fnUntraced(function* (options: DocsOptions = {}) {
  const victim = yield* peer({ idleTimeout: "4 seconds", ...options })
  const stranger = yield* peer()
  const document = yield* victim.docs.create
  yield* document.set("own", "value")
  yield* document.startSync()
  const secret = yield* victim.docs.secret(document.id)
  const namespace = Signature.keyPair(Redacted.value(secret!))
  const heard = yield* listener(yield* document.subscribe())

  const sign = (key: string, change: Partial<Entry.Entry> = {}, by = namespace) => signed(by, author, key, change)
  /** Opens a session and sends frames; answers the messages that came back until the end. */
  const talk = Effect.fnUntraced(function* (frames: ReadonlyArray<Uint8Array>, finish = true) {
    const connection = yield* stranger.node.connect(yield* victim.node.address, Docs.ALPN)
    const { recv, send } = yield* connection.openBi
    for (const frame of frames) yield* Effect.ignore(send.write(frame))
    if (finish) yield* Effect.ignore(send.finish)
    const parts: Array<Uint8Array> = []
    while (true) {
      const chunk = yield* Effect.orElseSucceed(recv.read(), () => undefined)
      if (chunk === undefined) break
      parts.push(chunk)
    }
    const all = Buffer.concat(parts)
    const messages: Array<SyncMessage.SyncMessage> = []
    for (let at = 0; at + 4 <= all.length;) {
      const length = all.readUInt32BE(at)
      messages.push(SyncMessage.decode(all.subarray(at + 4, at + 4 + length)))
      at += 4 + length
    }
    return messages
  })
  const push = (entries: ReadonlyArray<Entry.SignedEntry>) => {
    const bound = namespace.publicKey
    const x = Bytes.concat(bound, new Uint8Array(32))
    const values = entries.map((entry) => ({ entry, content: "missing" as const }))
    const part: SyncMessage.Part = { _tag: "RangeItem", range: { x, y: x }, values, haveLocal: true }
    return talk([SyncMessage.encodeFrame({ _tag: "Init", namespace: bound, parts: [part] })])
  }
  const keys = Effect.map(Stream.runCollect(document.getMany({ includeDeleted: true })), (all) =>
    all.map(({ keyText }) => keyText)
  )
  return { victim, stranger, document, namespace, sign, talk, push, keys, heard }
})

layer(MemoryNetwork.layer(), { excludeTestServices: true })("a hostile peer", (it) => {
  it.effect("gets in no entry that breaks a rule, and does not keep out those beside it", () =>
    Effect.gen(function* () {
      const { heard, keys, push, sign } = yield* scene()
      const good = sign("good")
      const forged = { ...sign("forged"), authorSignature: sign("other").authorSignature }
      const stranger = Signature.keyPair(new Uint8Array(32).fill(77))
      const unpermitted = {
        ...sign("unpermitted"),
        namespaceSignature: Signature.signEntry(sign("unpermitted"), stranger, author).namespaceSignature
      }
      const zeroKey = {
        ...sign("small order"),
        id: Entry.identifier(sign("x").id.subarray(0, 32), new Uint8Array(32), Bytes.of("small order"))
      }
      yield* push([
        forged,
        unpermitted,
        zeroKey,
        sign("elsewhere", {}, stranger),
        sign("future", { timestamp: nowMicros() + 11 * 60 * 1_000_000 }),
        sign("k".repeat(2049)),
        sign("half a tombstone", { length: 0 }),
        sign("the other half", { hash: Entry.EMPTY_HASH }),
        good
      ])
      const { received, refused } = yield* heard(is("SyncFinished"))
      assert.strictEqual(received, 9)
      assert.deepStrictEqual(refused, { document: 1, key: 1, inconsistent: 2, future: 1, signature: 3 })
      assert.deepStrictEqual((yield* keys).toSorted(), ["good", "own"])
    })
  )

  it.effect("ends its session with what is no message, and nothing else", () =>
    Effect.gen(function* () {
      const { document, heard, keys, namespace, talk } = yield* scene()
      const frame = (body: Uint8Array) => {
        const out = new Uint8Array(4 + body.length)
        new DataView(out.buffer).setUint32(0, body.length)
        out.set(body, 4)
        return out
      }
      const short = new PostcardWriter().byte(0).raw(namespace.publicKey).varint(1).byte(1)
      // Bounds of 10 bytes.
      short.varint(10).raw(new Uint8Array(10)).varint(10).raw(new Uint8Array(10)).varint(0).byte(0)
      const init = (parts: ReadonlyArray<SyncMessage.Part>) =>
        SyncMessage.encodeFrame({ _tag: "Init", namespace: namespace.publicKey, parts })
      const huge = new Uint8Array(4)
      new DataView(huge.buffer).setUint32(0, 0xffff_ffff)
      for (const frames of [
        [frame(new Uint8Array([9]))],
        [frame(short.finish())],
        [frame(new Uint8Array())],
        [huge],
        [SyncMessage.encodeFrame({ _tag: "Sync", parts: [] })],
        [SyncMessage.encodeFrame({ _tag: "Abort", reason: "notFound" })]
      ]) {
        assert.deepStrictEqual(yield* talk(frames), [])
      }
      // A second beginning comes after a good one, so the session is known.
      const question = Reconciler.initialMessage(EntryTree.make(Math.random))
      yield* talk([init(question), init(question)])
      assert.strictEqual((yield* heard(is("SyncFinished"))).error?.reason, "Protocol")
      assert.deepStrictEqual(yield* keys, ["own"])
      assert.strictEqual((yield* document.status).sessions, 0)
    })
  )

  it.effect("cannot hold a session for ever, and the document is free again", () =>
    Effect.gen(function* () {
      const { document, heard, namespace, talk } = yield* scene({ idleTimeout: "200 millis" })
      const question = Reconciler.initialMessage(EntryTree.make(Math.random))
      const init = SyncMessage.encodeFrame({ _tag: "Init", namespace: namespace.publicKey, parts: question })
      yield* talk([init], false)
      assert.strictEqual((yield* heard(is("SyncFinished"))).error?.reason, "TimedOut")
      // Half a frame.
      yield* talk([init.subarray(0, 40)], false)
      assert.strictEqual((yield* document.status).sessions, 0)
    })
  )

  it.effect("cannot go on asking without end", () =>
    Effect.gen(function* () {
      const { document, heard, namespace, stranger, victim } = yield* scene()
      for (let i = 0; i < 20; i++) yield* document.set(`k${i}`, "v")
      const connection = yield* stranger.node.connect(yield* victim.node.address, Docs.ALPN)
      const { recv, send } = yield* connection.openBi
      // Asks the same again after every answer.
      const range = { x: namespace.publicKey, y: namespace.publicKey }
      const wrong = new Uint8Array(32).fill(1)
      const x = Bytes.concat(range.x, new Uint8Array(32))
      const parts: ReadonlyArray<SyncMessage.Part> = [
        { _tag: "RangeFingerprint", range: { x, y: x }, fingerprint: wrong }
      ]
      yield* send.write(SyncMessage.encodeFrame({ _tag: "Init", namespace: namespace.publicKey, parts }))
      const again = SyncMessage.encodeFrame({ _tag: "Sync", parts })
      yield* Effect.gen(function* () {
        while ((yield* recv.read()) !== undefined) yield* send.write(again)
      }).pipe(Effect.ignore, Effect.forkScoped)
      assert.strictEqual((yield* heard(is("SyncFinished"))).error?.reason, "TimedOut")
      assert.strictEqual((yield* document.status).sessions, 0)
    })
  )

  it.effect("cannot make an answer larger than what may be sent", () =>
    Effect.gen(function* () {
      const { document, heard, namespace, talk } = yield* scene({ maxMessage: 20_000 })
      for (let i = 0; i < 20; i++) yield* document.set(`k${i}`, "v")
      const x = Bytes.concat(namespace.publicKey, new Uint8Array(32))
      const parts = Array.from({ length: 130 }, (): SyncMessage.Part => ({
        _tag: "RangeItem",
        range: { x, y: x },
        values: [],
        haveLocal: false
      }))
      yield* talk([SyncMessage.encodeFrame({ _tag: "Init", namespace: namespace.publicKey, parts })])
      assert.strictEqual((yield* heard(is("SyncFinished"))).error?.reason, "TooLarge")
    })
  )

  it.effect("that may not read is told that there is no such document", () =>
    Effect.gen(function* () {
      const { namespace, talk } = yield* scene({ authorize: () => Effect.succeed(false) })
      const question = Reconciler.initialMessage(EntryTree.make(Math.random))
      const init = (id: Uint8Array) => SyncMessage.encodeFrame({ _tag: "Init", namespace: id, parts: question })
      const answer = yield* talk([init(namespace.publicKey)])
      assert.deepStrictEqual(answer, [{ _tag: "Abort", reason: "notFound" }])
      assert.deepStrictEqual(yield* talk([init(new Uint8Array(32))]), answer)
    })
  )

  it.effect("with a ticket for reading writes nothing, whatever key it signs with", () =>
    Effect.gen(function* () {
      const { document, keys, stranger, victim } = yield* scene()
      const copy = yield* stranger.docs.join(yield* document.share("read"))
      assert.strictEqual((yield* Effect.flip(copy.set("mine", "1")))._tag, "DocumentReadOnly")
      assert.strictEqual((yield* Effect.flip(copy.share("write")))._tag, "DocumentReadOnly")
      assert.strictEqual((yield* Effect.flip(copy.delete("own")))._tag, "DocumentReadOnly")
      yield* Effect.ignore(copy.syncWith(yield* victim.node.address))
      assert.deepStrictEqual(yield* keys, ["own"])
      assert.strictEqual(yield* copy.mode, "read")
      assert.strictEqual(DocumentId.parse(copy.id), document.id)
    })
  )
})
