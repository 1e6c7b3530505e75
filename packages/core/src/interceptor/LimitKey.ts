/**
 * What a limit counts together.
 *
 * @since 0.1.0
 */
import type { Call } from "./CallContext.ts"

/**
 * `all`: every call; `service`: calls of one service; `method`: of one method; `peer`: of one caller. A function names
 * any other group, for example a tenant from the call's attributes.
 *
 * @since 0.1.0
 */
export type LimitKey = "all" | "service" | "method" | "peer" | ((call: Call) => string)

/** The group that a call belongs to. @since 0.1.0 */
export const keyOf = (per: LimitKey): ((call: Call) => string) => {
  switch (per) {
    case "all":
      return () => ""
    case "service":
      return ({ service, version }) => `${version} ${service}`
    case "method":
      return ({ method, service, version }) => `${version} ${service} ${method}`
    case "peer":
      return ({ peer }) => peer
    default:
      return per
  }
}

/** How many groups are remembered at a time; the one that was not used for longest is forgotten first. @since 0.1.0 */
export const MAX_KEYS = 16_384

/** What is kept per group, for at most `MAX_KEYS` of them. @since 0.1.0 */
export class PerKey<A> {
  readonly #make: () => A
  readonly #isIdle: (value: A) => boolean
  readonly #values = new Map<string, A>()

  /** @param isIdle whether a group may be forgotten: nothing depends on what is kept of it now */
  constructor(make: () => A, isIdle: (value: A) => boolean = () => true) {
    this.#make = make
    this.#isIdle = isIdle
  }

  get size(): number {
    return this.#values.size
  }

  get(key: string): A {
    const known = this.#values.get(key)
    const value = known ?? this.#make()
    // The order of a Map is that of insertion: what was used last stands last.
    if (known !== undefined) this.#values.delete(key)
    else if (this.#values.size >= MAX_KEYS) this.#forgetOne()
    this.#values.set(key, value)
    return value
  }

  #forgetOne(): void {
    for (const [key, value] of this.#values) {
      if (!this.#isIdle(value)) continue
      this.#values.delete(key)
      return
    }
  }
}
