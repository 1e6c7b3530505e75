/** examples/unified-node and the Rust peer, driven alike. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { eventually, until } from "../iroh-gossip/Members.ts"
import { fetchBlob, hasRustPeer, rustPeer } from "../peers/RustPeer.ts"

type Json = Record<string, unknown>

const program = fileURLToPath(new URL("../../examples/unified-node/index.js", import.meta.url))

/** A running node of ours. */
const unifiedNode = Effect.fnUntraced(function* () {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, ["--conditions=@aster-effect/source", program])),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const events: Array<Json> = []
  const answers = new Map<number, Json>()
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line) as Json
    if (typeof message["id"] === "number") answers.set(message["id"], message)
    else events.push(message)
  })
  yield* until(() => events.some(({ event }) => event === "ready"), "it is ready")
  let count = 0
  const run = (cmd: string, args: Json = {}): Effect.Effect<Json> =>
    Effect.suspend(() => {
      const id = ++count
      child.stdin.write(`${JSON.stringify({ id, cmd, ...args })}\n`)
      return Effect.map(
        until(() => answers.has(id), cmd),
        () => answers.get(id)!
      )
    })
  return { child, events, run, addr: events[0]!["addr"] as Json }
})

const heard = (events: ReadonlyArray<Json>, text: string) =>
  events.some(({ data }) => {
    const content = (data as Json | undefined)?.["content"] as Json | undefined
    return content?.["text"] === text
  })

describe("examples/unified-node", () => {
  it.live.skipIf(!hasRustPeer)(hasRustPeer ? "and the Rust peer gossip and exchange blobs" : "needs cargo", () =>
    Effect.gen(function* () {
      const ours = yield* unifiedNode()
      const theirs = yield* rustPeer()
      const topic = "mixed"
      yield* theirs.run("gossip.subscribe", { topic })
      yield* ours.run("gossip.subscribe", { topic, peers: [theirs.addr] })
      yield* until(
        () => ours.events.some(({ data }) => (data as Json | undefined)?.["type"] === "neighborUp"),
        "joined"
      )
      yield* eventually(
        Effect.orDie(theirs.run("gossip.stats", { topic })),
        ({ neighbors }) => (neighbors as Array<string>).length === 1,
        "both know"
      )
      assert.deepStrictEqual((yield* ours.run("gossip.broadcast", { topic, content: "from ours" }))["ok"], {})
      yield* theirs.run("gossip.broadcast", { topic, content: "from theirs" })
      yield* until(() => heard(ours.events, "from theirs"), "ours hears")
      yield* until(() => heard(theirs.events, "from ours"), "theirs hears")

      const added = yield* theirs.run("blob.add", { content: { size: 100_000, seed: 3 } })
      const got = yield* ours.run("blob.download", { hash: added["hash"], from: theirs.addr })
      assert.isUndefined(got["error"])
      const mine = (yield* ours.run("blob.add", { content: "ours" }))["ok"] as Json
      yield* fetchBlob(theirs, { hash: mine["hash"], from: ours.addr })
      assert.strictEqual((yield* theirs.run("blob.read", { hash: mine["hash"] }))["text"], "ours")

      assert.include(String((yield* ours.run("no.such"))["error"]), "no.such")
      assert.include(String((yield* ours.run("gossip.broadcast", { topic, content: { size: 5000 } }))["error"]), "4057")
      ours.child.stdin.end()
      yield* until(() => ours.child.exitCode === 0, "the end of the input is the end")
    }).pipe(Effect.scoped)
  )

  it.live.skipIf(!hasRustPeer)(hasRustPeer ? "and the Rust peer share a document" : "needs cargo", () =>
    Effect.gen(function* () {
      const ours = yield* unifiedNode()
      const theirs = yield* rustPeer()
      const { doc } = (yield* ours.run("doc.create"))["ok"] as Json
      yield* ours.run("doc.set", { doc, key: "a", value: "from here" })
      const { ticket } = (yield* ours.run("doc.share", { doc, write: true }))["ok"] as Json
      yield* theirs.run("doc.join", { ticket })
      const count = Effect.orDie(theirs.run("doc.count", { doc }))
      yield* eventually(count, ({ count }) => count === 1, "theirs has it")
      yield* theirs.run("doc.set", { doc, key: "b", value: "from there" })
      const query = Effect.map(ours.run("doc.query", { doc, latest: true }), ({ ok }) => ok as ReadonlyArray<Json>)
      const found = yield* eventually(query, (entries) => entries.length === 2, "ours has both")
      assert.deepStrictEqual(
        found.map(({ key }) => key),
        ["a", "b"]
      )
    })
  )
})
