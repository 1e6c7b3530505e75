import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as Contract from "@aster-effect/core/contract/Contract"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import * as MessageDigest from "@aster-effect/core/contract/MessageDigest"
import type * as Service from "@aster-effect/core/service/Service"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { KitchenSink, KitchenSinkLive } from "../../examples/kitchen-sink/KitchenSink.ts"
import { TaskRunner } from "../../examples/task-runner/TaskRunner.ts"
import { Parts } from "./Documented.ts"
import { sandbox } from "./Sandbox.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const specs = {
  kitchen: `${root}examples/kitchen-sink/KitchenSink.ts:KitchenSink`,
  tasks: `${root}examples/task-runner/TaskRunner.ts:TaskRunner`,
  parts: `${root}test/cli/Documented.ts:Parts`
}

/** A sandbox whose modules find the packages of this checkout. */
const withPackages = Effect.gen(function* () {
  const made = yield* sandbox()
  yield* Effect.promise(() => fs.symlink(`${root}node_modules`, made.file("node_modules")))
  const load = (name: string) =>
    Effect.promise((): Promise<Readonly<Record<string, unknown>>> => import(pathToFileURL(made.file(name)).href))
  return { ...made, load }
})

/** The definition has the contract and the messages of the original. */
const isDouble = (made: unknown, original: Service.Any): void => {
  const { contract, description } = made as Service.Any
  assert.strictEqual(contract.contractId, original.contract.contractId)
  assert.deepEqual(MessageDigest.ofService(description), MessageDigest.ofService(original.description))
}

describe("aster contract gen-client", () => {
  it.live("makes a module that compiles, with the same contracts, from a manifest", () =>
    Effect.gen(function* () {
      const { aster, file, load, read, write } = yield* withPackages
      const services = Object.values(specs).map((spec) => `--service ${spec}`)
      assert.strictEqual((yield* aster(`contract gen ${services.join(" ")}`)).code, 0)
      // A default of a field that is of its own class.
      const manifest = yield* read(".aster/manifest.json")
      const parts = '"name": "parts",\n                  "type": {'
      assert.include(manifest, parts)
      yield* write(".aster/manifest.json", manifest.replace(parts, `"default": [], ${parts}`))
      const { code, err, out } = yield* aster("contract gen-client --out client.ts")
      assert.deepStrictEqual([code, err], [0, ""])
      assert.include(out, `KitchenSink v1  contract_id=${KitchenSink.contract.contractId.slice(0, 16)}...`)
      const module = yield* load("client.ts")
      isDouble(module["KitchenSink"], KitchenSink)
      isDouble(module["TaskRunner"], TaskRunner)
      isDouble(module["Parts"], Parts)
      // Words are part of neither, and there all the same.
      const again = Manifest.fromDescription((module["Parts"] as Service.Any).description)
      assert.deepStrictEqual(again, Manifest.fromDescription(Parts.description))
      const text = yield* read("client.ts")
      assert.include(text, "/** What it is called *\\/ in the catalogue. */")
      assert.include(text, "/** @deprecated see sizes */")
      assert.include(text, 'deprecated: "use find"')
      const base = JSON.stringify(`${root}tsconfig.base.json`)
      yield* write("package.json", '{"type":"module"}')
      yield* write(
        "tsconfig.json",
        `{"extends":${base},"compilerOptions":{"noEmit":true,"composite":false,"declarationMap":false},"files":["client.ts"]}`
      )
      const tsc = fileURLToPath(new URL("../../node_modules/.bin/tsc", import.meta.url))
      yield* Effect.promise(() =>
        promisify(execFile)(tsc, ["--project", file("tsconfig.json")]).catch((error: { readonly stdout: string }) =>
          assert.fail(error.stdout)
        )
      )
    })
  )

  it.effect("makes one of a manifest of release 0.1.2, whose types it finds by their hashes", () =>
    Effect.gen(function* () {
      const { aster, load, write } = yield* withPackages
      for (const postponedAnnotations of [false, true]) {
        const contract = Contract.fromDescription(TaskRunner.description, { postponedAnnotations })
        const manifest = Manifest.encode(Manifest.fromDescription(TaskRunner.description, contract))
        assert.notInclude(manifest, "wire_types")
        yield* write("m.json", manifest)
        const name = `client${Number(postponedAnnotations)}.ts`
        assert.strictEqual((yield* aster(`contract gen-client m.json --out ${name}`)).code, 0)
        const made = (yield* load(name))["TaskRunner"] as Service.Any
        assert.strictEqual(made.contract.contractId, contract.contractId)
      }
    })
  )

  it.effect("says why it cannot", () =>
    Effect.gen(function* () {
      const { aster, list, write } = yield* sandbox()
      const plain = Manifest.encode(Manifest.fromDescription(KitchenSink.description))
      const of = (text: string, ...args: ReadonlyArray<string>) =>
        Effect.andThen(write("m.json", text), aster(["contract gen-client m.json --out c.ts", ...args].join(" ")))
      const exact = Manifest.encode(
        Manifest.fromDescription(TaskRunner.description, TaskRunner.contract, { wireTypes: true })
      )
      for (const [outcome, words] of [
        [yield* of(plain), "kitchen/Everything.inner: the manifest does not list the fields of Inner"],
        [
          yield* of(exact.replace(TaskRunner.contract.contractId, "0".repeat(64))),
          "its types give another contract id"
        ],
        [yield* of(exact.replace('"type": "string"', '"type": "strong"')), "fields[0].type: expected a wire type"],
        [yield* of(exact, "--service Nope"), "there is no service Nope; there is TaskRunner"],
        [yield* of("{"), "is no contract manifest"],
        [yield* aster("contract gen-client"), "name a manifest file or a producer's address"]
      ] as const) {
        assert.strictEqual(outcome.code, 1)
        assert.include(outcome.err, words)
      }
      assert.notInclude(yield* list("."), "c.ts")
    })
  )

  it.live("makes one of what a producer has published", () =>
    Effect.gen(function* () {
      const config = AsterConfig.load({ environment: false, identity: false })
      const server = AsterServer.layer({ node: loopback, config }).pipe(Layer.provide(KitchenSinkLive))
      const { address } = Context.get(yield* Effect.provide(Layer.build(server), Logger.layer([])), AsterServer)
      const { aster, load } = yield* withPackages
      const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }
      const { code, err } = yield* aster(`contract gen-client ${address} --out client.ts`, { env })
      assert.deepStrictEqual([code, err], [0, ""])
      isDouble((yield* load("client.ts"))["KitchenSink"], KitchenSink)
    })
  )
})
