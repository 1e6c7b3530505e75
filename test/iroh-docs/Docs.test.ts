import * as Docs from "@aster-effect/iroh-docs/Docs"
import * as DocumentId from "@aster-effect/iroh-docs/DocumentId"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as EntryTree from "../../packages/iroh-docs/src/proto/EntryTree.ts"
import * as Reconciler from "../../packages/iroh-docs/src/proto/Reconciler.ts"
import * as SyncMessage from "../../packages/iroh-docs/src/proto/SyncMessage.ts"
import { is, listener, peer } from "./Peers.ts"

layer(MemoryNetwork.layer(), { excludeTestServices: true })("documents of two nodes", (it) => {
  it.effect("a document is joined by its ticket, and its contents follow", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* peer(), yield* peer()]
      const notes = yield* alice.docs.create
      yield* notes.set("title", "shopping")
      yield* notes.set("item/1", "milk")
      const [joined, events] = yield* bob.docs.joinAndSubscribe(yield* notes.share("write"))
      const heard = yield* listener(events)
      const finished = yield* heard(is("SyncFinished"))
      assert.isUndefined(finished.error)
      assert.strictEqual(finished.received, 2)
      yield* heard(is("PendingContentReady"))
      assert.deepStrictEqual(yield* joined.getText("title"), Option.some("shopping"))
      assert.deepStrictEqual(
        (yield* Stream.runCollect(joined.getMany())).map((entry) => entry.keyText),
        ["item/1", "title"]
      )

      yield* joined.set("item/2", "bread")
      const summary = yield* joined.syncWith(yield* alice.node.address)
      assert.strictEqual(summary.sent, 1)
      assert.strictEqual(Option.getOrThrow(yield* notes.latest("item/2")).size, 5)
      assert.strictEqual(yield* joined.delete("item/2"), 1)
      yield* notes.syncWith(yield* bob.node.address)
      assert.deepStrictEqual(yield* notes.getText("item/2"), Option.none())
    })
  )

  it.effect("a session waits for another one of the two", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* peer(), yield* peer()]
      const notes = yield* alice.docs.create
      yield* notes.set("title", "shopping")
      yield* notes.startSync()
      const there = yield* alice.node.address
      const joined = yield* bob.docs.import({ _tag: "Read", document: notes.id })
      const sessions = [joined.syncWith(there), joined.syncWith(there)]
      yield* Effect.all(sessions, { concurrency: "unbounded" })
      assert.isTrue(Option.isSome(yield* joined.latest("title")))

      // One that has not come to its end for the other node, whatever this one knows of it.
      const heard = yield* listener(yield* joined.subscribe())
      const connection = yield* bob.node.connect(there, Docs.ALPN)
      const { send } = yield* connection.openBi
      const parts = Reconciler.initialMessage(EntryTree.make(Math.random))
      yield* send.write(SyncMessage.encodeFrame({ _tag: "Init", namespace: DocumentId.toBytes(notes.id), parts }))
      yield* Effect.repeat(notes.status, {
        until: ({ sessions }) => sessions > 0,
        schedule: Schedule.spaced("5 millis")
      })
      const waiting = yield* Effect.forkChild(joined.syncWith(there))
      assert.strictEqual((yield* heard(is("SyncFinished"))).error?.reason, "AlreadySyncing")
      yield* notes.set("item/1", "milk")
      yield* send.finish
      yield* Fiber.join(waiting)
      assert.isTrue(Option.isSome(yield* joined.latest("item/1")))
    })
  )

  it.effect("entries that arrive in many pieces stay under their keys", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* peer(), yield* peer()]
      const notes = yield* alice.docs.create
      const keys = Array.from({ length: 400 }, (_, i) => `note/${String(i).padStart(3, "0")}`)
      for (const key of keys) yield* notes.set(key, `about ${key}`)
      const [joined, events] = yield* bob.docs.joinAndSubscribe(yield* notes.share("write"))
      const heard = yield* listener(events)
      yield* heard(is("PendingContentReady"))
      for (const key of keys) assert.deepStrictEqual(yield* joined.getText(key), Option.some(`about ${key}`))
    })
  )

  it.effect("values of a schema", () =>
    Effect.gen(function* () {
      const { docs } = yield* peer()
      const settings = (yield* docs.create).schema(Schema.Struct({ volume: Schema.Int, at: Schema.Date }))
      const value = { volume: 7, at: new Date(5) }
      yield* settings.set("audio", value)
      assert.deepStrictEqual(yield* settings.get("audio"), Option.some(value))
      assert.deepStrictEqual(yield* settings.get("video"), Option.none())
    })
  )
})
