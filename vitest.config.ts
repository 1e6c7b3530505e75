import { defineConfig } from "vitest/config"

// Sources are read through the "@aster-effect/source" export condition, so nothing has to be built before the tests run.
export default defineConfig({
  ssr: { resolve: { conditions: ["@aster-effect/source"] } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/*/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: ["test/{e2e,interop,faults,packages}/**"],
          // Limits are against hanging: a machine may be slow, and what is fast is measured in bench.
          testTimeout: 60_000,
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
