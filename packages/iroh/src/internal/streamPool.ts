import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ConnectionLost } from "../Connection.ts"

/** How many requests should be under way, given who waits and what lies ready. */
export type Policy = (waiting: number, ready: number) => number

/** Waiting takers decide; nothing is asked for ahead of them. */
export const onDemand: Policy = (waiting) => (waiting > 0 ? 1 : 0)

/** `count` are asked for or lie ready at any time. */
export const ahead =
  (count: number): Policy =>
  (_waiting, ready) =>
    count - ready

/**
 * One request for each taker and, while none waits, one after the other until `count` lie ready. Asking one by one
 * keeps what lies ready in the order in which the transport numbers it.
 */
export const aheadInOrder =
  (count: number): Policy =>
  (waiting, ready) =>
    waiting > 0 ? waiting : ready < count ? 1 : 0

interface Taker<A> {
  readonly resume: (exit: Exit.Exit<A, ConnectionLost>) => void
}

/**
 * Hands out what a transport answers to repeated requests. Requests cannot be called back: the answer to one whose
 * taker has left is kept for the next taker. The first failure is final.
 */
export class StreamPool<A> {
  readonly #request: () => Promise<A>
  readonly #policy: Policy
  readonly #lost: () => ConnectionLost | undefined
  #pending = 0
  #ready: Array<A> = []
  #takers: Array<Taker<A>> = []
  #failure: Exit.Exit<never, ConnectionLost> | undefined

  /** `lost` says why there is nothing to be had any more, once that is so. */
  constructor(request: () => Promise<A>, policy: Policy, lost: () => ConnectionLost | undefined) {
    this.#request = request
    this.#policy = policy
    this.#lost = lost
  }

  readonly take: Effect.Effect<A, ConnectionLost> = Effect.callback((resume) => {
    if (this.#ready.length > 0 && this.#lost() !== undefined) this.#fail()
    if (this.#failure !== undefined) return resume(this.#failure)
    const taker = { resume }
    this.#takers.push(taker)
    this.#serve()
    return Effect.sync(() => {
      const index = this.#takers.indexOf(taker)
      if (index >= 0) this.#takers.splice(index, 1)
    })
  })

  #serve(): void {
    while (this.#takers.length > 0 && this.#ready.length > 0) {
      this.#takers.shift()!.resume(Exit.succeed(this.#ready.shift()!))
    }
    while (this.#failure === undefined && this.#pending < this.#policy(this.#takers.length, this.#ready.length)) {
      this.#pending++
      this.#request().then(
        (answer) => {
          this.#pending--
          this.#ready.push(answer)
          this.#serve()
        },
        () => this.#fail()
      )
    }
  }

  #fail(): void {
    if (this.#failure !== undefined) return
    const refused = { _tag: "Transport", detail: "the transport refused a stream" } as const
    this.#failure = Exit.fail(this.#lost() ?? new ConnectionLost({ reason: refused }))
    this.#ready = []
    const takers = this.#takers
    this.#takers = []
    for (const taker of takers) taker.resume(this.#failure)
  }
}
