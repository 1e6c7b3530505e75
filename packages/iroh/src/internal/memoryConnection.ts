import { StreamError } from "../BiStream.ts"
import { type CloseReason, ConnectionLost } from "../Connection.ts"
import type { EndpointId } from "../EndpointId.ts"
import type { RawBi, RawConnection, RawRecv, RawSend } from "./binding.ts"
import { type Link, MemoryRecv, MemorySend, type Owner } from "./memoryStream.ts"

/** What every connection of a network has in common. */
export interface Limits {
  /** Bytes a stream may be ahead of its reader. */
  readonly window: number
  /** Streams of one kind that one side may have open. */
  readonly streams: number
}

interface Waiting<A> {
  readonly resolve: (answer: A) => void
  readonly reject: (error: unknown) => void
}

/** Answers meeting those who wait for one. */
class Handoff<A> {
  readonly #ready: Array<A> = []
  #waiting: Array<Waiting<A>> = []

  put(answer: A): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#ready.push(answer)
    else waiting.resolve(answer)
  }

  take(): Promise<A> {
    if (this.#ready.length > 0) return Promise.resolve(this.#ready.shift()!)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  fail(error: unknown): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(error)
  }
}

/** The streams of one kind that one side opens and the other accepts. */
class Streams<A> {
  readonly #arrivals = new Handoff<A>()
  /** Tokens; which is which does not matter. */
  readonly #places = new Handoff<true>()
  #hidden: Array<A> = []
  #count = 0

  constructor(places: number) {
    for (let i = 0; i < places; i++) this.#places.put(true)
  }

  readonly place = (): Promise<true> => this.#places.take()
  readonly giveBack = (): void => this.#places.put(true)
  readonly accept = (): Promise<A> => this.#arrivals.take()

  /** Adds a stream that the accepting side does not know of yet; the answer makes it and those before it known. */
  add(stream: A): () => void {
    const index = this.#count++
    this.#hidden.push(stream)
    return () => {
      const known = this.#count - this.#hidden.length
      for (const arrived of this.#hidden.splice(0, index - known + 1)) this.#arrivals.put(arrived)
    }
  }

  failOpen(error: unknown): void {
    this.#places.fail(error)
  }

  failAccept(error: unknown): void {
    this.#arrivals.fail(error)
  }
}

/** One side of an in-memory connection. */
export class MemoryConnection implements RawConnection {
  readonly remoteId: EndpointId
  readonly alpn: string
  readonly #link: Link
  readonly #limits: Limits
  readonly #onClose: () => void
  readonly #halves = new Set<MemorySend | MemoryRecv>()
  readonly #bi: Streams<RawBi>
  readonly #uni: Streams<RawRecv>
  #other: MemoryConnection | undefined
  #reason: CloseReason | undefined
  #error: StreamError | undefined
  #arrived = 0
  #closed: Array<(reason: CloseReason) => void> = []

  constructor(remoteId: EndpointId, alpn: string, link: Link, limits: Limits, onClose: () => void) {
    this.remoteId = remoteId
    this.alpn = alpn
    this.#link = link
    this.#limits = limits
    this.#onClose = onClose
    this.#bi = new Streams(limits.streams)
    this.#uni = new Streams(limits.streams)
  }

  /** Makes two sides one connection. */
  static join(a: MemoryConnection, b: MemoryConnection): void {
    a.#other = b
    b.#other = a
  }

  async openBi(): Promise<RawBi> {
    const other = await this.#admit(this.#bi)
    let live = 2
    const mine = this.#owner(() => announce())
    const theirs = other.#owner(undefined, () => --live === 0 && other.#link(this.#bi.giveBack))
    const [send, farRecv] = other.#pipe(mine, theirs)
    const [farSend, recv] = this.#pipe(theirs, mine)
    const announce = this.#bi.add({ send: farSend, recv: farRecv })
    this.#track(send, recv)
    other.#track(farSend, farRecv)
    return { send, recv }
  }

  async openUni(): Promise<RawSend> {
    const other = await this.#admit(this.#uni)
    const mine = this.#owner(() => announce())
    const theirs = other.#owner(undefined, () => other.#link(this.#uni.giveBack))
    const [send, farRecv] = other.#pipe(mine, theirs)
    const announce = this.#uni.add(farRecv)
    this.#track(send)
    other.#track(farRecv)
    return send
  }

  async acceptBi(): Promise<RawBi> {
    if (this.#error !== undefined || this.#other === undefined) throw this.#error
    return await this.#other.#bi.accept()
  }

  async acceptUni(): Promise<RawRecv> {
    if (this.#error !== undefined || this.#other === undefined) throw this.#error
    return await this.#other.#uni.accept()
  }

  close(code: number, reason: string): void {
    if (this.#reason !== undefined) return
    const other = this.#other
    this.#link(() => other?.lose({ _tag: "Peer", code, reason }))
    this.lose({ _tag: "Local", code, reason })
  }

  closed(): Promise<CloseReason> {
    if (this.#reason !== undefined) return Promise.resolve(this.#reason)
    return new Promise((resolve) => this.#closed.push(resolve))
  }

  closeReason(): CloseReason | undefined {
    return this.#reason
  }

  isClosed(): boolean {
    return this.#reason !== undefined
  }

  bytesReceived(): number {
    return this.#arrived
  }

  failure(cause: unknown): StreamError {
    if (cause instanceof StreamError) return cause
    throw cause
  }

  /** The connection is over on this side. */
  lose(reason: CloseReason): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    const error = new StreamError({ reason: new ConnectionLost({ reason }) })
    this.#error = error
    for (const half of this.#halves) half.onLost(error)
    this.#halves.clear()
    for (const streams of [this.#bi, this.#uni]) streams.failOpen(error)
    const other = this.#other
    if (other !== undefined) for (const streams of [other.#bi, other.#uni]) streams.failAccept(error)
    for (const resolve of this.#closed) resolve(reason)
    this.#closed = []
    this.#onClose()
  }

  async #admit(streams: { readonly place: () => Promise<true> }): Promise<MemoryConnection> {
    if (this.#error !== undefined) throw this.#error
    await streams.place()
    const other = this.#other
    if (this.#error !== undefined || other === undefined) throw this.#error
    return other
  }

  /** `first` runs on the other side ahead of everything that the half does; `ended` when a half of it has ended. */
  #owner(first?: () => void, ended?: () => void): Owner {
    return {
      link: (deliver) =>
        this.#link(() => {
          first?.()
          deliver()
        }),
      lost: () => this.#error,
      arrived: (bytes) => {
        this.#arrived += bytes
      },
      ended: (half) => {
        this.#halves.delete(half)
        ended?.()
      }
    }
  }

  /** A sending half of `from` and the receiving half of `to` that it ends at. */
  #pipe(from: Owner, to: Owner): [MemorySend, MemoryRecv] {
    const recv = new MemoryRecv(to)
    const send = new MemorySend(from, recv, this.#limits.window)
    recv.peer = send
    return [send, recv]
  }

  #track(...halves: ReadonlyArray<MemorySend | MemoryRecv>): void {
    for (const half of halves) this.#halves.add(half)
  }
}
