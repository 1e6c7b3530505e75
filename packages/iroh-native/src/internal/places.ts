import type { ConnectionLost } from "@aster-effect/iroh/Connection"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

interface Taker<A> {
  readonly resume: (exit: Exit.Exit<A, ConnectionLost>) => void
}

/** Hands out what events bring, in order. What was asked for by somebody who has left goes to the next. */
export class Places<A> {
  /** What is there and not taken. */
  readonly #ready: Array<A> = []
  readonly #takers: Array<Taker<A>> = []
  /** How much was asked for and has not come. */
  #asked = 0
  #lost: Exit.Exit<never, ConnectionLost> | undefined
  readonly #ahead: number
  readonly #ask: (count: number) => void

  /** `ask` asks for some more, of which `ahead` may lie ready once there was a first taker. */
  constructor(ahead: number, ask: (count: number) => void) {
    this.#ahead = ahead
    this.#ask = ask
  }

  readonly take: Effect.Effect<A, ConnectionLost> = Effect.suspend(() => {
    if (this.#lost !== undefined) return this.#lost
    if (this.#takers.length === 0) {
      const ready = this.#ready.shift()
      if (ready !== undefined) {
        this.#refill()
        return Exit.succeed(ready)
      }
    }
    return Effect.callback((resume) => {
      if (this.#lost !== undefined) return resume(this.#lost)
      const taker = { resume }
      this.#takers.push(taker)
      this.#serve()
      this.#refill()
      return Effect.sync(() => {
        const index = this.#takers.indexOf(taker)
        if (index >= 0) this.#takers.splice(index, 1)
      })
    })
  })

  brought(item: A): void {
    if (this.#asked > 0) this.#asked--
    this.#ready.push(item)
    this.#serve()
    this.#refill()
  }

  /** Nothing is to be had any more. */
  lose(error: ConnectionLost): void {
    this.#lost = Exit.fail(error)
    this.#ready.length = 0
    for (const { resume } of this.#takers.splice(0)) resume(this.#lost)
  }

  #serve(): void {
    while (this.#takers.length > 0 && this.#ready.length > 0) {
      this.#takers.shift()!.resume(Exit.succeed(this.#ready.shift()!))
    }
  }

  #refill(): void {
    const missing = Math.max(this.#ahead, this.#takers.length) - this.#ready.length - this.#asked
    if (missing <= 0 || this.#lost !== undefined) return
    this.#asked += missing
    this.#ask(missing)
  }
}
