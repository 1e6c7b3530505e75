/** What producers of ours write into a registry, read by the reference's registry client. */
import { AsterServer, type NodeServerOptions } from "@aster-effect/server/AsterServer"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { fileURLToPath } from "node:url"
import { KitchenSink, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { settings } from "../admission/Deployment.ts"
import { PythonReference } from "./PythonReference.ts"

const script = fileURLToPath(new URL("python/registry.py", import.meta.url))

const serve = (options: NodeServerOptions = {}) =>
  Layer.build(
    Layer.fresh(
      AsterServer.layer({ node: loopback, config: settings(), ...options }).pipe(
        Layer.provide([KitchenSinkLive, Logger.layer([])])
      )
    )
  ).pipe(Effect.map(Context.get(AsterServer)))

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("the reference", (it) => {
  it.effect("resolves a service by the lease of a producer of ours", () =>
    Effect.gen(function* () {
      const host = yield* serve()
      const document = yield* host.docs.create
      const producer = yield* serve({ registry: yield* document.share("write") })
      const args = [host.endpointAddrB64, document.id, KitchenSink.name, String(KitchenSink.version)]
      const printed = yield* Effect.timeout(
        PythonReference.use(({ script: run }) => run(script, args)),
        "90 seconds"
      )
      const lease = JSON.parse(printed.trim().split("\n").at(-1)!)
      assert.deepInclude(lease, {
        endpoint_id: producer.endpointId,
        contract_id: KitchenSink.contract.contractId,
        service: KitchenSink.name,
        version: KitchenSink.version,
        alpn: "aster/1",
        serialization_modes: ["fory-xlang"],
        health_status: "ready",
        language_runtime: "typescript"
      })
      assert.sameMembers(lease.direct_addrs, [...producer.directAddresses])
    })
  )
})
