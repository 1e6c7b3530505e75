import type { BiStream, RecvStream, SendStream, StreamError } from "@aster-effect/iroh/BiStream"
import { closeReason, errorCode } from "@aster-effect/iroh/Binding"
import { type CloseReason, type Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { NativeEndpoint } from "./addon.ts"
import { Places } from "./places.ts"
import { NativeRecv } from "./recv.ts"
import { NativeSend } from "./send.ts"

/** Streams of the peer that are taken in before somebody takes them, once somebody has. */
const acceptAhead = 16

/** The halves that a stream has here. */
export interface Stream {
  readonly connection: NativeConnection
  readonly send: NativeSend | undefined
  readonly recv: NativeRecv | undefined
}

/** Where a connection's streams are registered for as long as they can have events. */
export type Streams = Map<number, Stream>

/** A connection of the addon. */
export class NativeConnection implements Connection {
  readonly remoteId: EndpointId
  readonly alpn: string
  readonly #native: NativeEndpoint
  readonly #id: number
  readonly #streams: Streams
  #reason: CloseReason | undefined
  #lost: ConnectionLost | undefined
  #received = 0
  readonly #watchers = new Set<(exit: Exit.Exit<CloseReason>) => void>()
  readonly #acceptingBi: Places<BiStream>
  readonly #acceptingUni: Places<RecvStream>
  readonly #openingBi: Places<BiStream>
  readonly #openingUni: Places<SendStream>

  constructor(native: NativeEndpoint, id: number, streams: Streams, remoteId: EndpointId, alpn: string) {
    this.#native = native
    this.#id = id
    this.#streams = streams
    this.remoteId = remoteId
    this.alpn = alpn
    const open = (bi: boolean) => (count: number) => {
      for (let i = 0; i < count; i++) {
        const stream = native.open(id, bi)
        if (stream !== 0) this.opened(stream, bi)
      }
    }
    this.#acceptingBi = new Places(acceptAhead, (count) => native.acceptStreams(id, true, count))
    this.#acceptingUni = new Places(0, (count) => native.acceptStreams(id, false, count))
    this.#openingBi = new Places(0, open(true))
    this.#openingUni = new Places(0, open(false))
  }

  get openBi(): Effect.Effect<BiStream, ConnectionLost> {
    return this.#openingBi.take
  }

  get acceptBi(): Effect.Effect<BiStream, ConnectionLost> {
    return this.#acceptingBi.take
  }

  get openUni(): Effect.Effect<SendStream, ConnectionLost> {
    return this.#openingUni.take
  }

  get acceptUni(): Effect.Effect<RecvStream, ConnectionLost> {
    return this.#acceptingUni.take
  }

  close(code: number, reason: string): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#reason !== undefined) return
      const number = errorCode(code)
      const text = closeReason(reason)
      this.bytesReceived()
      this.#native.closeConnection(this.#id, number, new TextEncoder().encode(text))
      this.lose({ _tag: "Local", code: number, reason: text })
    })
  }

  get closed(): Effect.Effect<CloseReason> {
    return Effect.callback((resume) => {
      if (this.#reason !== undefined) return resume(Exit.succeed(this.#reason))
      this.#watchers.add(resume)
      return Effect.sync(() => void this.#watchers.delete(resume))
    })
  }

  isClosed(): boolean {
    return this.#reason !== undefined
  }

  bytesReceived(): number {
    // The addon forgets a connection that is closed.
    if (this.#reason === undefined) this.#received = Math.max(this.#received, this.#native.bytesReceived(this.#id))
    return this.#received
  }

  /** The connection is over. The first reason counts. */
  lose(reason: CloseReason): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#lost = new ConnectionLost({ reason })
    for (const places of [this.#acceptingBi, this.#acceptingUni, this.#openingBi, this.#openingUni]) {
      places.lose(this.#lost)
    }
    for (const watcher of this.#watchers) watcher(Exit.succeed(reason))
    this.#watchers.clear()
  }

  /** Why streams fail, once the connection is over. */
  readonly lost = (): StreamError["reason"] | undefined => this.#lost

  acceptedBi(stream: number): void {
    this.#acceptingBi.brought(this.#bi(stream))
  }

  acceptedUni(stream: number): void {
    this.#acceptingUni.brought(this.#recv(stream))
  }

  opened(stream: number, bi: boolean): void {
    if (bi) this.#openingBi.brought(this.#bi(stream))
    else this.#openingUni.brought(this.#send(stream))
  }

  #bi(id: number): BiStream {
    const over = (): void => {
      if (send.isOver && recv.isOver) this.#streams.delete(id)
    }
    const send = new NativeSend(this.#native, id, over, this.lost)
    const recv = new NativeRecv(this.#native, id, over)
    this.#streams.set(id, { connection: this, send, recv })
    return { send, recv }
  }

  #send(id: number): SendStream {
    const send = new NativeSend(this.#native, id, () => this.#streams.delete(id), this.lost)
    this.#streams.set(id, { connection: this, send, recv: undefined })
    return send
  }

  #recv(id: number): RecvStream {
    const recv = new NativeRecv(this.#native, id, () => this.#streams.delete(id))
    this.#streams.set(id, { connection: this, send: undefined, recv })
    return recv
  }
}
