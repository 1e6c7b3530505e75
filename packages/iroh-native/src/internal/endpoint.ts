import { StreamReset, StreamStopped } from "@aster-effect/iroh/BiStream"
import { addressesOf, confine, type Endpoint, type Incoming } from "@aster-effect/iroh/Binding"
import { type CloseReason, type Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { BindError, type ConnectFailure } from "@aster-effect/iroh/NodeError"
import type { IrohNodeOptions } from "@aster-effect/iroh/NodeOptions"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Addon, EndpointOptions, NativeEndpoint as Native } from "./addon.ts"
import { NativeConnection, type Streams } from "./connection.ts"
import * as Event from "./events.ts"
import { window } from "./recv.ts"

/** The most events that one call tells. */
const batch = 1024

const decoder = new TextDecoder()

interface Request {
  readonly resolve: (connection: Connection) => void
  readonly reject: (cause: Event.Failed) => void
}

/** An endpoint on UDP sockets. */
export const bind = (addon: Addon, options: IrohNodeOptions): Effect.Effect<Endpoint, BindError> => {
  const given = addressesOf(options)
  const failed = (reason: BindError["reason"], detail: string) => new BindError({ reason, addresses: given, detail })
  return Effect.suspend(() => {
    const addresses = confine(given)
    if (typeof addresses === "string") return Effect.fail(failed("Malformed", addresses))
    return Effect.tryPromise({
      try: () => new NativeNode(addon, settings(options, addresses)).bound,
      catch: (cause) =>
        cause instanceof Event.Failed
          ? failed(Event.bindFailure(cause), cause.detail)
          : failed("Unavailable", cause instanceof Error ? cause.message : String(cause))
    })
  })
}

const settings = (options: IrohNodeOptions, addresses: ReadonlyArray<string>): EndpointOptions => {
  const relay = options.relayMode ?? "default"
  const confined = addresses.length > 0 && addresses.every((address) => /^(127\.|\[::1\])/.test(address))
  return {
    addresses,
    alpns: options.alpns ?? [],
    secretKey: options.secretKey && Redacted.value(options.secretKey),
    relay: typeof relay === "string" ? relay : "custom",
    relays: typeof relay === "string" ? [] : relay.custom,
    mapPorts: relay !== "disabled" && !confined,
    threaded: options.native?.mode === "thread",
    spin: Math.min(1000, Math.max(0, Math.trunc(options.native?.spin ?? 0) || 0)),
    window
  }
}

/** Bound endpoints, which nobody but their events may hold. */
const alive = new Set<NativeNode>()

class NativeNode implements Endpoint {
  /** Resolves with this once the sockets are open. */
  readonly bound: Promise<NativeNode>
  endpointId!: EndpointId.EndpointId
  boundSockets: ReadonlyArray<string> = []
  readonly #native: Native
  readonly #meta = new Int32Array(batch * Event.fields)
  readonly #bound = Promise.withResolvers<NativeNode>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #requests = new Map<number, Request>()
  readonly #connections = new Map<number, NativeConnection>()
  readonly #streams: Streams = new Map()
  /** Attempts that nobody has taken, and those who wait for one. */
  readonly #attempts: Array<number> = []
  readonly #acceptors: Array<(incoming: Incoming | undefined) => void> = []
  #noMore = false
  #closing = false
  #address: NodeAddr.NodeAddr | undefined

  constructor({ NativeEndpoint }: Addon, options: EndpointOptions) {
    this.bound = this.#bound.promise
    alive.add(this)
    this.#native = NativeEndpoint.bind(options, this.#meta, (count, bytes) => this.#told(count, bytes))
  }

  address(): NodeAddr.NodeAddr {
    if (!this.#closing) {
      const [relay, ...direct] = this.#native.addr()
      this.#address = NodeAddr.make(this.endpointId, direct, relay === "" ? undefined : relay)
    }
    return this.#address ?? NodeAddr.make(this.endpointId)
  }

  setAlpns(alpns: ReadonlyArray<string>): void {
    this.#native.setAlpns(alpns)
  }

  connect(addr: NodeAddr.NodeAddr, alpn: string): Promise<Connection> {
    const id = EndpointId.toBytes(addr.endpointId)
    return this.#answer(() => this.#native.connect(id, addr.relayUrl ?? null, addr.directAddresses, alpn))
  }

  connectFailure(cause: unknown): ConnectFailure {
    if (cause instanceof Event.Failed) return Event.connectFailure(cause)
    throw cause
  }

  acceptNext(): Promise<Incoming | undefined> {
    const attempt = this.#attempts.shift()
    if (attempt !== undefined) return Promise.resolve(this.#incoming(attempt))
    if (this.#noMore) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      this.#acceptors.push(resolve)
      this.#native.acceptIncoming(1)
    })
  }

  close(): Promise<void> {
    if (!this.#closing) {
      this.address()
      this.#closing = true
      this.#native.close()
    }
    return this.#ended.promise
  }

