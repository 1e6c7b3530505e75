import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { BiStream, RecvStream, SendStream } from "../BiStream.ts"
import { type CloseReason, type Connection, ConnectionLost } from "../Connection.ts"
import type { EndpointId } from "../EndpointId.ts"
import type { RawBi, RawConnection, RawEndpoint } from "./binding.ts"
import { closeReason, type Endpoint, errorCode } from "../Binding.ts"
import { RecvHalf } from "./recvHalf.ts"
import { SendHalf } from "./sendHalf.ts"
import { ahead, aheadInOrder, onDemand, StreamPool } from "./streamPool.ts"

/** Four accepts under way give the throughput that one does not; more give nothing. */
const acceptAhead = 4
/** Streams kept open for calls to come. Each takes one of the peer's (usually 100) places. */
const openAhead = 3

/** The public face of a transport's connection. */
export class QuicConnection implements Connection {
  readonly #raw: RawConnection
  readonly #opening: StreamPool<BiStream>
  readonly #accepting: StreamPool<BiStream>
  #openingUni: StreamPool<SendStream> | undefined
  #acceptingUni: StreamPool<RecvStream> | undefined
  #watching = false
  readonly #watchers = new Set<(exit: Exit.Exit<CloseReason>) => void>()

  constructor(raw: RawConnection) {
    this.#raw = raw
    let opened = 0
    const more = aheadInOrder(openAhead)
    const pair = ({ recv: rawRecv, send: rawSend }: RawBi): BiStream => {
      const send = new SendHalf(rawSend, raw)
      const recv = new RecvHalf(rawRecv, raw)
      send.other = recv
      recv.other = send
      return { send, recv }
    }
    this.#opening = new StreamPool(
      () => {
        opened++
        return raw.openBi().then(pair)
      },
      // A connection that makes a single call does not pay for streams ahead.
      (waiting, ready) => (opened < 2 ? waiting : more(waiting, ready)),
      this.#lost
    )
    this.#accepting = new StreamPool(() => raw.acceptBi().then(pair), ahead(acceptAhead), this.#lost)
  }

  get remoteId(): EndpointId {
    return this.#raw.remoteId
  }

  get alpn(): string {
    return this.#raw.alpn
  }

  get openBi(): Effect.Effect<BiStream, ConnectionLost> {
    return this.#opening.take
  }

  get acceptBi(): Effect.Effect<BiStream, ConnectionLost> {
    return this.#accepting.take
  }

  get openUni(): Effect.Effect<SendStream, ConnectionLost> {
    const raw = this.#raw
    this.#openingUni ??= new StreamPool(
      () => raw.openUni().then((send) => new SendHalf(send, raw)),
      aheadInOrder(0),
      this.#lost
    )
    return this.#openingUni.take
  }

  get acceptUni(): Effect.Effect<RecvStream, ConnectionLost> {
    const raw = this.#raw
    this.#acceptingUni ??= new StreamPool(
      () => raw.acceptUni().then((recv) => new RecvHalf(recv, raw)),
      onDemand,
      this.#lost
    )
    return this.#acceptingUni.take
  }

  close(code: number, reason: string): Effect.Effect<void> {
    return Effect.sync(() => {
      if (!this.isClosed()) this.#raw.close(errorCode(code), closeReason(reason))
    })
  }

  get closed(): Effect.Effect<CloseReason> {
    return Effect.callback((resume) => {
      const reason = this.#raw.closeReason()
      if (reason !== undefined) return resume(Exit.succeed(reason))
      this.#watchers.add(resume)
      this.#watch()
      return Effect.sync(() => void this.#watchers.delete(resume))
    })
  }

  isClosed(): boolean {
    return this.#raw.isClosed()
  }

  bytesReceived(): number {
    return this.#raw.bytesReceived()
  }

  /** One subscription to the transport, however many wait and leave again. */
  #watch(): void {
    if (this.#watching) return
    this.#watching = true
    void this.#raw.closed().then((reason) => {
      for (const watcher of this.#watchers) watcher(Exit.succeed(reason))
      this.#watchers.clear()
    })
  }

  readonly #lost = (): ConnectionLost | undefined => {
    const reason = this.#raw.closeReason()
    return reason && new ConnectionLost({ reason })
  }
}

/** An endpoint whose connections are those of a transport of promises. */
export const endpointOf = (raw: RawEndpoint): Endpoint => ({
  endpointId: raw.endpointId,
  boundSockets: raw.boundSockets,
  address: () => raw.address(),
  setAlpns: (alpns) => raw.setAlpns(alpns),
  connect: (addr, alpn) => raw.connect(addr, alpn).then((connection) => new QuicConnection(connection)),
  connectFailure: (cause) => raw.connectFailure(cause),
  acceptNext: async () => {
    const incoming = await raw.acceptNext()
    return (
      incoming && {
        accept: () => incoming.accept().then((connection) => new QuicConnection(connection)),
        challenge: () => incoming.challenge()
      }
    )
  },
  close: () => raw.close()
})
