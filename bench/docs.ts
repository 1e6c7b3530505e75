/**
 * Documents: writing and asking in one process, initial and incremental sync of two nodes on loopback, and how much traffic a
 * difference takes.
 *
 * `npm run bench:docs` prints the results and writes them to their section of `bench/RESULTS.md`; `-- --print` only prints.
 * `--entries <n>` changes how many. Where there is the Rust peer's `bench` program, `--rust <path>`, it measures iroh-docs alone in the same run.
 */
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import type { Document } from "@aster-effect/iroh-docs/Document"
// oxlint-disable-next-line aster/layers -- reconciliation without IO is what is measured
import * as Entry from "../packages/iroh-docs/src/proto/Entry.ts"
// oxlint-disable-next-line aster/layers -- reconciliation without IO is what is measured
import * as EntryTree from "../packages/iroh-docs/src/proto/EntryTree.ts"
// oxlint-disable-next-line aster/layers -- reconciliation without IO is what is measured
import * as Reconciler from "../packages/iroh-docs/src/proto/Reconciler.ts"
// oxlint-disable-next-line aster/layers -- reconciliation without IO is what is measured
import * as SyncMessage from "../packages/iroh-docs/src/proto/SyncMessage.ts"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { description } from "./Machine.ts"
import { writeSection } from "./ResultsFile.ts"

const { values } = parseArgs({
  options: {
    print: { type: "boolean", default: false },
    entries: { type: "string", default: "10000" },
    out: { type: "string" },
    rust: { type: "string" }
  }
})
const ENTRIES = Number(values.entries)
const NEW = 100

const documents = Effect.fnUntraced(function* (directory?: string) {
  const store =
    directory === undefined ? BlobStore.layerMemory() : BlobStore.layerDirectory(path.join(directory, "blobs"))
  const layer = Docs.layer({ directory: directory && path.join(directory, "docs") }).pipe(
    Layer.provideMerge(Blobs.layer),
    Layer.provideMerge(Layer.mergeAll(store, IrohNode.layer(loopback)))
  )
  const context = yield* Layer.build(Layer.fresh(layer))
  const docs = Context.get(context, Docs)
  yield* Router.serve({ protocols: [docs.protocol, BlobsProtocol.protocol()] }).pipe(Effect.provideContext(context))
  return { docs, address: yield* Context.get(context, IrohNode).address }
})

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => [value, performance.now() - start] as const)
  })

const rows: Array<readonly [string, string]> = []
const perSecond = (count: number, millis: number) => `${Math.round((count / millis) * 1000).toLocaleString("en")} /s`

/** Sets the keys of these numbers to values of 8 bytes, no two of them alike. */
const fill = (document: Document, numbers: ReadonlyArray<number>, concurrency = 64) =>
  Effect.forEach(
    numbers,
    (i) => document.set(`key/${i}/`, createHash("sha1").update(`${document.id} ${written++}`).digest().subarray(0, 8)),
    { concurrency, discard: true }
  )
let written = 0

const from = (first: number, count: number, step = 1) => Array.from({ length: count }, (_, i) => first + i * step)

/** Each write is answered when the disk has it; those that come together share the wait. */
const onDisk = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(path.join(tmpdir(), "bench-docs-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true }))
  )
  const { docs } = yield* documents(directory)
  const document = yield* docs.create
  for (const [count, callers] of [
    [200, 1],
    [4_000, 64],
    [8_000, 512]
  ] as const) {
    const [, took] = yield* timed(fill(document, from(0, count), callers))
    rows.push([`insert on disk, ${callers === 1 ? "one caller" : `${callers} callers`}`, perSecond(count, took)])
  }
}).pipe(Effect.scoped)

