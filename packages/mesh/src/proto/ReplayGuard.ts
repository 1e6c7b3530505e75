/** Messages that came before (Aster admission, producer mesh, receiving). Never forgets one that could be taken again. */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { MeshMessage } from "../MeshMessage.ts"

/** What the guard says: new and noted, seen before, or more than is kept of one sender or of all. */
export type Verdict = "new" | "replayed" | "excess"

/** Messages of one sender, and of all, that are remembered at a time. */
const MAX_PER_SENDER = 256
const MAX_ALL = 32_768

export class ReplayGuard {
  readonly #window: number
  readonly #senders = new Map<EndpointId, Map<string, number>>()
  #size = 0

  /** @param window how old, or how early, a message may be, in milliseconds */
  constructor(window: number) {
    this.#window = window
  }

  get size(): number {
    return this.#size
  }

  /** Whether the message is one that this has not seen; it must be signed, or anybody could fill a sender's room. */
  check(now: number, { epochMs, sender, signature, type }: MeshMessage): Verdict {
    const key = `${type} ${epochMs} ${Buffer.from(signature.buffer, signature.byteOffset, 12).toString("base64")}`
    const seen = this.#senders.get(sender) ?? new Map<string, number>()
    if (seen.has(key)) return "replayed"
    if (seen.size >= MAX_PER_SENDER || this.#size >= MAX_ALL) this.#expire(now, sender)
    if (seen.size >= MAX_PER_SENDER || this.#size >= MAX_ALL) return "excess"
    // It may come again for as long as its time is within the window, which is at most two windows from now.
    seen.set(key, now + 2 * this.#window)
    this.#senders.set(sender, seen)
    this.#size++
    return "new"
  }

  /** Forgets what would be refused for its age. */
  expire(now: number): void {
    for (const sender of this.#senders.keys()) this.#expire(now, sender)
  }

  #expire(now: number, sender: EndpointId): void {
    const seen = this.#senders.get(sender)
    if (seen === undefined) return
    for (const [key, until] of seen) {
      if (until > now) break
      seen.delete(key)
      this.#size--
    }
    if (seen.size === 0) this.#senders.delete(sender)
  }
}
