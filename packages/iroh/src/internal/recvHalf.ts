import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type RecvStream, StreamClosed, StreamError } from "../BiStream.ts"
import type { RawConnection, RawRecv } from "./binding.ts"
import { errorCode } from "../Binding.ts"

/** Costs as much per byte as bigger reads and keeps the event loop for 2 ms at most where bytes cross as numbers. */
const defaultLimit = 16 * 1024
const maxLimit = 64 * 1024
/** How much a discarded stream may still bring before it is stopped. */
const discardLimit = 64 * 1024

type End = Exit.Exit<undefined, StreamError>

interface Reader {
  readonly limit: number
  readonly resume: (exit: Exit.Exit<Uint8Array | undefined, StreamError>) => void
}

const ignore = (): void => {}
const finished: End = Exit.succeed(undefined)
/** Made once: every stream ends, and an error costs more than the rest of its end. */
const closed: End = Exit.fail(new StreamError({ reason: new StreamClosed() }))

/**
 * Serves readers one after the other from one read of the transport at a time. That read cannot be called back, so
 * what it brings after its reader has left is kept for the next one.
 */
export class RecvHalf implements RecvStream {
  /** Keeps the other half of a pair from being collected. */
  other: unknown
  readonly #raw: RawRecv
  readonly #connection: RawConnection
  #reading = false
  #bytes: Uint8Array | undefined
  #end: End | undefined
  #readers: Array<Reader> = []
  /** How much was dropped so far, while discarding. */
  #discarded: number | undefined

  constructor(raw: RawRecv, connection: RawConnection) {
    this.#raw = raw
    this.#connection = connection
  }

  read(maxBytes: number = defaultLimit, room?: Uint8Array): Effect.Effect<Uint8Array | undefined, StreamError> {
    return Effect.callback((resume) => {
      const limit = Math.max(1, Math.min(maxLimit, Math.trunc(maxBytes) || 1, room?.length || maxLimit))
      const reader: Reader = { limit, resume }
      this.#readers.push(reader)
      this.#serve()
      return Effect.sync(() => {
        const index = this.#readers.indexOf(reader)
        if (index >= 0) this.#readers.splice(index, 1)
      })
    })
  }

  stop(code: number): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#end !== undefined && this.#discarded === undefined) return
      this.#discarded = undefined
      this.#close()
      this.#raw.stop(errorCode(code)).then(ignore, ignore)
    })
  }

  get discard(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#end !== undefined) return
      this.#discarded = 0
      this.#close()
      if (!this.#reading) this.#pull(defaultLimit)
    })
  }

  /** Hands out what is there, then asks the transport for more if somebody waits. */
  #serve(): void {
    while (this.#readers.length > 0) {
      const bytes = this.#bytes
      if (bytes === undefined && this.#end === undefined) return this.#pull(this.#readers[0]!.limit)
      const { limit, resume } = this.#readers.shift()!
      if (bytes === undefined) {
        resume(this.#end!)
      } else {
        this.#bytes = bytes.length <= limit ? undefined : bytes.subarray(limit)
        resume(Exit.succeed(bytes.length <= limit ? bytes : bytes.subarray(0, limit)))
      }
    }
  }

  #pull(limit: number): void {
    if (this.#reading) return
    this.#reading = true
    this.#raw.read(limit).then(
      (bytes) => this.#arrived(bytes),
      (cause: unknown) => this.#failed(cause)
    )
  }

  #arrived(bytes: Uint8Array): void {
    this.#reading = false
    if (this.#end !== undefined) return this.#drop(bytes)
    if (bytes.length === 0) this.#end = finished
    else this.#bytes = bytes
    this.#serve()
  }

  #failed(cause: unknown): void {
    this.#reading = false
    this.#discarded = undefined
    // Asked again, the transport would call a reset stream finished.
    this.#end ??= Exit.fail(this.#connection.failure(cause))
    this.#serve()
  }

  #drop(bytes: Uint8Array): void {
    if (this.#discarded === undefined) return
    this.#discarded += bytes.length
    if (bytes.length > 0 && this.#discarded <= discardLimit) return this.#pull(defaultLimit)
    this.#discarded = undefined
    if (bytes.length > 0) this.#raw.stop(0).then(ignore, ignore)
  }

  #close(): void {
    this.#bytes = undefined
    this.#end = closed
    this.#serve()
  }
}
