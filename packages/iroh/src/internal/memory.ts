/** The in-memory transport: what a QUIC transport does, in one process and without surprises. */
import * as Effect from "effect/Effect"
import type { EndpointId } from "../EndpointId.ts"
import * as NodeAddr from "../NodeAddr.ts"
import type { ConnectFailure } from "../NodeError.ts"
import type { NodeOptions } from "../NodeOptions.ts"
import * as SecretKey from "../SecretKey.ts"
import type { RawConnection, RawEndpoint, RawIncoming } from "./binding.ts"
import { type Limits, MemoryConnection } from "./memoryConnection.ts"
import type { Link } from "./memoryStream.ts"

/** Handshakes that may wait for an endpoint to look at them; further ones are lost. */
const maxAttempts = 1024

type After = (task: () => void) => void

/** The endpoints of a network and the time between them. */
export class Fabric {
  readonly limits: Limits
  readonly #endpoints = new Map<EndpointId, MemoryEndpoint>()
  readonly #latency: After
  readonly #idleTimeout: After
  #ports = 0

  constructor(latency: After, idleTimeout: After, limits: Limits) {
    this.#latency = latency
    this.#idleTimeout = idleTimeout
    this.limits = limits
  }

  plug(id: EndpointId, alpns: Iterable<string>): MemoryEndpoint {
    const endpoint = new MemoryEndpoint(this, id, `127.0.0.1:${++this.#ports}`, alpns)
    this.#endpoints.set(id, endpoint)
    return endpoint
  }

  unplug(endpoint: MemoryEndpoint): void {
    if (this.#endpoints.get(endpoint.endpointId) === endpoint) this.#endpoints.delete(endpoint.endpointId)
  }

  find(id: EndpointId): MemoryEndpoint | undefined {
    return this.#endpoints.get(id)
  }

  /** A way between two endpoints: everything arrives in order, or is lost with one of them. */
  link(a: MemoryEndpoint, b: MemoryEndpoint): Link {
    const queue: Array<() => void> = []
    return (deliver) => {
      queue.push(deliver)
      this.#latency(() => {
        const next = queue.shift()
        if (!a.lost && !b.lost) next?.()
      })
    }
  }

  lose(id: EndpointId): void {
    const endpoint = this.#endpoints.get(id)
    if (endpoint === undefined) return
    endpoint.lost = true
    this.#endpoints.delete(id)
    const connections = [...endpoint.connections]
    this.#idleTimeout(() => {
      for (const pair of connections) for (const side of pair) side.lose({ _tag: "TimedOut" })
    })
  }
}

/** A failed `connect`. */
class Failed {
  readonly failure: ConnectFailure
  constructor(failure: ConnectFailure) {
    this.failure = failure
  }
}

class MemoryEndpoint implements RawEndpoint {
  readonly endpointId: EndpointId
  readonly boundSockets: ReadonlyArray<string>
  /** Both sides of each connection. */
  readonly connections = new Set<readonly [MemoryConnection, MemoryConnection]>()
  lost = false
  readonly #fabric: Fabric
  #alpns: ReadonlySet<string>
  #closed = false
  #attempts: Array<RawIncoming> = []
  #acceptors: Array<(attempt: RawIncoming | undefined) => void> = []

  constructor(fabric: Fabric, id: EndpointId, socket: string, alpns: Iterable<string>) {
    this.#fabric = fabric
    this.endpointId = id
    this.boundSockets = [socket]
    this.#alpns = new Set(alpns)
  }

  address(): NodeAddr.NodeAddr {
    return NodeAddr.make(this.endpointId, this.boundSockets)
  }

  setAlpns(alpns: ReadonlyArray<string>): void {
    this.#alpns = new Set(alpns)
  }

  connect(addr: NodeAddr.NodeAddr, alpn: string): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Failed({ _tag: "NodeClosed" }))
      if (addr.endpointId === this.endpointId) return reject(new Failed({ _tag: "Self" }))
      const target = this.#fabric.find(addr.endpointId)
      if (target === undefined) return // packets to nowhere: the caller's time limit ends this
      const there = this.#fabric.link(this, target)
      const back = this.#fabric.link(target, this)
      there(() => {
        if (target.#closed) return
        if (!target.#alpns.has(alpn)) return back(() => reject(new Failed({ _tag: "UnsupportedProtocol" })))
        const accept = (): Promise<RawConnection> => {
          const [mine, theirs] = this.#join(target, alpn, there, back)
          return new Promise((accepted) => {
            back(() => {
              resolve(mine)
              there(() => accepted(theirs))
            })
          })
        }
        // Addresses cannot be forged here.
        target.#attempt({ accept, challenge: () => Promise.resolve(false) })
      })
    })
  }

  connectFailure(cause: unknown): ConnectFailure {
    if (cause instanceof Failed) return cause.failure
    throw cause
  }

  acceptNext(): Promise<RawIncoming | undefined> {
    const attempt = this.#attempts.shift()
    if (attempt !== undefined || this.#closed) return Promise.resolve(attempt)
    return new Promise((resolve) => this.#acceptors.push(resolve))
  }

  close(): Promise<void> {
    this.#closed = true
    this.#fabric.unplug(this)
    for (const [mine] of this.connections) mine.close(0, "")
    for (const resolve of this.#acceptors) resolve(undefined)
    this.#acceptors = []
    this.#attempts = []
    return Promise.resolve()
  }

  #attempt(attempt: RawIncoming): void {
    const acceptor = this.#acceptors.shift()
    if (acceptor !== undefined) acceptor(attempt)
    else if (this.#attempts.length < maxAttempts) this.#attempts.push(attempt)
  }

  #join(target: MemoryEndpoint, alpn: string, there: Link, back: Link): [MemoryConnection, MemoryConnection] {
    const { limits } = this.#fabric
    const forget = (endpoint: MemoryEndpoint, pair: () => readonly [MemoryConnection, MemoryConnection]) => () =>
      void endpoint.connections.delete(pair())
    const mine: MemoryConnection = new MemoryConnection(
      target.endpointId,
      alpn,
      there,
      limits,
      forget(this, () => pair)
    )
    const theirs: MemoryConnection = new MemoryConnection(
      this.endpointId,
      alpn,
      back,
      limits,
      forget(target, () => flipped)
    )
    const pair = [mine, theirs] as const
    const flipped = [theirs, mine] as const
    MemoryConnection.join(mine, theirs)
    this.connections.add(pair)
    target.connections.add(flipped)
    return [mine, theirs]
  }
}

/** An endpoint plugged into the network that is provided. */
export const bind = (
  fabric: Fabric,
  { alpns, secretKey }: NodeOptions & { readonly secretKey: SecretKey.SecretKey }
): Effect.Effect<RawEndpoint> => Effect.sync(() => fabric.plug(SecretKey.toEndpointId(secretKey), alpns ?? []))
