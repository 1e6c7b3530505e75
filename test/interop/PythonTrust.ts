/** What tests of trust need of the reference: typed operations of `trust.py`, and a directory both commands work in. */
import { Keyring } from "@aster-effect/cli/Keyring"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Outcome, sandbox } from "../cli/Sandbox.ts"
import { type Ask, PythonReference, type Ran } from "./PythonReference.ts"

const Described = {
  valid: Schema.Boolean,
  type: Schema.String,
  root_pubkey: Schema.String,
  endpoint_id: Schema.NullOr(Schema.String),
  attributes: Schema.Record(Schema.String, Schema.String),
  expires_at: Schema.Int
}

const ConsumerReply = Schema.Struct({
  admitted: Schema.Boolean,
  attributes: Schema.Record(Schema.String, Schema.String),
  services: Schema.Array(Schema.Unknown),
  registry_namespace: Schema.String,
  root_pubkey: Schema.String,
  reason: Schema.String
})

const ProducerReply = Schema.Struct({
  accepted: Schema.Boolean,
  salt: Schema.String,
  accepted_producers: Schema.Array(Schema.String),
  reason: Schema.String
})

const Answers = Schema.Union([
  Schema.Struct({
    admitted: Schema.Literal(true),
    answers: Schema.Array(
      Schema.Union([
        Schema.Struct({ text: Schema.String }),
        Schema.Struct({ code: Schema.Int, message: Schema.String })
      ])
    )
  }),
  Schema.Struct({ admitted: Schema.Literal(false), message: Schema.String })
])

const Producer = Schema.Struct({
  address: Schema.String,
  endpoint_id: Schema.String,
  root_pubkey: Schema.String,
  contracts: Schema.Record(Schema.String, Schema.String)
})

const Stored = Schema.Struct({ hash: Schema.String, ticket: Schema.String, collection: Schema.String })

const Fetched = Schema.Union([
  Schema.Struct({ admitted: Schema.Boolean, size: Schema.Int, sha256: Schema.String }),
  Schema.Struct({ admitted: Schema.Boolean, error: Schema.String })
])

const Signed = Schema.Struct({ text: Schema.String, signed: Schema.String })

interface SignOptions {
  readonly seed: string
  readonly kind: "producer" | "consumer"
  readonly attributes: Readonly<Record<string, string>>
  /** Until it expires; default an hour. */
  readonly seconds?: number
  readonly endpoint_id?: string
  readonly type?: "policy" | "ott"
  readonly nonce?: string
}

interface Presenting {
  readonly address: string
  /** The JSON text of the credential. */
  readonly credential: string
  readonly secret_key?: string
}

/** The operations of one process of `trust.py`, which see there. */
export const operations = (ask: Ask) => ({
  producer: (args: { readonly root: string; readonly producers_gated?: boolean } | { readonly identity: string }) =>
    ask("producer", args, Producer),
  store: (args: { readonly producer: string; readonly text: string; readonly times: number }) =>
    ask("store", args, Stored),
  fetch: (args: { readonly address: string; readonly ticket: string; readonly identity?: string }) =>
    ask("fetch", args, Fetched),
  consume: (args: {
    readonly address: string
    readonly calls: ReadonlyArray<readonly [service: string, method: string]>
    readonly identity?: string
    readonly peer?: string
    readonly credential_file?: string
    readonly secret_key?: string
    readonly again_after?: number
  }) => ask("consume", args, Answers),
  present: (args: Presenting) => ask("present", { ...args }, ConsumerReply),
  join: (args: Presenting) => ask("join", { ...args }, ProducerReply),
  knock: (args: { readonly address: string; readonly alpn: string }) =>
    ask("knock", args, Schema.Struct({ closed: Schema.String })),
  sign: (args: SignOptions) => ask("sign", { ...args }, Signed),
  readIdentity: (path: string, name: string) =>
    ask("read_identity", { path, name }, Schema.Struct({ ...Described, node: Schema.String })),
  readToken: (path: string) => ask("read_token", { path }, Schema.Struct(Described)),
  useNonce: (path: string, nonce: string) => ask("use_nonce", { path, nonce }, Schema.Boolean),
  readMesh: (path: string) => ask("read_mesh", { path }, Schema.Record(Schema.String, Schema.Unknown)),
  writeMesh: (path: string, state: unknown) => ask("write_mesh", { path, state }, Schema.Null),
  printConfig: (path: string, environment: Readonly<Record<string, string>>) =>
    ask(
      "print_config",
      { path, environment },
      Schema.Struct({
        text: Schema.String,
        json: Schema.Record(
          Schema.String,
          Schema.Record(Schema.String, Schema.Struct({ value: Schema.Unknown, source: Schema.Unknown }))
        )
      })
    )
})

/** A process of `trust.py`. */
export const trust = Effect.map(
  PythonReference.use((reference) => reference.trust),
  operations
)

const succeeding = <E, R>(run: Effect.Effect<Outcome | Ran, E, R>) =>
  Effect.map(run, ({ code, err, out }) => {
    assert.strictEqual(code, 0, `${out}\n${err}`)
    return out
  })

/** A home and a working directory, and both `aster` commands in them; a line without spaces in its arguments each. */
export const bothCommands = Effect.gen(function* () {
  const ours = yield* sandbox(Keyring.layerUnavailable("none in this test"))
  const reference = yield* PythonReference
  return {
    ...ours,
    ours: (line: string) => succeeding(ours.aster(line)),
    theirs: (line: string) => succeeding(reference.aster(ours, line.split(" ")))
  }
})
