import { type CallChannel, ChannelError, type DirectBytes } from "@aster-effect/core/wire/CallChannel"
import * as Effect from "effect/Effect"

const gone = new ChannelError({ reason: "Reset", detail: "the other side gave up the call" })

/** Chunks that may wait before a sender has to. */
const CAPACITY = 64

/** One direction: what was sent is told in a later turn, as a network does. */
class Pipe {
  readonly #chunks: Array<Uint8Array> = []
  #over: DirectBytes["over"]
  #readable: (() => void) | undefined
  #writable: Array<() => void> = []

  get over(): DirectBytes["over"] {
    return this.#chunks.length > 0 ? undefined : this.#over
  }

  poll(): Uint8Array | undefined {
    const chunk = this.#chunks.shift()
    for (const resume of this.#writable.splice(0)) resume()
    return chunk
  }

  put(bytes: Uint8Array): boolean {
    if (this.#over !== undefined || this.#chunks.length >= CAPACITY) return false
    this.#chunks.push(Uint8Array.from(bytes))
    this.#tell()
    return true
  }

  end(over: DirectBytes["over"]): void {
    if (this.#over !== undefined) return
    this.#over = over
    if (over !== "finished") this.#chunks.length = 0
    for (const resume of this.#writable.splice(0)) resume()
    this.#tell()
  }

  listen(readable: (() => void) | undefined): void {
    this.#readable = readable
  }

  readonly take: Effect.Effect<Uint8Array | undefined, ChannelError> = Effect.suspend(() => {
    const chunk = this.poll()
    if (chunk !== undefined) return Effect.succeed(chunk)
    if (this.#over !== undefined) return this.#over === "finished" ? Effect.undefined : Effect.fail(this.#over)
    return Effect.andThen(
      Effect.callback<void>((resume) => {
        this.listen(() => {
          this.listen(undefined)
          resume(Effect.void)
        })
        return Effect.sync(() => this.listen(undefined))
      }),
      this.take
    )
  })

  offer(bytes: Uint8Array): Effect.Effect<void, ChannelError> {
    return Effect.suspend(() => {
      if (this.put(bytes)) return Effect.void
      if (this.#over !== undefined) return Effect.fail(gone)
      const room = Effect.callback<void>((resume) => {
        this.#writable.push(() => resume(Effect.void))
      })
      return Effect.andThen(room, this.offer(bytes))
    })
  }

  #tell(): void {
    queueMicrotask(() => this.#readable?.())
  }
}

/** The two ends of a channel in memory that takes and brings bytes without effects, until it is full. */
export const directPair = (): readonly [CallChannel, CallChannel] => {
  const there = new Pipe()
  const back = new Pipe()
  return [end(back, there), end(there, back)]
}

const end = (incoming: Pipe, outgoing: Pipe): CallChannel => ({
  receive: incoming.take,
  send: (bytes) => outgoing.offer(bytes),
  finish: Effect.sync(() => outgoing.end("finished")),
  abort: Effect.sync(() => {
    outgoing.end(gone)
    incoming.end(gone)
  }),
  release: Effect.sync(() => {
    outgoing.end("finished")
    incoming.end(gone)
  }),
  direct: () => ({
    poll: () => incoming.poll(),
    get over() {
      return incoming.over
    },
    trySend: (bytes) => outgoing.put(bytes),
    listen: (readable) => incoming.listen(readable),
    flush: () => {}
  })
})
