/** Documents shared with iroh-docs 0.97. */
import * as Stream from "effect/Stream"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Document } from "@aster-effect/iroh-docs/Document"
import { eventually } from "./Eventually.ts"
import { ourNode } from "./OurNode.ts"
import { joined as joinedBy, reference, texts } from "./Reference.ts"

const keys = (document: Document) =>
  Effect.map(Stream.runCollect(document.getMany({ latestPerKey: true })), (all) => all.map((entry) => entry.keyText))

const has = (key: string, value: string) => (document: Document) =>
  eventually(document.getText(key), (text) => Option.getOrUndefined(text) === value)

// Of two that dial each other the greater id accepts, so both orders count.
for (const key of [1, 250]) {
  describe(`with iroh-docs 0.97, our key ${key}`, () => {
    it.live("its document is joined: entries, contents and live changes, both ways", () =>
      Effect.gen(function* () {
        const { docs } = yield* ourNode({ key })
        const rust = yield* reference
        const doc = yield* Effect.promise(() => rust.docs.create())
        const author = yield* Effect.promise(() => rust.docs.createAuthor())
        const set = (key: string, value: string) => Effect.promise(() => doc.setBytes(author, key, Buffer.from(value)))
        for (let i = 0; i < 50; i++) yield* set(`early/${i}`, `value ${i}`)
        const joined = yield* docs.join(yield* Effect.promise(() => doc.shareWithAddr("write")))
        yield* eventually(keys(joined), (found) => found.length === 50)
        yield* has("early/49", "value 49")(joined)

        yield* joined.set("ours/live", "from here")
        yield* eventually(texts(doc, "ours/live"), (found) => found.join() === "from here")
        yield* set("theirs/live", "from there")
        yield* has("theirs/live", "from there")(joined)

        // The later of two wins on both sides.
        yield* set("both", "theirs")
        yield* has("both", "theirs")(joined)
        yield* joined.set("both", "ours")
        yield* eventually(texts(doc, "both"), (found) => found.includes("ours"))
        assert.deepStrictEqual(yield* joined.getText("both"), Option.some("ours"))

        yield* joined.set("ours/more", "and more")
        assert.strictEqual(yield* joined.delete("ours/"), 2)
        yield* eventually(texts(doc, "ours/live"), (found) => found.length === 0)
      })
    )

    it.live("it joins ours: entries, contents and live changes, both ways", () =>
      Effect.gen(function* () {
        const { docs } = yield* ourNode({ key })
        const rust = yield* reference
        const document = yield* docs.create
        for (let i = 0; i < 50; i++) yield* document.set(`early/${i}`, `value ${i}`)
        const ticket = yield* document.share("write")
        const doc = yield* joinedBy(rust.docs, ticket)
        for (const i of [0, 7, 49])
          yield* eventually(texts(doc, `early/${i}`), (found) => found.join() === `value ${i}`)

        yield* document.set("live", "from here")
        yield* eventually(texts(doc, "live"), (found) => found.join() === "from here")
        const author = yield* Effect.promise(() => rust.docs.createAuthor())
        yield* Effect.promise(() => doc.setBytes(author, "theirs", Buffer.from("from there")))
        yield* has("theirs", "from there")(document)
        yield* document.delete("early/")
        yield* eventually(texts(doc, "early/49"), (found) => found.length === 0)
      })
    )
  })
}

describe("a ticket for reading", () => {
  it.live("lets neither side write", () =>
    Effect.gen(function* () {
      const { docs } = yield* ourNode()
      const rust = yield* reference
      const document = yield* docs.create
      yield* document.set("a", "1")
      const theirs = yield* joinedBy(rust.docs, yield* document.share("read"))
      yield* eventually(texts(theirs, "a"), (found) => found.join() === "1")
      const author = yield* Effect.promise(() => rust.docs.createAuthor())
      const refused = yield* Effect.exit(Effect.tryPromise(() => theirs.setBytes(author, "b", Buffer.from("2"))))
      assert.isTrue(refused._tag === "Failure")

      const doc = yield* Effect.promise(() => rust.docs.create())
      yield* Effect.promise(() => doc.setBytes(author, "c", Buffer.from("3")))
      const joined = yield* docs.join(yield* Effect.promise(() => doc.shareWithAddr("read")))
      yield* has("c", "3")(joined)
      assert.strictEqual((yield* Effect.flip(joined.set("d", "4")))._tag, "DocumentReadOnly")
    })
  )
})
