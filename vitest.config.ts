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
          testTimeout: 30_000
        }
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/{e2e,faults}/**/*.test.ts"],
          testTimeout: 60_000,
          pool: "forks",
          execArgv: ["--expose-gc"]
        }
      },
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
          testTimeout: 120_000,
          hookTimeout: 300_000,
          pool: "forks"
        }
      }
    ]
  }
})
