/** The published native addon of release 0.1.2, which the tests compare with, and reproducible randomness for them. */
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

/** Seeded, so that a failing run can be repeated. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer from 0 up to `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.below(items.length)]!
  }

  list<A>(limit: number, make: () => A): ReadonlyArray<A> {
    return Array.from({ length: this.below(limit + 1) }, make)
  }

  /** A double with any bit pattern that is a finite number. */
  double(): number {
    const view = new DataView(new ArrayBuffer(8))
    view.setUint32(0, this.below(2 ** 32))
    view.setUint32(4, this.below(2 ** 32))
    const value = view.getFloat64(0)
    return Number.isFinite(value) ? value : this.double()
  }
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
