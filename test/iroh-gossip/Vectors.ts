/** Exchanges recorded with the reference, version 0.97 and 0.101, and what is needed to use them. */
import { readFileSync } from "node:fs"

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
export const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"))

export interface Step {
  readonly from: string
  readonly kind: string
  readonly payload?: string
  readonly wire?: string
  readonly note?: string
}
interface Vectors {
  readonly topic: string
  readonly messageIds: ReadonlyArray<{ readonly content: string; readonly id: string }>
  readonly peerData: ReadonlyArray<{
    readonly hex: string
    readonly decoded?: { readonly relay: string | null; readonly addrs: ReadonlyArray<string> }
  }>
  readonly encodings: ReadonlyArray<{ readonly name: string; readonly payload: string }>
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`vectors/${name}.json`, import.meta.url), "utf8"))

export const vectors = read("iroh-gossip") as Vectors

/** Every step of every transcript, wherever it stands. */
const stepsIn = (value: unknown): Array<Step> => {
  if (Array.isArray(value)) return value.flatMap(stepsIn)
  if (typeof value !== "object" || value === null) return []
  if ("kind" in value && "from" in value) return [value as Step]
  return Object.values(value).flatMap(stepsIn)
}
export const steps: ReadonlyArray<Step> = [vectors, read("iroh-gossip-1x")].flatMap(stepsIn)
