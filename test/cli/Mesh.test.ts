import { Keyring } from "@aster-effect/cli/Keyring"
import { keyA, keyB, root } from "../admission/Deployment.ts"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as MeshState from "@aster-effect/mesh/MeshState"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { sandbox } from "./Sandbox.ts"

const a = SecretKey.toEndpointId(keyA)
const b = SecretKey.toEndpointId(keyB)
const salt = new Uint8Array(32).fill(9)
const state: MeshState.MeshState = {
  ...MeshState.withMember(MeshState.found(root.publicKey, a, salt, 1_700_000_000_000), b),
  peer_offsets: { [b]: 12 },
  drift_isolated: [b],
  producer_expiry: { [b]: 4_000_000_000_000 },
  producer_addresses: { [b]: NodeAddr.toBase64(NodeAddr.make(b, ["192.0.2.7:4433"])) },
  removed_producers: ["ab".repeat(32)]
}

describe("aster mesh status", () => {
  const inSandbox = sandbox(Keyring.layerUnavailable("none in this test"))

  it.effect("shows who belongs to the mesh, for people and for scripts, and never the salt", () =>
    Effect.gen(function* () {
      const { aster, file, write } = yield* inSandbox
      yield* write("mesh_state.json", MeshState.format(state))
      const shown = yield* aster(`mesh status --state ${file(".")}`)
      assert.strictEqual(shown.code, 0, shown.err)
      assert.include(shown.out, `topic      ${state.topic_id}`)
      assert.match(shown.out, new RegExp(`${a}  listed`))
      assert.match(
        shown.out,
        new RegExp(`${b}  until 2096-10-02T07:06:40.000Z  clock -12 ms  isolated  192.0.2.7:4433`)
      )
      assert.match(shown.out, /(ab){32} {2}put out/)
      const json = yield* aster("mesh status --json", { env: { ASTER_MESH_STATE_DIR: file(".") } })
      const read = JSON.parse(json.out) as Record<string, unknown>
      assert.deepInclude(read, {
        topic_id: state.topic_id,
        joined_at: "2023-11-14T22:13:20.000Z",
        last_heartbeat_at: null,
        removed_producers: ["ab".repeat(32)]
      })
      assert.deepInclude(read["producers"], {
        endpoint_id: b,
        expires_at: "2096-10-02T07:06:40.000Z",
        expired: false,
        clock_offset_ms: 12,
        isolated: true,
        addresses: ["192.0.2.7:4433"]
      })
      for (const { out } of [shown, json]) assert.notInclude(out, state.salt)
    })
  )

  it.effect("where there is none, and where it is damaged, it says so and what to do", () =>
    Effect.gen(function* () {
      const { aster, file, write } = yield* inSandbox
      const none = yield* aster("mesh status")
      assert.strictEqual(none.code, 1)
      assert.include(none.err, "--state")
      yield* write("mesh_state.json", "{")
      const damaged = yield* aster(`mesh status --state ${file(".")}`)
      assert.strictEqual(damaged.code, 1)
      assert.include(damaged.err, "damaged")
    })
  )
})
