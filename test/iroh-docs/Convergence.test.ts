import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../packages/iroh-docs/src/proto/Bytes.ts"
import * as Entry from "../../packages/iroh-docs/src/proto/Entry.ts"
import type { EntrySet } from "../../packages/iroh-docs/src/proto/EntrySet.ts"
import * as EntryTree from "../../packages/iroh-docs/src/proto/EntryTree.ts"
import { summary } from "../../packages/iroh-docs/src/proto/Reconciler.ts"
import { xorInto } from "../../packages/iroh-docs/src/proto/EntrySet.ts"
import { sqliteStorage } from "../../packages/iroh-docs/src/internal/sqliteStorage.ts"
import { entryOf, NAMESPACE, randomOf, reference, run } from "./Simulation.ts"

/** A seed in the environment runs that one alone. */
const only = process.env["DOCS_SEED"]
const seeds = only === undefined ? { from: 0, to: 10_000 } : { from: Number(only), to: Number(only) + 1 }

const spell = (entry: Entry.Entry): string => `${Bytes.hex(entry.id.subarray(63))}@${entry.timestamp} ${entry.hash[0]}`

describe("concurrent replicas", () => {
  it("converge to what a simple model says, whatever is lost, cut off and reordered", () => {
    for (let seed = seeds.from; seed < seeds.to; seed++) {
      const { replicas, written } = run(seed, EntryTree.make)
      const expected = reference(written).map(spell)
      for (const replica of replicas) {
        const found = [...replica.scan(new Uint8Array())].map(spell)
        if (found.join() !== expected.join()) assert.deepStrictEqual(found, expected, `DOCS_SEED=${seed}`)
      }
    }
  }, 300_000)

  it("converge in SQLite too", () => {
    const storage = sqliteStorage(undefined)
    let made = 0
    for (let seed = 0; seed < 50; seed++) {
      const { replicas, written } = run(seed, () =>
        withNamespace(storage.create(numbered(made++), undefined).entries, made - 1)
      )
      const expected = reference(written).map(spell)
      for (const replica of replicas) assert.deepStrictEqual([...replica.scan(new Uint8Array())].map(spell), expected)
    }
    storage.close()
  })
})

/** An id of a document of its own: the store keeps replicas apart by it. */
const numbered = (n: number): Uint8Array => {
  const id = new Uint8Array(32)
  new DataView(id.buffer).setUint32(0, n)
  return id
}

/** A set of one document that is used as if it were the simulation's. */
const withNamespace = (set: EntrySet, n: number): EntrySet => {
  const own = numbered(n)
  const to = (id: Uint8Array): Uint8Array => {
    const order = Bytes.compare(id.subarray(0, 32), NAMESPACE)
    if (order !== 0) return order < 0 ? new Uint8Array() : Bytes.concat(own, new Uint8Array(64).fill(255))
    return Bytes.concat(own, id.subarray(32))
  }
  const back = <E extends Entry.SignedEntry | undefined>(entry: E): E =>
    entry === undefined ? entry : { ...entry, id: Bytes.concat(NAMESPACE, entry.id.subarray(32)) }
  return {
    get: (id) => back(set.get(to(id))),
    floor: (id) => back(set.floor(to(id))),
    *scan(from, end) {
      for (const entry of set.scan(to(from), end === undefined ? undefined : to(end))) yield back(entry)
    },
    // Fingerprints are of identifiers with the document's: they are as good under any name.
    before: (id) => set.before(id === undefined ? undefined : to(id)),
    at: (index) => back(set.at(index)),
    add: (entry) => set.add({ ...entry, id: to(entry.id) }),
    remove: (entry) => set.remove({ ...entry, id: to(entry.id) })
  }
}

describe("an entry set", () => {
  const sets: Record<string, () => EntrySet> = {
    "in memory": () => EntryTree.make(randomOf(1)),
    "in SQLite": () => sqliteStorage(undefined).create(NAMESPACE, undefined).entries
  }
  for (const [name, make] of Object.entries(sets)) {
    it(`${name} knows every range, before and after changes`, () => {
      const random = randomOf(5)
      const set = make()
      let model: Array<Entry.SignedEntry> = []
      const boundOf = () =>
        random() < 0.05
          ? new Uint8Array(64).fill(random() < 0.5 ? 0 : 255)
          : entryOf(Math.floor(random() * 3), `k${Math.floor(random() * 400)}`, 0, 0).id
      for (let i = 0; i < 1500; i++) {
        const entry = entryOf(Math.floor(random() * 3), `k${Math.floor(random() * 400)}`, i, Math.floor(random() * 4))
        const known = set.get(entry.id)
        assert.deepStrictEqual(known && spell(known), model.filter(({ id }) => Bytes.equal(id, entry.id)).map(spell)[0])
        if (known !== undefined) {
          set.remove(known)
          model = model.filter(({ id }) => !Bytes.equal(id, entry.id))
        }
        if (known === undefined || random() < 0.5) {
          set.add(entry)
          model = [...model, entry].toSorted((a, b) => Bytes.compare(a.id, b.id))
        }
        if (i % 25 !== 0) continue
        const range = { x: boundOf(), y: boundOf() }
        const order = Bytes.compare(range.x, range.y)
        const inside = model.filter(({ id }) => {
          const [fromX, beforeY] = [Bytes.compare(id, range.x) >= 0, Bytes.compare(id, range.y) < 0]
          return order === 0 || (order < 0 ? fromX && beforeY : fromX || beforeY)
        })
        const found = summary(set, range)
        assert.strictEqual(found.count, inside.length)
        const expected = inside.map(Entry.fingerprint).reduce(xorInto, Entry.EMPTY_HASH.slice())
        assert.isTrue(Bytes.equal(found.fingerprint, expected))
        const index = Math.floor(random() * (model.length + 1))
        assert.strictEqual(spellOf(set.at(index)), spellOf(model[index]))
        assert.strictEqual(
          spellOf(set.floor(range.x)),
          spellOf(model.findLast(({ id }) => Bytes.compare(id, range.x) <= 0))
        )
        assert.deepStrictEqual([...set.scan(range.x, range.y)].map(spell), order >= 0 ? [] : inside.map(spell))
      }
    })
  }
})

const spellOf = (entry: Entry.SignedEntry | undefined): string => (entry === undefined ? "none" : spell(entry))
