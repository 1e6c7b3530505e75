/**
 * Many calls on one stream of bytes: the state of one end, without IO.
 *
 * Both directions carry frames:
 *
 * ```
 * kind     1 byte
 * call     varint, the calls of the client numbered from 1 without gaps
 * DATA     varint length, then as many bytes; the first of a call opens it
 * END      from the client: nothing more comes; from the server: the call is over
 * RESET    the sender gives the call up, in both directions
 * CREDIT   varint: so many more bytes may be sent
 * GOAWAY   call 0: the server takes no further calls
 * ```
 *
 * Varints are unsigned LEB128 of at most 32 bits. Each end of each call may have `WINDOW` bytes under way that the other
 * side has not taken; a client may have `MAX_CALLS` calls open. Frames for calls that are over are passed over: the other
 * side may not know yet. Everything else that does not fit is an error of the whole stream.
 *
 * @since 0.1.0
 */

import { smallCopy } from "@aster-effect/core/wire/SmallCopy"

/** Calls that a client may have open at a time. @since 0.1.0 */
export const MAX_CALLS = 128

/** Bytes of a call that may be under way in each direction before the receiver has taken them. @since 0.1.0 */
export const WINDOW = 256 * 1024

const DATA = 0
const END = 1
const RESET = 2
const CREDIT = 3
const GOAWAY = 4

const MAX_ID = 0xffffffff
/** Bytes of the buffer that gathers what is to be sent, at first; up to `SMALL` bytes are copied out of it. */
const ROOM = 8 * 1024
const SMALL = 1024
/** What a call that was given back may still bring. */
const MAX_DISCARDED = 64 * 1024

/** The other side breaks the rules; nothing on this stream can be relied on any more. @since 0.1.0 */
export class MultiplexError extends Error {
  override readonly name = "MultiplexError"
}

const nothing = (): void => {}

/** One end of one call. @since 0.1.0 */
export class MuxedCall {
  readonly id: number
  /** Called when there is something to take, or a failure. */
  onReadable: () => void = nothing
  /** Called when more can be sent, or never again. */
  onWritable: () => void = nothing
  /** Whether either side gave up, or the stream broke. */
  failure: "Reset" | "Lost" | undefined
  /** Whether the peer sends nothing more. */
  ended = false
  /** Bytes that may be sent now. */
  window = WINDOW
  /** @internal */
  incoming: Uint8Array | undefined
  /** Bytes at the start of `incoming`; what follows is room. @internal */
  filled = 0
  /** Bytes the peer may still send. @internal */
  allowance = WINDOW
  /** Bytes taken since the last credit. @internal */
  taken = 0
  /** Bytes dropped since the call was given back. @internal */
  discarded: number | undefined
  /** @internal */
  finished = false

  /** @internal */
  constructor(id: number) {
    this.id = id
  }
}

/**
 * One end of the stream. What is to be sent gathers until it is taken.
 *
 * @since 0.1.0
 */
export class Multiplexer {
  readonly #calls = new Map<number, MuxedCall>()
  /** Undefined at the client, where calls are opened. */
  readonly #opened: ((call: MuxedCall) => void) | undefined
  /** The last call there was. */
  #last = 0
  #refusing = false
  #rest: Uint8Array | undefined
  /** A data frame of which this much has not come yet. */
  #missing = 0
  #receiver: MuxedCall | undefined
  #out = new Uint8Array(ROOM)
  #size = 0

  /** @param opened at the server: takes a new call, whose first bytes are there */
  constructor(opened?: (call: MuxedCall) => void) {
    this.#opened = opened
  }

  /** Calls that are open. */
  get calls(): number {
    return this.#calls.size
  }

