import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type SendStream, StreamClosed, StreamError } from "../BiStream.ts"
import type { RawConnection, RawSend } from "./binding.ts"
import { errorCode } from "../Binding.ts"

/** One write of this size keeps the event loop for about a millisecond where bytes cross as numbers. */
const chunkSize = 16 * 1024

interface Write {
  bytes: Uint8Array
  offset: number
  resume: (exit: Exit.Exit<void, StreamError>) => void
}

const ignore = (): void => {}
const nothing = new Uint8Array(0)
/** Made once: every stream ends, and an error costs more than the rest of its end. */
const closed = Exit.fail(new StreamError({ reason: new StreamClosed() }))

/**
 * Puts the writes of a half one after the other, each in chunks of which one is under way. The transport neither keeps
 * the order of overlapping calls nor lets a reset pass a write, so both are settled here.
 */
export class SendHalf implements SendStream {
  /** Keeps the other half of a pair from being collected, which the peer would see as an end. */
  other: unknown
  readonly #raw: RawSend
  readonly #connection: RawConnection
  #current: Write | undefined
  #queue: Array<Write> = []
  #finishing = false
  /** What further writes answer. */
  #ended: Exit.Exit<never, StreamError> | undefined

  constructor(raw: RawSend, connection: RawConnection) {
    this.#raw = raw
    this.#connection = connection
  }

  write(bytes: Uint8Array): Effect.Effect<void, StreamError> {
    return Effect.callback((resume) => {
      if (this.#ended !== undefined) return resume(this.#ended)
      if (bytes.length === 0) return resume(Exit.void)
      const write: Write = { bytes, offset: 0, resume }
      if (this.#current === undefined) this.#start(write)
      else this.#queue.push(write)
      return Effect.sync(() => this.#leave(write))
    })
  }

  get finish(): Effect.Effect<void, StreamError> {
    return Effect.suspend(() => {
      if (this.#ended !== undefined) return this.#finishing ? Effect.void : this.#ended
      this.#finishing = true
      this.#ended = closed
      if (this.#current === undefined) this.#sendFin()
      return Effect.void
    })
  }

  reset(code: number): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#ended !== undefined && !this.#finishing) return
      this.#abandon(closed)
      this.#raw.reset(errorCode(code)).then(ignore, ignore)
    })
  }

  #start(write: Write): void {
    this.#current = write
    const { bytes, offset } = write
    const end = offset + chunkSize
    const chunk = offset === 0 && bytes.length <= chunkSize ? bytes : bytes.subarray(offset, end)
    write.offset = end
    this.#raw.writeAll(chunk).then(
      () => this.#wrote(write),
      (cause: unknown) => this.#failed(cause)
    )
  }

  #wrote(write: Write): void {
    if (this.#current !== write) return // reset meanwhile
    if (write.offset < write.bytes.length) return this.#start(write)
    this.#current = undefined
    const next = this.#queue.shift()
    if (next !== undefined) this.#start(next)
    else if (this.#finishing) this.#sendFin()
    write.resume(Exit.void)
  }

  #failed(cause: unknown): void {
    if (this.#current === undefined) return
    const error = this.#connection.failure(cause)
    this.#abandon(Exit.fail(error))
    // A stopped stream stays open, and counts, until it is reset.
    if (error.reason._tag === "StreamStopped") this.#raw.reset(error.reason.code).then(ignore, ignore)
  }

  #sendFin(): void {
    this.#raw.finish().then(ignore, ignore)
  }

  #abandon(exit: Exit.Exit<never, StreamError>): void {
    const writes = this.#current === undefined ? this.#queue : [this.#current, ...this.#queue]
    this.#ended = exit
    this.#finishing = false
    this.#current = undefined
    this.#queue = []
    for (const write of writes) {
      const { resume } = write
      // The transport holds on to the write under way for as long as the peer does not read.
      write.bytes = nothing
      write.resume = ignore
      resume(exit)
    }
  }

  /** The writer was interrupted. A write under way goes on, or the peer would get half a message. */
  #leave(write: Write): void {
    write.resume = ignore
    const index = this.#queue.indexOf(write)
    if (index >= 0) this.#queue.splice(index, 1)
  }
}
