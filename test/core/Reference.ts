/** The published native addon of release 0.1.2, which the tests compare with. */
import { createRequire } from "node:module"
import type { StructureName } from "@aster-effect/core/contract/ContractIdentity"

export interface ReferenceAddon {
  /** Throws when it refuses the text. */
  canonicalBytesFromJson(type: StructureName, json: string): Uint8Array
  /** Hex. */
  computeContractIdFromJson(json: string): string
  encodeFrameNative(payload: Uint8Array, flags: number): Uint8Array
}

export const reference: ReferenceAddon = createRequire(import.meta.url)("@aster-rpc/transport")

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
