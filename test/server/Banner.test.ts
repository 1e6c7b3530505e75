import { assert, describe, it } from "@effect/vitest"
import { type Banner, render } from "../../packages/server/src/internal/banner.ts"

const banner: Banner = {
  services: [
    {
      name: "TaskRunner",
      version: 2,
      contractId: "c1".repeat(32),
      channels: {},
      pattern: "shared",
      serializationModes: []
    },
    { name: "Echo", version: 1, contractId: "c2".repeat(32), channels: {}, pattern: "shared", serializationModes: [] }
  ],
  node: {
    endpointId: "ab".repeat(32) as Banner["node"]["endpointId"],
    boundSockets: ["127.0.0.1:4433"],
    binding: "native"
  },
  address: "aster1qqq",
  consumers: "closed",
  producers: "open",
  registry: true,
  health: "http://127.0.0.1:9090",
  log: { logFormat: "text", logLevel: "info" }
}

describe("the banner", () => {
  it("says what was started, and where and for whom", () => {
    const text = render(banner, false)
    for (const line of [
      `  ● TaskRunner  v2  ${"c1".repeat(32)}`,
      `  ● Echo        v1  ${"c2".repeat(32)}`,
      `  node id:  ${"ab".repeat(32)}`,
      "  address:  aster1qqq",
      "  sockets:  127.0.0.1:4433",
      "  gates:    consumers closed, producers open",
      "  health:   http://127.0.0.1:9090",
      `  runtime:  Node.js ${process.versions.node}, iroh binding native`
    ]) {
      assert.include(text.split("\n"), line)
    }
    assert.notInclude(text, "\u001b")
  })

  it("has colours where they are wanted, and says the same", () => {
    // oxlint-disable-next-line no-control-regex
    assert.strictEqual(render(banner, true).replaceAll(/\u001b\[\d+m/g, ""), render(banner, false))
  })
})
