/** What iroh-docs 0.97 and 0.101 write, read and written again here. */
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import * as DocTicket from "@aster-effect/iroh-docs/DocTicket"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import { assert, describe, it } from "@effect/vitest"
import * as Entry from "../../packages/iroh-docs/src/proto/Entry.ts"
import * as EntryTree from "../../packages/iroh-docs/src/proto/EntryTree.ts"
import * as LiveMessage from "../../packages/iroh-docs/src/proto/LiveMessage.ts"
import * as Reconciler from "../../packages/iroh-docs/src/proto/Reconciler.ts"
import * as Signature from "../../packages/iroh-docs/src/proto/Signature.ts"
import * as SyncMessage from "../../packages/iroh-docs/src/proto/SyncMessage.ts"
import old from "./vectors/iroh-docs.json" with { type: "json" }
import live from "./vectors/iroh-docs-live-1x.json" with { type: "json" }
import tickets from "./vectors/tickets-1x.json" with { type: "json" }

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"))
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex")
const entryOf = (text: string) => Entry.read(new PostcardReader(bytes(text)))

/** A message, written again. */
const again = (payload: string): string =>
  hex(SyncMessage.encodeFrame(SyncMessage.decode(bytes(payload))).subarray(SyncMessage.FRAME_HEADER))

describe("entries", () => {
  const namespace = Signature.keyPair(bytes(old.keys.namespaceSecret))
  const authors = [old.keys.author1Secret, old.keys.author2Secret].map((secret) => Signature.keyPair(bytes(secret)))

  for (const known of old.entries) {
    it(`${known.keyUtf8} is signed, verified and fingerprinted as in the reference`, async () => {
      const entry = entryOf(known.signedEntryPostcard)
      assert.strictEqual(hex(Entry.signingBytes(entry)), known.signingBytes)
      assert.strictEqual(hex(Entry.fingerprint(entry)), known.fingerprint)
      const author = authors.find(({ publicKey }) => hex(publicKey) === known.authorId)!
      // One entry is of another document, whose secret is not told.
      if (known.namespaceId === old.keys.namespaceId) {
        assert.deepStrictEqual(Signature.signEntry(entry, namespace, author), entry)
      }
      const writer = new PostcardWriter()
      Entry.write(writer, entry)
      assert.strictEqual(hex(writer.finish()), known.signedEntryPostcard)
      assert.isTrue(await Signature.verifyEntryAsync(entry))
      assert.isFalse(await Signature.verifyEntryAsync({ ...entry, timestamp: entry.timestamp + 1 }))
    })
  }

  for (const { fingerprint, name, recordIdentifiers } of old.sets) {
    it(`together have the fingerprint of the set ${name}`, () => {
      const tree = EntryTree.make(Math.random)
      for (const { recordIdentifier, signedEntryPostcard } of old.entries) {
        if (recordIdentifiers.includes(recordIdentifier)) tree.add(entryOf(signedEntryPostcard))
      }
      const x = new Uint8Array(Entry.PREFIX_SIZE)
      assert.strictEqual(hex(Reconciler.summary(tree, { x, y: x }).fingerprint), fingerprint)
    })
  }
})

describe("messages of a session", () => {
  const known = old.encodings.filter(({ name }) => !name.startsWith("gossip"))
  for (const { name, payload } of known) it(name, () => assert.strictEqual(again(payload), payload))

  for (const { name, steps } of [...old.observedSync, ...live.transcripts]) {
    const said = steps.flatMap((step) => ("kind" in step || step.payload === undefined ? [] : [step.payload]))
    if (said.length === 0) continue
    it(`as they were exchanged: ${name}`, () => {
      for (const payload of said) {
        if (payload === "ff") assert.throws(() => SyncMessage.decode(bytes(payload)), Malformed)
        else assert.strictEqual(again(payload), payload)
      }
    })
  }
})

describe("messages on a document's topic", () => {
  for (const { name, payload } of old.encodings.filter(({ name }) => name.startsWith("gossip"))) {
    it(name, () => {
      const message = LiveMessage.decode(bytes(payload))
      assert.strictEqual(hex(LiveMessage.encode(message, 4096)), payload)
    })
  }
})

describe("tickets", () => {
  for (const { kind, name, string } of tickets.tickets) {
    it(name, () => {
      const written =
        kind === "doc" ? DocTicket.encode(DocTicket.decode(string)) : BlobTicket.encode(BlobTicket.decode(string))
      // Of an address in a document ticket one relay is kept.
      if (kind === "doc" && name.includes("two relays")) assert.isBelow(written.length, string.length)
      else assert.strictEqual(written, string)
    })
  }

  for (const { name, string } of old.tickets) {
    it(`of 0.97: ${name}`, () => assert.strictEqual(DocTicket.encode(DocTicket.decode(string)), string))
  }
})
