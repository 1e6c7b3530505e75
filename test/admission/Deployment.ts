/**
 * A deployment as the tests need it: a root key that signs, producers that verify, consumers that call. Works on nodes
 * in memory and on real ones.
 */
import type * as AdmissionRequest from "@aster-effect/admission/AdmissionRequest"
import * as Role from "@aster-effect/admission/Role"
import {
  AsterClient,
  type ConnectFailure,
  type AsterClientOptions as ClientOptions
} from "@aster-effect/client/AsterClient"
import { AsterConfig } from "@aster-effect/config/AsterConfig"
import * as IdentityFile from "@aster-effect/config/IdentityFile"
import type { SettingsInput } from "@aster-effect/config/Settings"
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import type { Connection } from "@aster-effect/iroh/Connection"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { NodeOptions } from "@aster-effect/iroh/NodeOptions"
import * as SecretKey from "@aster-effect/iroh/SecretKey"
import {
  AsterServer,
  type AsterServerOptions as ServerOptions,
  type StartError
} from "@aster-effect/server/AsterServer"
import * as Credential from "@aster-effect/trust/Credential"
import * as CredentialFile from "@aster-effect/trust/CredentialFile"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import { it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Hex from "effect/encoding/Hex"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import vectors from "./vectors/trust.json" with { type: "json" }

const seed = (hex: string) => Result.getOrThrow(Hex.decode(hex))

export const root = Result.getOrThrow(RootKey.fromSeed(seed(vectors.keys.root_a.seed_hex)))
export const otherRoot = Result.getOrThrow(RootKey.fromSeed(seed(vectors.keys.root_b.seed_hex)))
export const keyA = SecretKey.fromHex(vectors.keys.node_a.seed_hex)
export const keyB = SecretKey.fromHex(vectors.keys.node_b.seed_hex)

export class Note extends Wire.Class<Note>("trust/Note")({ text: Wire.String.pipe(Wire.withDefault("")) }) {}

const note = { request: Note, response: Note }

/** Anybody may call `whoami` and `watch`; `unlock` is for operators. */
export const Vault = Service.make("Vault").add(
  Rpc.unary("whoami", note),
  Rpc.unary("unlock", { ...note, requires: Role.role("ops") }),
  Rpc.serverStream("watch", note)
)

/** How many `watch` calls run. */
export const watching = { count: 0 }

/** How many `whoami` calls there were. */
export const asked = { count: 0 }

export const VaultLive = Vault.toLayer({
  whoami: () =>
    CallContext.useSync((call) => {
      asked.count++
      return new Note({ text: call.attributes.get("aster.role") ?? "nobody" })
    }),
  unlock: () => Effect.succeed(new Note({ text: "open" })),
  watch: () =>
    Stream.concat(
      Stream.succeed(new Note({ text: "first" })),
      Stream.fromEffect(
        Effect.acquireUseRelease(
          Effect.sync(() => watching.count++),
          () => Effect.never,
          () => Effect.sync(() => watching.count--)
        )
      )
    )
})

/** A node on the transport under test, closed with the scope. */
export type MakeNode<R> = (options?: NodeOptions) => Effect.Effect<IrohNode["Service"], never, R | Scope.Scope>

export const memoryNode: MakeNode<MemoryNetwork> = (options) =>
  Layer.build(Layer.fresh(IrohNode.layerMemory(options))).pipe(Effect.map(Context.get(IrohNode)))

export const quicNode: MakeNode<never> = (options) =>
  Layer.build(Layer.fresh(IrohNode.layer({ ...options, bindAddress: "127.0.0.1:0", relayMode: "disabled" }))).pipe(
    Effect.map(Context.get(IrohNode)),
    Effect.orDie
  )

/** A configuration of exactly these settings: no environment and no identity file. */
export const settings = (values: SettingsInput = {}) =>
  AsterConfig.load({ inline: values, environment: false, identity: false })

/** A server on a node. By default consumers need a credential of the deployment. */
export const serve = (
  node: IrohNode["Service"],
  options: ServerOptions = {},
  services: Layer.Layer<never> = VaultLive
): Effect.Effect<AsterServer["Service"], StartError, Scope.Scope> =>
  Layer.build(
    Layer.fresh(AsterServer.layerOnNode({ config: settings({ rootPubkey: root.publicKey }), ...options })).pipe(
      Layer.provide([services, Layer.succeed(IrohNode, node)])
    )
  ).pipe(Effect.map(Context.get(AsterServer)))

/** A client on a node; it knows nothing but its options. */
export const consume = (
  node: IrohNode["Service"],
  server: { readonly address: string },
  options: ClientOptions = {}
): Effect.Effect<AsterClient["Service"], ConnectFailure, Scope.Scope> =>
  Layer.build(
    Layer.fresh(AsterClient.layerOnNode({ config: settings(), address: server.address, ...options })).pipe(
      Layer.provide(Layer.succeed(IrohNode, node))
    )
  ).pipe(Effect.map(Context.get(AsterClient)))

export const dial = (
  node: IrohNode["Service"],
  server: { readonly address: string },
  alpn: string = RpcConnection.ALPN
): Effect.Effect<Connection> => Effect.orDie(node.connect(NodeAddr.parse(server.address), alpn))

export interface Issue {
  /** The node it is for; default any. */
  readonly to?: { readonly endpointId: string } | undefined
  /** From now. Default an hour. */
  readonly seconds?: number | undefined
  readonly role?: string | undefined
  readonly attributes?: Readonly<Record<string, string>> | undefined
  /** A one-time token with this nonce. */
  readonly nonce?: string | undefined
  readonly by?: RootKey.RootKey | undefined
}

const claims = Effect.fnUntraced(function* ({ attributes, role, seconds = 3_600 }: Issue) {
  const now = yield* Clock.currentTimeMillis
  return {
    attributes: new Map([
      ...Object.entries(attributes ?? {}),
      ...(role === undefined ? [] : [["aster.role", role] as const])
    ]),
    expiresAt: BigInt(Math.floor(now / 1000) + seconds)
  }
})

/** A consumer's credential. */
export const issue = (options: Issue = {}): Effect.Effect<Credential.ConsumerEnrollmentCredential> =>
  Effect.map(claims(options), (shared) =>
    RootKey.signConsumer(options.by ?? root, {
      ...shared,
      type: options.nonce === undefined ? "policy" : "ott",
      endpointId: options.to?.endpointId,
      nonce: options.nonce
    })
  )

/** A producer's credential. */
export const enrol = (
  to: { readonly endpointId: string },
  options: Issue = {}
): Effect.Effect<Credential.EnrollmentCredential> =>
  Effect.map(claims(options), (shared) =>
    RootKey.signProducer(options.by ?? root, { ...shared, endpointId: to.endpointId })
  )

export const asking = (credential?: Credential.Credential, iidToken = ""): AdmissionRequest.AdmissionRequest => ({
  credential: credential === undefined ? "" : Credential.toJson(credential, "wire"),
  iidToken
})

/** One nonce by number. */
export const nonce = (n: number): string => n.toString(16).padStart(64, "0")

/** A directory that is gone after the test. */
export const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "aster-trust-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
)

