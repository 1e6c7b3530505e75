/** The codec alone, in one process: Fory XLANG beside JSON, as `bench/fory.ts --json` measures it. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as Schema from "effect/Schema"

const Document = Schema.Struct({
  rows: Schema.Array(
    Schema.Struct({ name: Schema.String, foryNs: Schema.Finite, jsonNs: Schema.Finite, ratio: Schema.Finite })
  )
})

/** Nanoseconds per operation, and how many times faster than JSON Fory is. */
export type ForyTable = typeof Document.Type

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Document))

/** Runs the codec measurement in a process of its own; rejects when it fails or takes longer than `limitMs`. */
export const measureFory = async (limitMs: number): Promise<ForyTable> => {
  const program = fileURLToPath(new URL("./fory.ts", import.meta.url))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=@aster-effect/source", program, "--json"],
    {
      timeout: limitMs
    }
  ).catch((cause: unknown) => {
    throw new Error("bench/fory.ts did not run to its end; run it by itself to see why", { cause })
  })
  return decode(stdout)
}
