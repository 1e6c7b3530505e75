import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

// Many tests start processes, and most of such a process's time would go into compiling the same modules again.
process.env["NODE_COMPILE_CACHE"] ??= fileURLToPath(new URL("node_modules/.cache/compiled", import.meta.url))

/** Files that take more than half a minute. Begun last, one of them would hold up the end with a processor idle. */
const long =
  /\/(Swarms|Crash|IrohNode|manyCalls|silentStreams|calls|Trust|Memory|Consumer|TrustProducer|PythonProducerLifetime)\.test\.ts$/

class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => long.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

// Sources are read through the "@aster-effect/source" export condition, so nothing has to be built before the tests run.
export default defineConfig({
  ssr: { resolve: { conditions: ["@aster-effect/source"] } },
  test: {
    // Tests on sockets wait more than they compute, so two files at a time on two processors, where vitest has one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    sequence: { sequencer: LongFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/*/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: ["test/{e2e,interop,faults,packages}/**"],
          // Limits are against hanging: a machine may be slow, and what is fast is measured in bench.
          testTimeout: 120_000,
          hookTimeout: 60_000
        }
      },
      // Real sockets, on each binding. "e2e-native" needs the addon: npm run build:native.
      ...[
        { name: "e2e", binding: "number0", exclude: ["test/e2e/iroh-native/**"] },
        // What those kill and starve has no node.
        { name: "e2e-native", binding: "native", exclude: ["test/e2e/*/{Crash,FullDisk}.test.ts"] }
      ].map(({ binding, exclude, name }) => ({
        extends: true as const,
        test: {
          name,
          include: ["test/{e2e,faults}/**/*.test.ts"],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          pool: "forks" as const,
          execArgv: ["--expose-gc"],
          env: { ASTER_IROH_BINDING: binding }
        }
      })),
      {
        extends: true,
        test: {
          name: "packages",
          include: ["test/packages/**/*.test.ts"],
          globalSetup: ["test/packages/tarballs.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          pool: "forks"
        }
      },
      {
        extends: true,
        test: {
          name: "interop",
          include: ["test/interop/**/*.test.ts"],
          globalSetup: ["test/interop/environment.ts"],
          // Foreign peers against either binding: ASTER_IROH_BINDING=native npm run test:interop
          env: { ASTER_IROH_BINDING: process.env["ASTER_IROH_BINDING"] ?? "number0" },
          testTimeout: 120_000,
          hookTimeout: 300_000,
          pool: "forks"
        }
      }
    ]
  }
})
