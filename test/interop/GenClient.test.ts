import * as ContractIdentity from "@aster-effect/core/contract/ContractIdentity"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import * as ManifestDescription from "@aster-effect/core/contract/ManifestDescription"
import type * as Service from "@aster-effect/core/service/Service"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { sandbox } from "../cli/Sandbox.ts"
import { unhex } from "../core/Reference.ts"
import { PythonReference } from "./PythonReference.ts"

const modules = fileURLToPath(new URL("../../node_modules", import.meta.url))
const env = { ASTER_RELAY_MODE: "disabled", ASTER_BIND_ADDR: "127.0.0.1:0" }

/** The only services whose types do not tell them: classes that refer to each other, which contracts leave out. */
const untold = ["RecursiveService"]

describe("generated clients of Python services", () => {
  for (const args of [[], ["--events"]] as const) {
    it.live(`have the contract of a live producer ${args.join("")}`, () =>
      Effect.gen(function* () {
        const python = yield* PythonReference
        const { address, services } = yield* python.producer(args)
        const { aster, file } = yield* sandbox()
        yield* Effect.promise(() => fs.symlink(modules, file("node_modules")))
        const { code, err } = yield* aster(`contract gen-client ${address} --out client.ts`, { env })
        assert.deepStrictEqual([code, err], [0, ""])
        const made: Readonly<Record<string, Service.Any>> = yield* Effect.promise(
          () => import(pathToFileURL(file("client.ts")).href)
        )
        assert.isNotEmpty(services)
        for (const { contract_id, name, version } of services) {
          assert.strictEqual(made[name]?.contract.contractId, contract_id, name)
          assert.strictEqual(made[name]?.version, version)
        }
      }).pipe(Effect.scoped, Effect.provide(PythonReference.layer))
    )
  }

  it.live("have the contract of published manifests and types, whatever these use", () =>
    Effect.gen(function* () {
      for (const { contract_id, manifest, name, types } of yield* (yield* PythonReference).contracts) {
        const published = new Map(
          types.map(({ canonical_hex, hash }) => [hash, ContractIdentity.typeFromBytes(unhex(canonical_hex))] as const)
        )
        for (const [hash, def] of published) assert.strictEqual(ContractIdentity.typeHash(def), hash)
        const describe = () => ManifestDescription.describe(Manifest.parse(manifest), published)
        if (untold.includes(name)) assert.throws(describe, /do not tell which classes refer to each other/)
        else assert.strictEqual(Manifest.fromDescription(describe().description).contractId, contract_id, name)
      }
    }).pipe(Effect.provide(PythonReference.layer))
  )
})
