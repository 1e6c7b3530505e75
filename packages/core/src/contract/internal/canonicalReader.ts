/** Reads the canonical encoding of types, which release 0.1.2 publishes beside a contract. */
import { bytesToHex } from "@noble/hashes/utils.js"
import { ContractError } from "../ContractError.ts"

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const LIST_MARK = 0x0c

/** Every method throws a `ContractError` for what the encoding does not produce. */
export class CanonicalReader {
  readonly #bytes: Uint8Array
  #position = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  fail(problem: string): ContractError {
    return new ContractError("", `no canonical type at byte ${this.#position}: ${problem}`)
  }

  end(): void {
    if (this.#position !== this.#bytes.length) throw this.fail("bytes follow the type")
  }

  #take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#position) throw this.fail("it ends early")
    this.#position += count
    return this.#bytes.subarray(this.#position - count, this.#position)
  }

  unsigned(): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#take(1)[0]!
      value += (byte & 0x7f) * scale
      if (value > 0xffffffff) throw this.fail("a number is too large")
      if (byte < 0x80) return value
    }
  }

  int32(): number {
    const value = this.unsigned()
    return (value >>> 1) ^ -(value & 1)
  }

  boolean(): boolean {
    const value = this.unsigned()
    if (value > 1) throw this.fail("a boolean is 0 or 1")
    return value === 1
  }

  choice<A>(choices: ReadonlyArray<A>): A {
    const value = choices[this.unsigned()]
    if (value === undefined) throw this.fail("a number names no choice")
    return value
  }

  string(): string {
    const header = this.unsigned()
    if (header % 4 !== 2) throw this.fail("a text has another header")
    const bytes = this.#take((header - 2) / 4)
    try {
      return utf8.decode(bytes)
    } catch {
      throw this.fail("a text is not UTF-8")
    }
  }

  hex(): string {
    return bytesToHex(this.#take(this.unsigned()))
  }

  list<A>(read: () => A): ReadonlyArray<A> {
    const count = this.unsigned()
    if (this.unsigned() !== LIST_MARK) throw this.fail("a list has another mark")
    if (count > this.#bytes.length - this.#position) throw this.fail("a list is longer than what follows")
    return Array.from({ length: count }, read)
  }
}
