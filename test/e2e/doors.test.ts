import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"

const root = new URL("../../", import.meta.url)
const vectors = (path: string) => `JSON.parse((await import("node:fs")).readFileSync("${path}", "utf8"))`

/** Runs a plain script from the repository's root: no flags, the built packages, what a user's program would do. */
const run = (script: string): unknown =>
  JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024
    })
  )

describe("the doors of the built packages", () => {
  it("core/ContractIdentity takes the vectors' inputs", () => {
    const wrong = run(`
      import { canonicalBytes, contractId } from "@aster-effect/core/contract/ContractIdentity"
      const { cases } = ${vectors("test/core/vectors/contract-identity.json")}
      const hex = (bytes) => Buffer.from(bytes).toString("hex")
      console.log(JSON.stringify(cases.filter((c) => c.id !== "md-timeout-negzero" && (
        hex(canonicalBytes(c.type, c.input)) !== c.canonical_hex ||
        (c.contract_id !== undefined && contractId(c.input) !== c.contract_id)
      )).map((c) => c.id)))`)
    assert.deepStrictEqual(wrong, [])
  })

  it("core/Frame encodes, and decodes what is pushed", () => {
    const frame = run(`
      import { FrameDecoder, encode, HEADER } from "@aster-effect/core/wire/Frame"
      const bytes = encode(new TextEncoder().encode("Hi"), HEADER)
      const decoder = new FrameDecoder()
      decoder.push(bytes.subarray(0, 3))
      const early = decoder.next() === undefined
      decoder.push(bytes.subarray(3))
      const { flags, payload } = decoder.next()
      console.log(JSON.stringify([early, flags, new TextDecoder().decode(payload)]))`)
    assert.deepStrictEqual(frame, [true, 4, "Hi"])
  })

  it("iroh/Ticket writes and reads both address forms", () => {
    const wrong = run(`
      import * as Ticket from "@aster-effect/iroh/Ticket"
      const { cases, node_addr_base64 } = ${vectors("test/iroh/vectors/ticket.json")}
      const same = (a, b) => JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort())
      const tickets = cases.filter((c) => Ticket.encode(c.info) !== c.string || !same(Ticket.decode(c.string), c.decoded))
      const addresses = node_addr_base64.filter((c) => {
        const info = { endpointId: c.endpoint_id, relayUrl: c.relay_url ?? undefined, directAddrs: c.direct_addresses }
        return Ticket.encodeNodeAddr(info) !== c.base64 || Ticket.encodeNodeAddr(Ticket.decodeNodeAddr(c.base64)) !== c.base64
      })
      console.log(JSON.stringify([...tickets.map((c) => c.id), ...addresses]))`)
    assert.deepStrictEqual(wrong, [])
  })

  it("fory registers a struct by namespace and name", () => {
    const result = run(`
      import { Fory, Type } from "@aster-effect/fory"
      const Hello = Type.struct({ namespace: "hello", name: "HelloRequest", fields: { name: Type.string } })
      const codec = Fory.make({ types: [Hello] }).codec(Hello)
      const bytes = codec.encode({ name: "World" })
      console.log(JSON.stringify([Buffer.from(bytes).toString("hex"), codec.decode(bytes)]))`)
    assert.deepStrictEqual(result, ["02ff1d08019c8b5b80120474e45addd8921424a6d8d57b4514576f726c64", { name: "World" }])
  })

  it("iroh-blobs names, keeps and gives back", () => {
    const result = run(`
      import { Effect, Layer } from "effect"
      import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
      import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
      import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
      import { IrohNode } from "@aster-effect/iroh/IrohNode"
      import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
      const program = Effect.gen(function* () {
        const blobs = yield* Blobs
        const { hash } = yield* blobs.addBytes(new TextEncoder().encode("model weights v2.1"))
        const ticket = BlobTicket.decode(yield* blobs.share(hash))
        return [ticket.hash === hash, hash, new TextDecoder().decode(yield* blobs.read(hash))]
      })
      const node = IrohNode.layerMemory().pipe(Layer.provide(MemoryNetwork.layer()))
      const live = Blobs.layer.pipe(Layer.provide([BlobStore.layer(), node]))
      console.log(JSON.stringify(await Effect.runPromise(Effect.provide(program, live))))`)
    assert.deepStrictEqual(result, [
      true,
      "ef32f89220cefc26107062c3f86abda8cd9dae1ac73f5d131c2bbc6b17505968",
      "model weights v2.1"
    ])
  })

  it("server, client and admission load", () => {
    const names = run(`
      import { AsterServerLive } from "@aster-effect/server"
      import { AsterClient } from "@aster-effect/client"
      import { signingBytes, verify } from "@aster-effect/trust/Credential"
      console.log(JSON.stringify([typeof AsterServerLive, typeof AsterClient.layer, typeof signingBytes, typeof verify]))`)
    assert.deepStrictEqual(names, ["object", "function", "function", "function"])
  })
})
