import { type DirectSend, type SendStream, StreamClosed, StreamError } from "@aster-effect/iroh/BiStream"
import { errorCode } from "@aster-effect/iroh/Binding"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { NativeEndpoint } from "./addon.ts"

/** With more than this queued in the addon a writer waits: `WRITE_MARK` in `stream.rs`. */
const mark = 48 * 1024
/** What is queued at once of a long write. */
const piece = 256 * 1024

interface Write {
  bytes: Uint8Array
  offset: number
  /** How it ended. */
  exit: Exit.Exit<void, StreamError> | undefined
  resume: (exit: Exit.Exit<void, StreamError>) => void
}

const ignore = (): void => {}
const nothing = new Uint8Array(0)

const settle = (write: Write, exit: Exit.Exit<void, StreamError>): void => {
  const { resume } = write
  write.bytes = nothing
  write.exit = exit
  write.resume = ignore
  resume(exit)
}

/** Made once: every stream ends, and an error costs more than the rest of its end. */
const closed = Exit.fail(new StreamError({ reason: new StreamClosed() }))

/** The sending half of a stream: what is written goes to the addon at once, while that has room. */
export class NativeSend implements SendStream, DirectSend {
  readonly #native: NativeEndpoint
  readonly #id: number
  readonly #over: () => void
  readonly #lost: () => StreamError["reason"] | undefined
  /** The write that the addon has not taken as a whole, or that waits for room. */
  #current: Write | undefined
  #queue: Array<Write> = []
  #finishing = false
  /** What further writes answer. */
  #ended: Exit.Exit<never, StreamError> | undefined
  /** Whether no further event of this half is wanted. */
  isOver = false

  /** `over` is called when no further event of this half is wanted; `lost` says why the connection is gone. */
  constructor(native: NativeEndpoint, id: number, over: () => void, lost: () => StreamError["reason"] | undefined) {
    this.#native = native
    this.#id = id
    this.#over = over
    this.#lost = lost
  }

  get direct(): DirectSend {
    return this
  }

  tryWrite(bytes: Uint8Array): boolean {
    if (this.#ended !== undefined || this.#current !== undefined || this.#lost() !== undefined) return false
    if (bytes.length > piece) return false
    if (bytes.length === 0) return true
    const queued = this.#native.write(this.#id, bytes)
    // Nobody sends any more: the event that says why is on its way.
    if (queued < 0) return false
    // The next writer waits.
    if (queued > mark) this.#current = { bytes: nothing, offset: 0, exit: undefined, resume: ignore }
    return true
  }

  flush(): void {
    this.#native.flush()
  }

  write(bytes: Uint8Array): Effect.Effect<void, StreamError> {
    return Effect.suspend(() => {
      if (this.#ended !== undefined) return this.#ended
      const lost = this.#lost()
      if (lost !== undefined) return Effect.fail(new StreamError({ reason: lost }))
      if (bytes.length === 0) return Exit.void
      const write: Write = { bytes, offset: 0, exit: undefined, resume: ignore }
      if (this.#current === undefined) {
        if (this.#push(write)) return Exit.void
        this.#current = write
      }
      return Effect.callback((resume) => {
        if (write.exit !== undefined) return resume(write.exit)
        write.resume = resume
        if (this.#current !== write) this.#queue.push(write)
        if (this.#current === undefined) this.drained()
        return Effect.sync(() => this.#leave(write))
      })
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
      this.#native.reset(this.#id, errorCode(code))
      this.#abandon(closed)
    })
  }

  /** The addon has room again. */
  drained(): void {
    let write = (this.#current ??= this.#queue.shift())
    while (write !== undefined) {
      if (write.offset < write.bytes.length && !this.#push(write)) return
      const next = this.#queue.shift()
      this.#current = next
      // The writer may go on at once, and write again.
      settle(write, Exit.void)
      write = next
    }
    if (this.#finishing && this.#current === undefined && !this.isOver) this.#sendFin()
  }

  /** The peer reads no further, or the connection is gone. */
  failed(reason: StreamError["reason"]): void {
    if (this.#ended === undefined || this.#current !== undefined) this.#abandon(Exit.fail(new StreamError({ reason })))
    else this.#end()
  }

  /** Queues what there is room for. Answers whether that was all, with room left. */
  #push(write: Write): boolean {
    const { bytes } = write
    while (write.offset < bytes.length) {
      const end = Math.min(bytes.length, write.offset + piece)
      const queued = this.#native.write(
        this.#id,
        end - write.offset === bytes.length ? bytes : bytes.subarray(write.offset, end)
      )
      // Nobody sends any more: the event that says why is on its way.
      if (queued < 0) return false
      write.offset = end
      if (queued > mark) return false
    }
    return true
  }

  #sendFin(): void {
    this.#native.finish(this.#id)
    this.#end()
  }

  #abandon(exit: Exit.Exit<never, StreamError>): void {
    const writes = this.#current === undefined ? this.#queue : [this.#current, ...this.#queue]
    this.#ended = exit
    this.#finishing = false
    this.#current = undefined
    this.#queue = []
    for (const write of writes) settle(write, exit)
    this.#end()
  }

  #end(): void {
    if (this.isOver) return
    this.isOver = true
    this.#over()
  }

  /** The writer was interrupted. A write under way goes on, or the peer would get half a message. */
  #leave(write: Write): void {
    write.resume = ignore
    const index = this.#queue.indexOf(write)
    if (index >= 0) this.#queue.splice(index, 1)
  }
}