  /** A new call of the client. The server learns of it with its first bytes. */
  open(): MuxedCall | undefined {
    if (this.#refusing || this.#calls.size === MAX_CALLS || this.#last === MAX_ID) return undefined
    const call = new MuxedCall(++this.#last)
    this.#calls.set(call.id, call)
    return call
  }

  /** The server takes no further calls. */
  refuse(): void {
    if (this.#refusing) return
    this.#refusing = true
    this.#frame(GOAWAY, 0)
  }

  /** The stream is gone, and with it every call. */
  lose(): void {
    this.#refusing = true
    for (const call of this.#calls.values()) this.#close(call, "Lost")
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Sending
  // -------------------------------------------------------------------------------------------------------------------

  /** Bytes to be sent. */
  get size(): number {
    return this.#size
  }

  /** Everything to be sent, in the order it was said; not kept. */
  take(): Uint8Array {
    const bytes = this.#out.subarray(0, this.#size)
    this.#size = 0
    if (bytes.length <= SMALL) return smallCopy(bytes)
    this.#out = new Uint8Array(ROOM)
    return bytes
  }

  /**
   * Hands everything to be sent to `send`, which says whether it has taken it; those bytes are not its own afterwards.
   * Answers what it has not taken.
   */
  flush(send: (bytes: Uint8Array) => boolean): Uint8Array | undefined {
    if (!send(this.#out.subarray(0, this.#size))) return this.take()
    this.#size = 0
    if (this.#out.length > ROOM) this.#out = new Uint8Array(ROOM)
    return undefined
  }

  /** Bytes of a call that is open, at most as many as its window. They are copied. */
  data(call: MuxedCall, bytes: Uint8Array): void {
    call.window -= bytes.length
    this.#header(DATA, call.id, bytes.length + 5)
    this.#varint(bytes.length)
    this.#out.set(bytes, this.#size)
    this.#size += bytes.length
  }

  /** Nothing more is sent. At the server the call is over with that. */
  finish(call: MuxedCall): void {
    if (call.finished || !this.#isOpen(call)) return
    call.finished = true
    this.#frame(END, call.id)
    if (this.#opened !== undefined) this.#calls.delete(call.id)
  }

  /** Gives the call up. */
  reset(call: MuxedCall): void {
    if (!this.#isOpen(call)) return
    this.#frame(RESET, call.id)
    this.#close(call, "Reset")
  }

  /** Nobody reads on; the end is awaited for as long as it comes soon. */
  discard(call: MuxedCall): void {
    if (!this.#isOpen(call)) return
    if (this.#opened !== undefined) return this.finish(call)
    call.discarded = 0
    this.#consumed(call, call.filled)
    call.incoming = undefined
    call.filled = 0
  }

  /** What has arrived. Bytes taken make room for others. */
  read(call: MuxedCall): Uint8Array | undefined {
    const { filled, incoming } = call
    if (incoming === undefined) return undefined
    call.incoming = undefined
    call.filled = 0
    this.#consumed(call, filled)
    return filled === incoming.length ? incoming : incoming.subarray(0, filled)
  }

  #consumed(call: MuxedCall, size: number): void {
    call.taken += size
    if (call.taken < WINDOW / 2 || call.ended || !this.#isOpen(call)) return
    this.#header(CREDIT, call.id, 5)
    this.#varint(call.taken)
    call.allowance += call.taken
    call.taken = 0
  }

  #isOpen(call: MuxedCall): boolean {
    return this.#calls.get(call.id) === call
  }

  #close(call: MuxedCall, failure: "Reset" | "Lost"): void {
    this.#calls.delete(call.id)
    call.failure ??= failure
    call.incoming = undefined
    call.onReadable()
    call.onWritable()
  }

  #frame(kind: number, id: number): void {
    this.#header(kind, id, 0)
  }

  /** Writes kind and call and makes sure that `more` bytes fit behind them. */
  #header(kind: number, id: number, more: number): void {
    const needed = this.#size + 6 + more
    if (needed > this.#out.length) {
      const larger = new Uint8Array(Math.max(needed, this.#out.length * 2))
      larger.set(this.#out.subarray(0, this.#size))
      this.#out = larger
    }
    this.#out[this.#size++] = kind
    this.#varint(id)
  }

  #varint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.#out[this.#size++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#out[this.#size++] = rest
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Receiving
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * The next bytes of the stream, which must not be changed afterwards. Tells calls what they bring.
   *
   * @throws MultiplexError
   */
  receive(chunk: Uint8Array): void {
    let bytes = chunk
    if (this.#rest !== undefined) {
      bytes = new Uint8Array(this.#rest.length + chunk.length)
      bytes.set(this.#rest)
      bytes.set(chunk, this.#rest.length)
      this.#rest = undefined
    }
    let at = 0
    if (this.#missing > 0) at = this.#deliver(bytes, 0)
    while (at < bytes.length) {
      const behind = this.#receiveFrame(bytes, at)
      if (behind === undefined) {
        this.#rest = new Uint8Array(bytes.subarray(at))
        return
      }
      at = behind
    }
  }

  /** Where the frame ends; undefined when its header is not complete. */
  #receiveFrame(bytes: Uint8Array, start: number): number | undefined {
    const kind = bytes[start]!
    if (kind > GOAWAY) throw new MultiplexError(`unknown frame kind ${kind}`)
    let behind = readVarint(bytes, start + 1)
    if (behind === undefined) return undefined
    const id = varint
    if (kind === DATA || kind === CREDIT) {
      behind = readVarint(bytes, behind)
      if (behind === undefined) return undefined
    }
    const amount = varint
    const call = this.#calls.get(id)
    switch (kind) {
      case DATA:
        return this.#receiveData(bytes, behind, id, call, amount)
      case END:
        this.#known(id)
        if (call !== undefined) this.#end(call)
        return behind
      case RESET:
        this.#known(id)
        if (call !== undefined) this.#close(call, "Reset")
        return behind
      case CREDIT:
        this.#known(id)
        if (call !== undefined) {
          call.window += amount
          if (call.window > WINDOW) throw new MultiplexError(`call ${id} was given more credit than it had sent`)
          call.onWritable()
        }
        return behind
      default:
        if (this.#opened !== undefined || id !== 0) throw new MultiplexError("a GOAWAY that says nothing")
        this.#refusing = true
        return behind
    }
  }

  #known(id: number): void {
    if (id === 0 || id > this.#last) throw new MultiplexError(`call ${id} was never opened`)
  }

  #receiveData(bytes: Uint8Array, at: number, id: number, known: MuxedCall | undefined, length: number): number {
    if (length === 0) throw new MultiplexError("a DATA frame without data")
    const opening = this.#opened !== undefined && id === this.#last + 1
    if (!opening) this.#known(id)
    const call = opening ? this.#accept(id) : known
    if (call?.ended === true) throw new MultiplexError(`call ${id} brings data behind its end`)
    if (call !== undefined && length > call.allowance) throw new MultiplexError(`call ${id} exceeds its window`)
    if (call !== undefined) call.allowance -= length
    this.#missing = length
    this.#receiver = call
    return this.#deliver(bytes, at, opening)
  }

  #accept(id: number): MuxedCall | undefined {
    if (this.#calls.size >= MAX_CALLS) throw new MultiplexError(`more than ${MAX_CALLS} calls are open`)
    this.#last = id
    if (this.#refusing) {
      this.#frame(RESET, id)
      return undefined
    }
    const call = new MuxedCall(id)
    this.#calls.set(id, call)
    return call
  }

  /** As much of the current data frame as is here. */
  #deliver(bytes: Uint8Array, at: number, opening = false): number {
    const end = Math.min(bytes.length, at + this.#missing)
    this.#missing -= end - at
    const call = this.#receiver
    if (call === undefined || !this.#isOpen(call)) return end
    const part = bytes.subarray(at, end)
    if (call.discarded !== undefined) {
      call.discarded += part.length
      if (call.discarded > MAX_DISCARDED) this.reset(call)
      else this.#consumed(call, part.length)
      return end
    }
    if (part.length > 0) add(call, part)
    if (opening) this.#opened?.(call)
    else if (part.length > 0) call.onReadable()
    // What nobody has taken at once is copied: the chunk may be large, and what it belongs to as well.
    if (call.incoming === part) call.incoming = new Uint8Array(part)
    return end
  }

  #end(call: MuxedCall): void {
    call.ended = true
    if (this.#opened === undefined) this.#calls.delete(call.id)
    call.onReadable()
    call.onWritable()
  }
}

/** Behind what is there already, in a buffer that grows by doubling. */
const add = (call: MuxedCall, part: Uint8Array): void => {
  const { filled, incoming } = call
  if (incoming === undefined) {
    call.incoming = part
    call.filled = part.length
    return
  }
  const needed = filled + part.length
  if (needed > incoming.length) {
    call.incoming = new Uint8Array(Math.min(WINDOW, Math.max(needed, incoming.length * 2)))
    call.incoming.set(incoming.subarray(0, filled))
  }
  call.incoming!.set(part, filled)
  call.filled = needed
}

/** The value that `readVarint` has read: answering both would make an object a frame. */
let varint = 0

/** Where the varint ends; undefined when it is not complete. */
const readVarint = (bytes: Uint8Array, start: number): number | undefined => {
  const first = bytes[start]
  if (first !== undefined && first < 0x80) {
    varint = first
    return start + 1
  }
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) {
      if (value > MAX_ID) break
      varint = value
      return start + i + 1
    }
  }
  throw new MultiplexError("a number of more than 32 bits")
}
