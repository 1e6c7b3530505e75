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

  it.live.skipIf(!hasRustPeer)(hasRustPeer ? "and the Rust peer take each other's signed entries" : "needs cargo", () =>
    Effect.gen(function* () {
      const node = yield* unifiedNode()
      const theirs = yield* rustPeer()
      const ours = {
        run: (cmd: string, args?: Json) =>
          Effect.flatMap(node.run(cmd, args), ({ error, ok }) =>
            error === undefined ? Effect.succeed(ok as Json) : Effect.fail(String(error))
          )
      }
      const secret = "17".repeat(32)
      const { doc } = yield* ours.run("doc.import", { secret: "42".repeat(32) })
      assert.deepStrictEqual(yield* theirs.run("doc.import", { secret: "42".repeat(32) }), { doc })
      const { author } = yield* ours.run("author.import", { secret })
      assert.deepStrictEqual(yield* theirs.run("author.import", { secret }), { author })
      yield* theirs.run("doc.startSync", { doc, peers: [] })

      const timestamp = 1_700_000_000_000_000
      const entries: ReadonlyArray<Json> = [
        { key: "text", value: "a value" },
        { key: { hex: "ff00" }, hash: "ab".repeat(32), len: 2 ** 40 },
        { key: "deleted" }
      ]
      for (const entry of entries) {
        const args = { doc, author, timestamp, ...entry }
        const signed = yield* ours.run("doc.sign", args)
        assert.deepStrictEqual(signed, yield* theirs.run("doc.sign", args))
      }
      const ofTheirs = yield* theirs.run("doc.insert", { doc, author, timestamp, key: "theirs", value: "from there" })
      assert.deepStrictEqual(yield* ours.run("doc.insert", { doc, signed: ofTheirs["signed"] }), {})
      assert.deepStrictEqual(yield* ours.run("doc.get", { doc, author, key: "theirs" }), ofTheirs)
      assert.include(yield* Effect.flip(ours.run("doc.insert", { doc, signed: ofTheirs["signed"] })), "newer")
      const ahead = { doc, author, timestamp: Date.now() * 1000 + 660_000_000, key: "ahead" }
      assert.include(yield* Effect.flip(ours.run("doc.insert", ahead)), "10 minutes")

      const ofOurs = yield* ours.run("doc.insert", { doc, author, timestamp, key: "ours", value: "from here" })
      assert.isNumber((yield* ours.run("doc.fill", { doc, author, prefix: "many/", count: 20, first: 5 }))["ms"])
      assert.strictEqual((yield* ours.run("doc.get", { doc, author, key: "many/00000024" }))["len"], 8)
      let said: unknown = (yield* theirs.run("doc.initialMessage", { doc }))["message"]
      for (let turn = 0; typeof said === "string"; turn++) {
        assert.isBelow(turn, 20)
        const peer = turn % 2 === 0 ? ours : theirs
        said = (yield* peer.run("doc.processMessage", { doc, message: said }))["reply"]
      }
      assert.isNull(said)
      assert.deepStrictEqual(yield* theirs.run("doc.get", { doc, author, key: "ours" }), ofOurs)
      assert.deepStrictEqual(yield* theirs.run("doc.count", { doc }), { count: 22 })
      const query = { doc, author, byKey: true }
      assert.deepStrictEqual(yield* theirs.run("doc.query", query), yield* ours.run("doc.query", query))
      assert.isString((yield* ours.run("doc.initialMessage", { doc }))["message"])

      for (const capability of [{ doc }, { secret: "42".repeat(32) }]) {
        const args = { ...capability, nodes: [theirs.addr, { id: theirs.addr.id }] }
        const { ticket } = yield* ours.run("doc.makeTicket", args)
        assert.strictEqual((yield* theirs.run("doc.makeTicket", args))["ticket"], ticket)
        const { nodes, ...parsed } = yield* ours.run("doc.parseTicket", { ticket })
        const { nodes: expected, ...rest } = yield* theirs.run("doc.parseTicket", { ticket })
        assert.deepStrictEqual(parsed, rest)
        const addresses = (expected as ReadonlyArray<Json>).map(({ addrs, id, relays }) => ({ id, addrs, relays }))
        assert.deepStrictEqual(nodes, addresses)
      }
      for (const peer of [ours, theirs]) assert.deepStrictEqual(yield* peer.run("doc.close", { doc }), {})
      assert.include(yield* Effect.flip(ours.run("doc.close", { doc: "00".repeat(32) })), "not on this node")
    }).pipe(Effect.scoped)
  )
})