const nodes = Effect.gen(function* () {
  const [a, b] = [yield* documents(), yield* documents()]
  const document = yield* a.docs.create
  const [, inserting] = yield* timed(fill(document, from(0, ENTRIES)))
  rows.push(["insert, 8 bytes of content, 64 callers", perSecond(ENTRIES, inserting)])
  const [all, asking] = yield* timed(Stream.runCount(document.getMany()))
  rows.push([`query of all ${ENTRIES.toLocaleString("en")}`, perSecond(all, asking)])
  const [, gets] = yield* timed(
    Effect.forEach(Array.from({ length: 2000 }), (_, i) => document.latest(`key/${i}/`), { discard: true })
  )
  rows.push(["get of one key", perSecond(2000, gets)])
  yield* document.startSync()
  const copy = yield* b.docs.import({ _tag: "Read", document: document.id })
  yield* copy.setDownloadPolicy({ _tag: "NothingExcept", filters: [] })
  const [first, initial] = yield* timed(copy.syncWith(a.address))
  rows.push([`initial sync of ${first.received.toLocaleString("en")} entries`, `${Math.round(initial)} ms`])
  for (const [what, numbers] of [
    ["new ones side by side", from(ENTRIES, NEW)],
    ["changed ones all over it", from(0, NEW, Math.floor(ENTRIES / NEW))]
  ] as const) {
    yield* fill(document, numbers)
    const [{ received, sent }, incremental] = yield* timed(copy.syncWith(a.address))
    rows.push([
      `${NEW} ${what} among ${ENTRIES.toLocaleString("en")}: ${received} entries received, ${sent} sent`,
      `${Math.round(incremental)} ms`
    ])
  }
  const [, equal] = yield* timed(copy.syncWith(a.address))
  rows.push(["sync of equals", `${Math.round(equal)} ms`])
}).pipe(Effect.scoped)

/** Messages and bytes that two sets need to become equal. */
const traffic = (size: number, difference: number): string => {
  const namespace = new Uint8Array(32).fill(7)
  const author = new Uint8Array(32).fill(8)
  const entryOf = (i: number, timestamp: number): Entry.SignedEntry => ({
    id: Entry.identifier(namespace, author, new TextEncoder().encode(`key/${i}/`)),
    timestamp,
    length: 8,
    hash: new Uint8Array(32).fill(i % 251),
    authorSignature: new Uint8Array(64),
    namespaceSignature: new Uint8Array(64)
  })
  const sets = [EntryTree.make(Math.random), EntryTree.make(Math.random)] as const
  for (let i = 0; i < size; i++) {
    const differs = i % (size / difference) === 0
    sets[0].add(entryOf(i, 1))
    sets[1].add(entryOf(i, differs ? 2 : 1))
  }
  let parts = Reconciler.initialMessage(sets[0])
  let messages = 0
  let bytes = 0
  for (let side = 1; parts.length > 0; side = 1 - side) {
    messages++
    bytes += SyncMessage.encodeFrame({ _tag: "Sync", parts }).length
    const set = sets[side as 0 | 1]
    parts = Reconciler.process(
      { set, deletions: "final", contentStatus: () => "complete", maxBytes: 4 << 20, maxReply: 64 << 20 },
      parts
    ).reply
  }
  return `${messages} messages, ${(bytes / 1024).toFixed(1)} KiB`
}

await Effect.runPromise(onDisk)
await Effect.runPromise(nodes)
for (const [size, difference] of [
  [1_000, 10],
  [100_000, 10],
  [100_000, 100]
] as const) {
  rows.push([`${difference} differences among ${size.toLocaleString("en")}`, traffic(size, difference)])
}
const rust =
  values.rust === undefined ? "" : spawnSync(values.rust, ["docs", String(ENTRIES)], { encoding: "utf8" }).stdout.trim()
const text = [
  "# Documents",
  "",
  description(),
  "",
  "| what | |",
  "|---|---|",
  ...rows.map(([what, figure]) => `| ${what} | ${figure} |`),
  ...(rust === ""
    ? []
    : [
        "",
        "iroh-docs 0.101 alone, in Rust, in the same run (built with opt-level 1, as the tests build it):",
        "",
        "```text",
        rust,
        "```"
      ])
].join("\n")
console.log(text)
if (!values.print) writeSection(values.out ?? fileURLToPath(new URL("RESULTS.md", import.meta.url)), "docs", text)
