import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { PythonReference } from "./PythonReference.ts"

const golden = (name: string) => fileURLToPath(new URL(`../fory/golden/${name}`, import.meta.url))
const environment = Layer.merge(PythonReference.layer, NodeServices.layer)

describe("pyfory 0.16.0", () => {
  layer(environment, { timeout: "5 minutes", excludeTestServices: true })((it) => {
    it.effect("makes the golden vectors as they are committed", () =>
      Effect.gen(function* () {
        const { script } = yield* PythonReference
        const made = yield* script(golden("generate.py"))
        assert.isTrue(made === readFileSync(golden("golden.json"), "utf8"))
      })
    )

    it.effect("decodes what our encoder makes of random types and values, and encodes them to the same bytes", () =>
      Effect.gen(function* () {
        const { script } = yield* PythonReference
        const fs = yield* FileSystem.FileSystem
        const file = yield* fs.makeTempFileScoped()
        const made = execFileSync(
          process.execPath,
          ["--conditions=@aster-effect/source", golden("produce.ts"), "1000", "2"],
          {
            maxBuffer: 2 ** 30
          }
        )
        writeFileSync(file, made)
        const report = yield* script(golden("generate.py"), ["--check", file])
        assert.match(report, /^1000 cases: 5000 vectors decoded, \d{4} encoded to the same bytes, 0 problems$/m)
      })
    )
  })
})
