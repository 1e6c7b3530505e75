/** The stacks that are measured, in the order in which a round visits them. */
import type { Peer } from "./Peer.ts"

/** A line of the comparison. */
export interface Entry {
  /** How the results name it. */
  readonly label: string
  /** Loads the peer; lazy, so that a process pays in memory for its own stack alone. */
  readonly load: () => Promise<Peer>
  /** Whether the stack compresses by itself, which makes compressible payloads a case of their own. */
  readonly compresses?: boolean | undefined
}

/** Every entry by the short name it has on the command line. */
export const Peers: ReadonlyMap<string, Entry> = new Map<string, Entry>([
  [
    "aster-native",
    {
      label: "aster-effect, XLANG over iroh, native binding",
      load: async () => (await import("./peers/aster.ts")).aster({ binding: "native", multiplex: true }),
      compresses: true
    }
  ],
  [
    "aster",
    {
      label: "aster-effect, XLANG over iroh, @number0/iroh",
      load: async () => (await import("./peers/aster.ts")).aster({ binding: "number0", multiplex: true }),
      compresses: true
    }
  ],
  [
    "aster-native-streams",
    {
      label: "aster-effect, native binding, a stream per call as with peers of 0.1.2",
      load: async () => (await import("./peers/aster.ts")).aster({ binding: "native", multiplex: false }),
      compresses: true
    }
  ],
  [
    "aster-streams",
    {
      label: "aster-effect, @number0/iroh, a stream per call as with peers of 0.1.2",
      load: async () => (await import("./peers/aster.ts")).aster({ binding: "number0", multiplex: false }),
      compresses: true
    }
  ],
  [
    "native",
    {
      label: "native binding alone, a stream per call",
      load: async () => (await import("./peers/node.ts")).node("native")
    }
  ],
  [
    "iroh-tuned",
    {
      label: "@number0/iroh raw, a stream per call, tuned",
      load: async () => (await import("./peers/iroh.ts")).iroh({ tuned: true })
    }
  ],
  [
    "iroh",
    {
      label: "@number0/iroh raw, a stream per call",
      load: async () => (await import("./peers/iroh.ts")).iroh({ tuned: false })
    }
  ],
  [
    "grpc-tls",
    {
      label: "@grpc/grpc-js, TLS",
      load: async () => (await import("./peers/grpc.ts")).grpc({ tls: true })
    }
  ],
  [
    "grpc",
    {
      label: "@grpc/grpc-js, plaintext",
      load: async () => (await import("./peers/grpc.ts")).grpc({ tls: false })
    }
  ],
  [
    "connect",
    {
      label: "@connectrpc/connect-node, HTTP/2 plaintext",
      load: async () => (await import("./peers/connect.ts")).connect
    }
  ],
  [
    "effect-tls",
    {
      label: "effect/rpc, TLS, SchemaBinary",
      load: async () => (await import("./peers/effectRpc.ts")).effectRpc({ tls: true })
    }
  ],
  [
    "effect",
    {
      label: "effect/rpc, TCP, SchemaBinary",
      load: async () => (await import("./peers/effectRpc.ts")).effectRpc({ tls: false })
    }
  ]
])

/** Stacks that are measured by a program of their own, beside one of those above. */
export const MorePeers: ReadonlyMap<string, Entry> = new Map<string, Entry>([
  [
    "group",
    {
      label: "effect/rpc over iroh, @number0/iroh",
      load: async () => (await import("./peers/group.ts")).group("number0")
    }
  ],
  [
    "group-native",
    {
      label: "effect/rpc over iroh, native binding",
      load: async () => (await import("./peers/group.ts")).group("native")
    }
  ]
])
