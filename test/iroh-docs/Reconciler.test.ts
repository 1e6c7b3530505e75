import * as Bytes from "../../packages/iroh-docs/src/proto/Bytes.ts"
import * as Entry from "../../packages/iroh-docs/src/proto/Entry.ts"
import * as EntryTree from "../../packages/iroh-docs/src/proto/EntryTree.ts"
import * as Reconciler from "../../packages/iroh-docs/src/proto/Reconciler.ts"
import { put } from "../../packages/iroh-docs/src/proto/Replica.ts"
import * as SyncMessage from "../../packages/iroh-docs/src/proto/SyncMessage.ts"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import { assert, describe, it } from "@effect/vitest"
import reference from "./vectors/iroh-docs-1x.json" with { type: "json" }

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"))
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex")
const authors = new Map([
  [reference.keys.author1Id, "1"],
  [reference.keys.author2Id, "2"]
])

const load = (set: ReadonlyArray<{ readonly signed: string }>, read = bytes) => {
  const tree = EntryTree.make(Math.random)
  for (const { signed } of set) put(tree, Entry.compact(Entry.read(new PostcardReader(read(signed)))), "reference")
  return tree
}

const encode = (parts: ReadonlyArray<SyncMessage.Part>): string => {
  const writer = new PostcardWriter()
  SyncMessage.writeParts(writer, parts)
  return hex(writer.finish())
}

const spell = (entry: Entry.Entry): string =>
  `${authors.get(hex(Entry.authorOf(entry)))}:${Buffer.from(Entry.keyOf(entry))}@${entry.timestamp - 1_700_000_000_000_000}`

describe("entries that arrive in Buffers, whose slices are views", () => {
  for (const name of Object.keys(reference.sets) as Array<keyof typeof reference.sets>) {
    it(`${name} stay what they are`, () => {
      const spelt = (tree: ReturnType<typeof load>) => [...tree.scan(new Uint8Array())].map(spell)
      const set = reference.sets[name]
      assert.deepStrictEqual(spelt(load(set, (text) => Buffer.from(text, "hex"))), spelt(load(set)))
    })
  }

  it("finding the end of a prefix changes nothing", () => {
    const prefix = Buffer.from("early/48")
    assert.strictEqual(String(Buffer.from(Bytes.afterPrefix(prefix)!)), "early/49")
    assert.strictEqual(String(prefix), "early/48")
  })
})

describe("answers of iroh-docs 0.101", () => {
  for (const known of reference.reconciliation) {
    it(known.name, () => {
      const set = load(reference.sets[known.set as keyof typeof reference.sets])
      assert.strictEqual(encode(Reconciler.initialMessage(set)), known.initialMessage)
      const { received, reply, sent } = Reconciler.process(
        { set, deletions: "reference", contentStatus: () => "complete", maxBytes: 1 << 20, maxReply: 1 << 22 },
        SyncMessage.readParts(new PostcardReader(bytes(known.message)))
      )
      assert.strictEqual(reply.length === 0 ? null : encode(reply), known.reply)
      assert.strictEqual(received.length, known.received)
      assert.strictEqual(sent, known.sent)
      assert.deepStrictEqual(
        [...set.scan(new Uint8Array())].map(
          (entry) => `${spell(entry)}${Entry.isTombstone(entry) ? " tombstone" : ""}`
        ),
        known.after
      )
    })
  }
})