/** An identity file of a producer, and the configuration that finds it in the working directory. */
export const enrolled = Effect.fnUntraced(function* (
  role: "producer" | "consumer" = "producer",
  changed: Partial<IdentityFile.IdentityEntry> = {}
) {
  const workingDirectory = yield* directory
  const file = path.join(workingDirectory, ".aster-identity")
  const key = SecretKey.fromBytes(new Uint8Array(32).fill(7))
  const node = IdentityFile.node(key)
  const credential = role === "producer" ? yield* enrol(node) : yield* issue({ to: node })
  const peer = { ...CredentialFile.toEntry(credential, root.publicKey, "own"), ...changed }
  yield* IdentityFile.write(file, IdentityFile.withEntry({ ...IdentityFile.empty, node }, peer))
  return { file, key, config: AsterConfig.load({ environment: false, workingDirectory }) }
})

/** The log, line by line. */
export const logs = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(
      `${logLevel} ${[message]
        .flat()
        .map((part) => (typeof part === "string" ? part : JSON.stringify(part)))
        .join(" ")}`
    )
  })
  return { layer: Logger.layer([logger]), lines }
}

/** A test on a network in memory, under the test clock, in silence. */
export const scenario = (
  title: string,
  body: () => Effect.Effect<void, unknown, Scope.Scope | MemoryNetwork>
): void => {
  it.effect(title, () => Effect.provide(body(), [MemoryNetwork.layer(), Logger.layer([])]))
}
