/**
 * A process to be killed: opens the documents in the directory given, checks everything in them, says "ready N", and then
 * writes until it is killed, telling of every write that was acknowledged. Exits with 1 when it finds anything wrong.
 */
import { sqliteStorage } from "../../../packages/iroh-docs/src/internal/sqliteStorage.ts"
import * as Bytes from "../../../packages/iroh-docs/src/proto/Bytes.ts"
import * as Entry from "../../../packages/iroh-docs/src/proto/Entry.ts"
import { summary } from "../../../packages/iroh-docs/src/proto/Reconciler.ts"
import { put } from "../../../packages/iroh-docs/src/proto/Replica.ts"
import { entryOf, NAMESPACE, randomOf } from "../../iroh-docs/Simulation.ts"
import { xorInto } from "../../../packages/iroh-docs/src/proto/EntrySet.ts"

const [directory, seed, acknowledged] = process.argv.slice(2)
const random = randomOf(Number(seed))
const storage = sqliteStorage(directory)

const wrong = (problem: string): never => {
  process.stdout.write(`wrong: ${problem}\n`)
  process.exit(1)
}

const document = storage.document(NAMESPACE) ?? storage.create(NAMESPACE, undefined)
const { entries } = document
const all = [...entries.scan(new Uint8Array())]
// What is said about the whole and its halves has to be true of the entries one by one.
for (const range of [
  { x: NAMESPACE, y: NAMESPACE },
  ...all.slice(0, 20).map(({ id }) => ({ x: id, y: all.at(-1)!.id }))
]) {
  const inside = all.filter(
    ({ id }) => Bytes.equal(range.x, range.y) || (Bytes.compare(id, range.x) >= 0 && Bytes.compare(id, range.y) < 0)
  )
  const found = summary(entries, range)
  const expected = inside.map(Entry.fingerprint).reduce(xorInto, Entry.EMPTY_HASH.slice())
  if (found.count !== inside.length || !Bytes.equal(found.fingerprint, expected))
    wrong("a sum is not that of its entries")
}
for (const [i, entry] of all.entries()) {
  if (entries.at(i)?.timestamp !== entry.timestamp) wrong(`entry ${i} is not found by its place`)
  if (!document.refersTo(entry.hash)) wrong("a content is not found")
  const head = document.heads.get(Bytes.hex(Entry.authorOf(entry))) ?? 0
  if (head < entry.timestamp) wrong("an author's head is behind its entries")
}
// Of what was acknowledged nothing may be missing, unless something later took its place.
const latest = Number(acknowledged)
const newest = Math.max(0, ...document.heads.values())
if (newest < latest) wrong(`the write at ${latest} was acknowledged, and the latest is ${newest}`)
process.stdout.write(`ready ${all.length}\n`)

let timestamp = newest
while (true) {
  const batch = 1 + Math.floor(random() * 5)
  storage.change(() => {
    for (let i = 0; i < batch; i++) {
      const key = `k${Math.floor(random() * 300)}${random() < 0.1 ? "" : "/x"}`
      const entry = entryOf(0, key, ++timestamp, random() < 0.1 ? undefined : Math.floor(random() * 4))
      put(entries, entry, "final")
      document.setHead(Bytes.hex(Entry.authorOf(entry)), entry.timestamp)
    }
  })
  await storage.durable()
  process.stdout.write(`done ${timestamp}\n`)
}
