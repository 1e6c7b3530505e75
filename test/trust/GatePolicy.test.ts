import * as RootPublicKey from "@aster-effect/config/RootPublicKey"
import type { GateInputs } from "@aster-effect/trust/GatePolicy"
import * as GatePolicy from "@aster-effect/trust/GatePolicy"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"

const anchor = (hex: string, source: string): RootPublicKey.Anchor => ({
  key: Result.getOrThrow(RootPublicKey.fromHex(hex)),
  source
})
const a = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
const b = "1432d8c123192fbcf4f5e44930dd002476e2d4bd8ced9347f30d10724df4dc01"
const inline = anchor(a, "inline")
const identity = anchor(a, ".aster-identity")
const configured = anchor(a, "ASTER_ROOT_PUBKEY")

type Row = readonly [
  setup: string,
  inputs: Partial<GateInputs>,
  consumers: GatePolicy.GateState,
  producers: GatePolicy.GateState,
  root: string,
  warnings: GatePolicy.GatePolicy["warnings"]
]

const rows: ReadonlyArray<Row> = [
  ["nothing", {}, "open", "open", "Ephemeral", ["DevMode"]],
  ["inline root only", { inline }, "closed", "open", "inline", []],
  ["inline root, inline consumers=false", { inline, allowAllConsumers: false }, "closed", "open", "inline", []],
  ["config consumers=false, no root", { allowAllConsumers: false }, "closed", "open", "Ephemeral", ["EphemeralRoot"]],
  ["config root, nothing else", { configured }, "closed", "open", "ASTER_ROOT_PUBKEY", []],
  [
    "config root + consumers=false",
    { configured, allowAllConsumers: false },
    "closed",
    "open",
    "ASTER_ROOT_PUBKEY",
    []
  ],
  ["config consumers=true", { allowAllConsumers: true }, "open", "open", "None", []],
  [
    "config consumers=true, producers=false",
    { allowAllConsumers: true, allowAllProducers: false },
    "open",
    "closed",
    "Ephemeral",
    ["EphemeralRoot"]
  ],
  [
    "inline producers=false, no root",
    { allowAllProducers: false },
    "open",
    "closed",
    "Ephemeral",
    ["DevMode", "EphemeralRoot"]
  ],
  ["identity file only", { identity, identityFile: true }, "closed", "open", ".aster-identity", []],
  [
    "identity file + consumers=false",
    { identity, identityFile: true, allowAllConsumers: false },
    "closed",
    "open",
    ".aster-identity",
    []
  ],
  [
    "identity file + the same env root",
    { identity, configured, identityFile: true },
    "closed",
    "open",
    ".aster-identity",
    []
  ],
  [
    "identity file without an entry, root from config",
    { configured, identityFile: true },
    "closed",
    "open",
    "ASTER_ROOT_PUBKEY",
    []
  ],
  ["identity file without an entry or root", { identityFile: true }, "closed", "open", "Ephemeral", ["EphemeralRoot"]],
  ["a root and consumers=true", { configured, allowAllConsumers: true }, "open", "open", "ASTER_ROOT_PUBKEY", []],
  [
    "inline root beats the configured one",
    { inline, configured: anchor(b, "ASTER_ROOT_PUBKEY") },
    "closed",
    "open",
    "inline",
    []
  ]
]

describe("GatePolicy.decide", () => {
  it.each(rows)("%s", (_, inputs, consumers, producers, root, warnings) => {
    const decision = Result.getOrThrow(GatePolicy.decide({ identityFile: false, ...inputs }))
    const { root: actual } = decision
    assert.deepStrictEqual(
      [decision.consumers, decision.producers, actual._tag === "Pinned" ? actual.anchor.source : actual._tag],
      [consumers, producers, root]
    )
    assert.deepStrictEqual(decision.warnings, warnings)
  })

  it.each([
    ["configured", { configured: anchor(b, "ASTER_ROOT_PUBKEY") }],
    ["inline", { inline: anchor(b, "inline") }]
  ])("an identity with another root than the %s one is a conflict", (_, other) => {
    const decision = GatePolicy.decide({ identity, identityFile: true, ...other })
    assert.isTrue(Result.isFailure(decision) && decision.failure.identity === identity)
  })
})
