import { StreamClosed, StreamError, StreamReset, StreamStopped } from "../BiStream.ts"
import type { RawRecv, RawSend } from "./binding.ts"

/** Carries what one side does to the other, in order. */
export type Link = (deliver: () => void) => void

/** What a half needs from the connection it belongs to. */
export interface Owner {
  readonly link: Link
  /** Set once the connection is closed. */
  readonly lost: () => StreamError | undefined
  /** Bytes have come from the other side. */
  readonly arrived: (bytes: number) => void
  /** The half has ended; called once. */
  readonly ended: (half: MemorySend | MemoryRecv) => void
}

interface PendingWrite {
  readonly bytes: Uint8Array
  offset: number
  readonly resolve: () => void
  readonly reject: (error: StreamError) => void
}

interface PendingRead {
  readonly limit: number
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (error: StreamError) => void
}

const closed = () => new StreamError({ reason: new StreamClosed() })
const nothing = new Uint8Array(0)

/** The sending half of an in-memory stream: may be `window` bytes ahead of the reader. */
export class MemorySend implements RawSend {
  readonly #owner: Owner
  /** The other end; also told what the peer should see first. */
  readonly #peer: MemoryRecv
  #credit: number
  #pending: PendingWrite | undefined
  #failure: StreamError | undefined
  #stopCode: number | undefined
  #finished = false
  #ended = false

  constructor(owner: Owner, peer: MemoryRecv, window: number) {
    this.#owner = owner
    this.#peer = peer
    this.#credit = window
  }

  writeAll(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const failure = this.#owner.lost() ?? this.#failure
      if (failure !== undefined) return reject(failure)
      this.#pending = { bytes, offset: 0, resolve, reject }
      this.#flush()
    })
  }

  async finish(): Promise<void> {
    if (this.#stopCode !== undefined) return this.reset(this.#stopCode)
    const failure = this.#owner.lost() ?? this.#failure
    if (failure !== undefined) throw failure
    this.#end()
    this.#finished = true
    this.#owner.link(() => this.#peer.onFinish())
  }

  async reset(code: number): Promise<void> {
    if (this.#finished && this.#peer.complete) throw closed()
    this.#end()
    this.#owner.link(() => this.#peer.onReset(code))
  }

  onCredit(bytes: number): void {
    this.#credit += bytes
    this.#flush()
  }

  onStop(code: number): void {
    this.#stopCode = code
    this.#fail(new StreamError({ reason: new StreamStopped({ code }) }))
  }

  onLost(error: StreamError): void {
    this.#fail(error)
  }

  #flush(): void {
    const write = this.#pending
    if (write === undefined) return
    const length = Math.min(this.#credit, write.bytes.length - write.offset)
    if (length > 0) {
      const piece = new Uint8Array(write.bytes.subarray(write.offset, write.offset + length))
      this.#credit -= length
      write.offset += length
      this.#owner.link(() => this.#peer.onData(piece))
    }
    if (write.offset < write.bytes.length) return
    this.#pending = undefined
    write.resolve()
  }

  #end(): void {
    this.#fail(closed())
    if (!this.#ended) this.#owner.ended(this)
    this.#ended = true
  }

  #fail(error: StreamError): void {
    this.#failure ??= error
    this.#pending?.reject(error)
    this.#pending = undefined
  }
}

/** The receiving half of an in-memory stream. */
export class MemoryRecv implements RawRecv {
  /** The other end, set right after construction. */
  peer: MemorySend | undefined
  readonly #owner: Owner
  #chunks: Array<Uint8Array> = []
  #finish = false
  #reset: StreamError | undefined
  #stopped = false
  #pending: PendingRead | undefined
  #ended = false

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /** Everything has arrived: a reset comes too late. */
  get complete(): boolean {
    return this.#finish
  }

  read(limit: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#pending = { limit, resolve, reject }
      this.#serve()
    })
  }

  async stop(code: number): Promise<void> {
    if (this.#ended || this.#stopped) throw closed()
    this.#stopped = true
    this.#chunks = []
    this.#serve()
    if (this.#finish || this.#reset !== undefined) this.#end()
    this.#owner.link(() => this.peer?.onStop(code))
  }

  onData(bytes: Uint8Array): void {
    this.#owner.arrived(bytes.length)
    if (this.#stopped) return
    this.#chunks.push(bytes)
    this.#serve()
  }

  onFinish(): void {
    this.#finish = true
    if (this.#stopped) this.#end()
    this.#serve()
  }

  onReset(code: number): void {
    if (this.#finish) return
    if (this.#stopped) this.#end()
    this.#chunks = []
    this.#reset = new StreamError({ reason: new StreamReset({ code }) })
    this.#serve()
  }

  onLost(error: StreamError): void {
    this.#pending?.reject(error)
    this.#pending = undefined
  }

  #serve(): void {
    const read = this.#pending
    if (read === undefined) return
    const chunk = this.#chunks[0]
    const lost = this.#owner.lost()
    if (this.#stopped) {
      read.resolve(nothing)
    } else if (this.#reset !== undefined) {
      this.#end()
      read.reject(this.#reset)
    } else if (chunk !== undefined) {
      const bytes = chunk.subarray(0, read.limit)
      if (bytes.length === chunk.length) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(bytes.length)
      this.#owner.link(() => this.peer?.onCredit(bytes.length))
      read.resolve(bytes)
    } else if (this.#finish) {
      this.#end()
      read.resolve(nothing)
    } else if (lost !== undefined) {
      read.reject(lost)
    } else {
      return
    }
    this.#pending = undefined
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#owner.ended(this)
  }
}
