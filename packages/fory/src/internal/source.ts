/**
 * Source text of generated functions. Values from outside enter as bound parameters or, for names, as JSON string
 * literals, so that nothing in a descriptor can become code.
 */
export class Source {
  readonly #names: Array<string> = []
  readonly #values: Array<unknown> = []

  /** The name under which the generated code sees `value`. */
  bind(value: unknown): string {
    const known = this.#values.indexOf(value)
    if (known >= 0) return this.#names[known]!
    const name = `k${this.#names.length}`
    this.#names.push(name)
    this.#values.push(value)
    return name
  }

  /** Runs `body`, which returns what was generated. */
  build(body: string): unknown {
    // oxlint-disable-next-line no-new-func -- straight-line code per type is what makes the codec fast
    return new Function(...this.#names, `"use strict";\n${body}`)(...this.#values)
  }
}
