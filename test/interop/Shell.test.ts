/** `aster shell` at a Python producer and at ours: what it shows is the same. */
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { KitchenJsonLive, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { TaskRunnerLive } from "../../examples/task-runner/TaskRunner.ts"
import { settings } from "../admission/Deployment.ts"
import { sandbox } from "../cli/Sandbox.ts"
import { KitchenSessionLive } from "./KitchenSession.ts"
import { PythonReference } from "./PythonReference.ts"

const services = Layer.mergeAll(KitchenSinkLive, KitchenJsonLive, KitchenSessionLive, TaskRunnerLive)

layer(PythonReference.layer, { timeout: "5 minutes", excludeTestServices: true })("aster shell", (it) => {
  it.effect("describes and calls every pattern, in sessions too", () =>
    Effect.gen(function* () {
      const { producer } = yield* PythonReference
      const server = AsterServer.layer({ node: loopback, config: settings() }).pipe(
        Layer.provide([services, Logger.layer([])])
      )
      const ours = Context.get(yield* Layer.build(server), AsterServer).address
      const { run } = yield* sandbox()
      const script = [
        "describe KitchenSession",
        "describe KitchenSink.fail",
        "KitchenSink.say_hello name=World",
        "use KitchenSink",
        "count to=3",
        "sum value=1",
        'sum {"value":1} {"value":2}',
        "chat",
        "name=a",
        '{"name":"b"}',
        ".",
        "use",
        "session KitchenSession",
        "add value=1",
        'add_all {"value":10} {"value":20}',
        "count to=2",
        "running",
        "value=1",
        "value=1",
        ".",
        "add value=0",
        "end",
        "KitchenSession.add value=5",
        "KitchenSink.fail code=5 message=gone"
      ].join("\n")
      const [theirs, own] = yield* Effect.forEach([(yield* producer()).address, ours], (address) =>
        run(["shell", address, "--timeout", "60s"], {
          env: { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" },
          stdin: [script]
        })
      )
      assert.strictEqual(theirs!.err, "Error: line 24: NOT_FOUND: KitchenSink.fail: gone")
      assert.include(theirs!.out, 'fail  (unary)\n  request:  FailRequest { code: int = 0, message: string = "" }')
      assert.deepStrictEqual(
        [...theirs!.out.matchAll(/"value": ?(\d+)/g)].map(([, value]) => Number(value)),
        [0, 1, 2, 1, 3, 1, 31, 31, 32, 32, 33, 33, 5]
      )
      assert.deepStrictEqual(own, theirs)
    })
  )
})