  #answer(request: () => number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (this.#closing) return reject(new Event.Failed(6, "the endpoint is closed"))
      this.#requests.set(request(), { resolve, reject })
    })
  }

  #incoming(attempt: number): Incoming {
    return {
      accept: () =>
        this.#answer(() => {
          this.#native.takeIncoming(attempt)
          return attempt
        }),
      challenge: () => Promise.resolve(this.#native.challengeIncoming(attempt))
    }
  }

  /** Events, told by the addon in one call. */
  #told(count: number, bytes: Uint8Array): void {
    const meta = this.#meta
    for (let at = 0; at < count * Event.fields; at += Event.fields) {
      const kind = meta[at]!
      const a = meta[at + 1]! >>> 0
      if (kind === Event.data) {
        const content = new Uint8Array(bytes.buffer, bytes.byteOffset + meta[at + 3]!, meta[at + 4])
        this.#streams.get(a)?.recv?.arrived(content)
      } else {
        const content = bytes.subarray(meta[at + 3], meta[at + 3]! + meta[at + 4]!)
        const code = (meta[at + 6]! >>> 0) * 0x1_0000_0000 + (meta[at + 5]! >>> 0)
        this.#event(kind, a, meta[at + 2]! >>> 0, code, content)
      }
    }
  }

  #event(kind: number, a: number, b: number, code: number, content: Uint8Array): void {
    switch (kind) {
      case Event.acceptedBi:
        return this.#connections.get(a)?.acceptedBi(b)
      case Event.acceptedUni:
        return this.#connections.get(a)?.acceptedUni(b)
      case Event.openedBi:
        return this.#connections.get(a)?.opened(b, true)
      case Event.openedUni:
        return this.#connections.get(a)?.opened(b, false)
      case Event.end:
        return this.#streams.get(a)?.recv?.ended(undefined)
      case Event.readable:
        return this.#streams.get(a)?.recv?.filled()
      case Event.drained:
        return this.#streams.get(a)?.send?.drained()
      case Event.reset:
        return this.#streams.get(a)?.recv?.ended(new StreamReset({ code }))
      case Event.stopped:
        return this.#streams.get(a)?.send?.failed(new StreamStopped({ code }))
      case Event.recvLost:
        return this.#lose(a, true)
      case Event.sendLost:
        return this.#lose(a, false)
      case Event.incoming: {
        const acceptor = this.#acceptors.shift()
        if (acceptor === undefined) this.#attempts.push(a)
        else acceptor(this.#incoming(a))
        return
      }
      case Event.noMore:
        return this.#endAccepting()
      case Event.connected:
        return this.#connected(a, b, content)
      case Event.closed: {
        const connection = this.#connections.get(a)
        this.#connections.delete(a)
        return connection?.lose(reasonOf(b, code, decoder.decode(content)))
      }
      case Event.failed:
        return this.#failed(a, new Event.Failed(b, decoder.decode(content)))
      case Event.bound: {
        const [id = "", ...sockets] = decoder.decode(content).split("\n")
        this.endpointId = EndpointId.parse(id)
        this.boundSockets = sockets
        return this.#bound.resolve(this)
      }
      case Event.endpointClosed:
        return this.#end()
    }
  }

  #connected(request: number, id: number, content: Uint8Array): void {
    const remoteId = EndpointId.fromBytes(content.slice(0, 32))
    const alpn = decoder.decode(content.subarray(32))
    const connection = new NativeConnection(this.#native, id, this.#streams, remoteId, alpn)
    this.#connections.set(id, connection)
    this.#requests.get(request)?.resolve(connection)
    this.#requests.delete(request)
  }

  #failed(request: number, failure: Event.Failed): void {
    this.#requests.get(request)?.reject(failure)
    this.#requests.delete(request)
    if (request === 0) this.#bound.reject(failure)
  }

  #lose(id: number, recv: boolean): void {
    const stream = this.#streams.get(id)
    const reason = stream?.connection.lost() ?? new ConnectionLost({ reason: unknownReason })
    if (recv) stream?.recv?.ended(reason)
    else stream?.send?.failed(reason)
  }

  #endAccepting(): void {
    this.#noMore = true
    for (const resolve of this.#acceptors.splice(0)) resolve(undefined)
  }

  /** The addon is through: what it has not told of is lost with it. */
  #end(): void {
    this.#closing = true
    const closed = new Event.Failed(6, "the endpoint is closed")
    for (const { reject } of this.#requests.values()) reject(closed)
    this.#requests.clear()
    for (const connection of this.#connections.values()) connection.lose(reasonOf(Event.closedByUs, 0, ""))
    this.#connections.clear()
    for (const [id, { recv, send }] of this.#streams) {
      if (recv !== undefined) this.#lose(id, true)
      if (send !== undefined) this.#lose(id, false)
    }
    this.#streams.clear()
    this.#endAccepting()
    this.#bound.reject(closed)
    this.#ended.resolve()
    alive.delete(this)
  }
}

const unknownReason: CloseReason = { _tag: "Transport", detail: "the transport has lost the stream" }

const reasonOf = (how: number, code: number, text: string): CloseReason => {
  if (how === Event.closedByUs) return { _tag: "Local", code: 0, reason: "" }
  if (how === Event.closedByPeer) return { _tag: "Peer", code, reason: text }
  if (how === Event.closedByTimeout) return { _tag: "TimedOut" }
  return { _tag: "Transport", detail: text }
}
