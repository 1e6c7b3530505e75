/**
 * Which package may import from which, and the order of the rooms inside one: what `npm run lint` refuses everything
 * else by (`plugin.ts`), and what `test/lint/Layers.test.ts` plants its violations from.
 *
 * A new package is one line here. It names every package it imports from; nothing is inherited.
 */
export const packages: Readonly<Record<string, ReadonlyArray<string>>> = {
  fory: [],
  iroh: [],
  "iroh-native": ["iroh"],
  "iroh-blobs": ["iroh"],
  "iroh-gossip": ["iroh"],
  "iroh-docs": ["iroh", "iroh-blobs", "iroh-gossip"],
  core: ["fory"],
  transport: ["core", "iroh"],
  observability: ["core"],
  "platform-node": ["observability"],
  config: ["iroh"],
  trust: ["config", "iroh"],
  admission: ["trust", "config", "core", "iroh"],
  mesh: ["trust", "admission", "config", "transport", "iroh", "iroh-gossip"],
  registry: ["transport", "core", "iroh", "iroh-docs", "iroh-blobs", "trust"],
  "effect-rpc": ["core", "iroh"],
  server: [
    "observability",
    "registry",
    "mesh",
    "admission",
    "trust",
    "config",
    "transport",
    "core",
    "iroh",
    "iroh-blobs",
    "iroh-gossip",
    "iroh-docs"
  ],
  client: [
    "observability",
    "registry",
    "admission",
    "trust",
    "config",
    "transport",
    "core",
    "iroh",
    "iroh-blobs",
    "iroh-gossip",
    "iroh-docs"
  ],
  testing: ["server", "client", "config", "core", "iroh"],
  cli: [
    "platform-node",
    "server",
    "client",
    "registry",
    "mesh",
    "admission",
    "trust",
    "config",
    "transport",
    "core",
    "iroh",
    "iroh-native",
    "iroh-blobs",
    "iroh-gossip",
    "iroh-docs",
    "observability"
  ]
}

/**
 * The folders of a package that are ordered: a room imports from those before it. Modules beside the rooms stand below
 * all of them, but for `index.ts`, which stands above.
 */
export const rooms: Readonly<Record<string, ReadonlyArray<string>>> = {
  core: ["message", "wire", "contract", "interceptor", "service", "call"]
}

/** The folders outside the packages, and which of them each may import from. All may import from every package. */
export const areas: Readonly<Record<string, ReadonlyArray<string>>> = {
  examples: [],
  bench: ["examples"],
  test: ["examples", "bench", "tools"],
  tools: []
}
