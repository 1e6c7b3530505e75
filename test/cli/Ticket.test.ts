import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as Ticket from "@aster-effect/iroh/Ticket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { nodeA } from "../config/Fixture.ts"
import { sandbox } from "./Sandbox.ts"

const secret = "5ec7e7".repeat(4)
const ticket = Ticket.encode({
  endpointId: nodeA.id,
  relayAddr: "192.0.2.1:443",
  directAddrs: ["192.0.2.7:1000", "[2001:db8::1]:2000"],
  credentialType: "consumer_rcan",
  credentialDataHex: secret
})

describe("aster ticket decode", () => {
  it.effect("shows a ticket, but not the credential in it", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { code, out } = yield* aster(`ticket decode ${ticket}`)
      assert.strictEqual(code, 0)
      assert.strictEqual(
        out,
        [
          `Endpoint id: ${nodeA.id}`,
          "Relay:       192.0.2.1:443",
          "Direct:      192.0.2.7:1000",
          "             [2001:db8::1]:2000",
          "Credential:  consumer_rcan, 12 bytes (not shown)"
        ].join("\n")
      )
    })
  )

  it.effect("--json", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { out } = yield* aster(`ticket decode ${ticket} --json`)
      assert.deepStrictEqual(JSON.parse(out), {
        kind: "ticket",
        endpoint_id: nodeA.id,
        relay: "192.0.2.1:443",
        direct_addresses: ["192.0.2.7:1000", "[2001:db8::1]:2000"],
        credential: { type: "consumer_rcan", bytes: 12 }
      })
      assert.notInclude(out, secret)
    })
  )

  it.effect("reads the other forms of an address", () =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const address = NodeAddr.make(EndpointId.parse(nodeA.id), ["192.0.2.7:1000"], "https://relay.example.org/")
      const { out } = yield* aster(`ticket decode ${NodeAddr.toBase64(address)} --json`)
      assert.deepInclude(JSON.parse(out), { kind: "address", relay: "https://relay.example.org/" })
      assert.include((yield* aster(`ticket decode ${nodeA.id}`)).out, "(none)")
    })
  )

  it.effect.each(["aster1", "aster1!!", "nonsense", `${ticket}1`])("refuses %s", (text) =>
    Effect.gen(function* () {
      const { aster } = yield* sandbox()
      const { code, err } = yield* aster(`ticket decode ${text}`)
      assert.strictEqual(code, 1)
      assert.match(err, /^Error: Bad address/)
    })
  )
})
