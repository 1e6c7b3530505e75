/** Recorded answers of release 0.1.2. */
import type { ServiceContractJson, StructureName, TypeDefJson } from "@aster-effect/core/contract/ContractIdentity"
import type { ScalarName } from "@aster-effect/core/message/WireType"
import { readFileSync } from "node:fs"

/** A value that travels, as the vectors spell a Python annotation. */
export type TypeExpression =
  | "string"
  | "int"
  | "float"
  | "bool"
  | "bytes"
  | "any"
  | "none"
  | "bare_list"
  | "bare_set"
  | "bare_dict"
  | { readonly list: TypeExpression }
  | { readonly set: TypeExpression }
  | { readonly optional: TypeExpression }
  /** `T | None`, written with the bar. */
  | { readonly pep604: TypeExpression }
  | { readonly map: readonly [TypeExpression, TypeExpression] }
  | { readonly tuple: ReadonlyArray<TypeExpression> }
  | { readonly union: ReadonlyArray<TypeExpression> }
  | { readonly enum: string }
  | { readonly ref: string }
  /** Only in `python-contracts.json`: a scalar of ours that the other vectors do not know. */
  | { readonly scalar: ScalarName }

/** A field's default. `filled` is a container that is not empty, or an instance of a class. */
export type DefaultValue =
  | { readonly json: unknown }
  | { readonly bytes: string }
  | { readonly date: string }
  | { readonly empty: "list" | "map" | "set" }
  | { readonly filled: "list" | "map" | "struct" }

export interface ServiceVector {
  readonly id: string
  readonly title: string
  readonly module: string
  readonly annotations?: "pep563"
  readonly enums?: ReadonlyArray<{
    readonly name: string
    readonly members: { readonly [member: string]: string | number }
  }>
  readonly types: ReadonlyArray<{
    readonly fqn: string
    readonly wire_type?: string
    readonly fields: ReadonlyArray<{
      readonly name: string
      readonly type: TypeExpression
      /** Python text; the type's empty value when it is absent. */
      readonly py_default?: string
      /** Only in `python-contracts.json`, where no default is no default. */
      readonly default?: DefaultValue
    }>
  }>
  readonly service: {
    readonly name: string
    readonly version: number
    readonly scoped?: "shared" | "session"
    readonly serialization?: ReadonlyArray<"xlang" | "native" | "row" | "json">
    readonly methods: ReadonlyArray<{
      readonly name: string
      readonly pattern: "unary" | "server_stream" | "client_stream" | "bidi_stream"
      readonly request: TypeExpression
      readonly response: TypeExpression
      readonly timeout?: number
      readonly idempotent?: boolean
    }>
  }
  readonly expected: {
    readonly typedefs: ReadonlyArray<{
      readonly fqn: string
      /** Not in `python-contracts.json`. */
      readonly input?: TypeDefJson
      /** Not in `python-contracts.json`. */
      readonly canonical_hex?: string
      readonly type_hash: string
    }>
    /** Not in `python-contracts.json`. */
    readonly contract?: ServiceContractJson
    readonly canonical_hex: string
    readonly contract_id: string
    readonly manifest_json?: string
  }
}

export interface IdentityVectors {
  readonly cases: ReadonlyArray<{
    readonly id: string
    readonly title: string
    readonly type: StructureName
    readonly input: unknown
    readonly input_json: string
    readonly canonical_hex: string
    readonly contract_id?: string
    readonly type_hash?: string
  }>
  readonly hash_cases: ReadonlyArray<{ readonly id: string; readonly data_hex: string; readonly blake3_hex: string }>
  readonly rejects: ReadonlyArray<{ readonly id: string; readonly type: StructureName; readonly input_json: string }>
  readonly services: ReadonlyArray<ServiceVector>
}

export interface FramingVectors {
  readonly cases: ReadonlyArray<
    { readonly title: string; readonly flags: number } & (
      | { readonly payload_hex: string; readonly frame_hex: string; readonly payload_fill?: undefined }
      | {
          readonly payload_fill: { readonly byte_hex: string; readonly length: number }
          readonly frame_prefix_hex: string
          readonly frame_length: number
          readonly frame_blake3_hex: string
        }
    )
  >
  readonly decode_only: ReadonlyArray<{
    readonly title: string
    readonly data_hex: string
    readonly payload_hex: string
    readonly flags: number
    readonly bytes_consumed: number
  }>
  readonly rejects: ReadonlyArray<
    { readonly id: string } & (
      | { readonly op: "encode"; readonly flags: number; readonly payload_hex?: string; readonly payload_len?: number }
      | { readonly op: "decode"; readonly data_hex: string }
    )
  >
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`./vectors/${name}`, import.meta.url), "utf8"))

export const framing: FramingVectors = read("framing.json")

export const identity: IdentityVectors = read("contract-identity.json")

/** Random services, declared in Python and published by the released package. */
export const pythonServices: ReadonlyArray<ServiceVector> = read("python-contracts.json").services
