import { type DirectRecv, type RecvStream, StreamClosed, StreamError } from "@aster-effect/iroh/BiStream"
import { errorCode } from "@aster-effect/iroh/Binding"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { NativeEndpoint } from "./addon.ts"

/** Unread bytes of a stream outside of the transport: less makes it wait for JavaScript. */
export const window = 512 * 1024
/** After so many were read the addon is told, so that it never runs dry. */
const creditStep = window / 4
const defaultLimit = 16 * 1024
const maxLimit = 64 * 1024

const pieceSize = 4 * maxLimit
/** For those who bring no room: what they take in turn shares a piece of memory, as what the addon brings does. */
let piece = new Uint8Array(0)
let pieceUsed = 0

type End = Exit.Exit<undefined, StreamError>

interface Reader {
  readonly limit: number
  readonly room: Uint8Array | undefined
  readonly resume: (exit: Exit.Exit<Uint8Array | undefined, StreamError>) => void
}

const finished: End = Exit.succeed(undefined)
/** Made once: every stream ends, and an error costs more than the rest of its end. */
const closedError = new StreamError({ reason: new StreamClosed() })
const closed: End = Exit.fail(closedError)

/** The receiving half of a stream: readers are served one after the other from what the addon has brought. */
export class NativeRecv implements RecvStream, DirectRecv {
  readonly #native: NativeEndpoint
  readonly #id: number
  readonly #over: () => void
  #chunks: Array<Uint8Array> = []
  #end: End | undefined
  /** Why it ended, if not by the peer's finish. */
  #failure: StreamError | undefined
  /** Whether the end is ours: stopped or discarded. */
  #closed = false
  #readers: Array<Reader> = []
  #listener: (() => void) | undefined
  /** Bytes read that the addon was not told of. */
  #read = 0
  /** Whether bytes wait in the addon to be taken, and may do so now. */
  #keeps = false
  #filled = false

  /** `over` is called when no further event of this half is wanted. */
  constructor(native: NativeEndpoint, id: number, over: () => void) {
    this.#native = native
    this.#id = id
    this.#over = over
  }

  get isOver(): boolean {
    return this.#end !== undefined
  }

  read(maxBytes?: number, room?: Uint8Array): Effect.Effect<Uint8Array | undefined, StreamError> {
    return Effect.suspend(() => {
      const wanted = maxBytes ?? (room === undefined ? defaultLimit : maxLimit)
      const limit = Math.max(1, Math.min(maxLimit, Math.trunc(wanted) || 1, room?.length || maxLimit))
      if (room !== undefined && !this.#keeps && this.#end === undefined) {
        this.#keeps = true
        this.#native.keep?.(this.#id)
      }
      if (this.#readers.length === 0) {
        const ready = this.#take(limit, room)
        if (ready !== undefined) return ready
      }
      return Effect.callback((resume) => {
        const reader: Reader = { limit, room, resume }
        this.#readers.push(reader)
        this.#serve()
        return Effect.sync(() => {
          const index = this.#readers.indexOf(reader)
          if (index >= 0) this.#readers.splice(index, 1)
        })
      })
    })
  }

  get direct(): DirectRecv {
    return this
  }

  poll(maxBytes: number = maxLimit): Uint8Array | undefined {
    if (this.#readers.length > 0) return undefined
    const taken = this.#next(maxBytes) ?? this.#fill(maxBytes, undefined)
    if (taken !== undefined) this.#count(taken)
    return taken
  }

  get over(): "finished" | StreamError | undefined {
    if (this.#end === undefined || this.#chunks.length > 0) return undefined
    return this.#failure ?? "finished"
  }

  listen(readable: (() => void) | undefined): void {
    this.#listener = readable
  }

  stop(code: number): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#closed) return
      this.#native.stop(this.#id, errorCode(code))
      this.#close()
    })
  }

  get discard(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#closed || this.#end !== undefined) return
      this.#native.discard(this.#id)
      this.#close()
    })
  }

  /** `bytes` have come, in a piece of memory that they may share with others. */
  arrived(bytes: Uint8Array): void {
    if (this.#closed) return
    const waits = this.#readers.length === 0 || this.#chunks.length > 0
    // What waits to be read keeps no more memory than a few times its own.
    this.#chunks.push(waits && bytes.length * 8 < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes)
    this.#serve()
  }

  /** Bytes wait in the addon. */
  filled(): void {
    if (this.#closed) return
    this.#filled = true
    this.#serve()
  }

  /** The peer has finished, or nothing comes any more for the reason given. */
  ended(reason: StreamError["reason"] | undefined): void {
    if (this.#end !== undefined) return
    if (reason !== undefined) this.#failure = new StreamError({ reason })
    this.#end = this.#failure === undefined ? finished : Exit.fail(this.#failure)
    this.#over()
    this.#serve()
  }

  #take(limit: number, room: Uint8Array | undefined): Exit.Exit<Uint8Array | undefined, StreamError> | undefined {
    const taken = this.#next(limit) ?? this.#fill(limit, room)
    if (taken === undefined) return this.#end
    this.#count(taken)
    return Exit.succeed(taken)
  }

  #count(taken: Uint8Array): void {
    this.#read += taken.length
    if (this.#read < creditStep || this.#end !== undefined) return
    this.#native.consumed(this.#id, this.#read)
    this.#read = 0
  }

  #next(limit: number): Uint8Array | undefined {
    const bytes = this.#chunks[0]
    if (bytes === undefined) return undefined
    if (bytes.length <= limit) this.#chunks.shift()
    else this.#chunks[0] = bytes.subarray(limit)
    return bytes.length <= limit ? bytes : bytes.subarray(0, limit)
  }

  #fill(limit: number, room: Uint8Array | undefined): Uint8Array | undefined {
    if (!this.#filled) return undefined
    if (room === undefined && pieceUsed + limit > piece.length) {
      piece = new Uint8Array(Buffer.allocUnsafeSlow(pieceSize).buffer)
      pieceUsed = 0
    }
    const into = room === undefined ? piece.subarray(pieceUsed, pieceUsed + limit) : room.subarray(0, limit)
    const count = this.#native.take(this.#id, into)
    // With less than there was room for all is taken, and what comes next is told.
    this.#filled = count === limit
    if (room === undefined) pieceUsed += count
    return count === 0 ? undefined : into.subarray(0, count)
  }

  #serve(): void {
    for (let reader = this.#readers[0]; reader !== undefined; reader = this.#readers[0]) {
      const exit = this.#take(reader.limit, reader.room)
      if (exit === undefined) return
      this.#readers.shift()
      reader.resume(exit)
    }
    this.#listener?.()
  }

  #close(): void {
    this.#closed = true
    this.#filled = false
    this.#chunks = []
    const over = this.#end === undefined
    this.#end = closed
    this.#failure = closedError
    // Asked then whether this half is over, it has to say so.
    if (over) this.#over()
    this.#serve()
  }
}
