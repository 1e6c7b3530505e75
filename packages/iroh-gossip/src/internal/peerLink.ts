import type { SendStream, StreamError } from "@aster-effect/iroh/BiStream"
import type { Connection, ConnectionLost } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Frame from "../Frame.ts"
import type { TopicId } from "../TopicId.ts"

/** Connections with one peer; of more, the oldest is closed. */
const maxConnections = 4
/** Bytes that go into one write. */
const writeSize = 64 * 1024
/** Queued bytes below which whoever broadcasts need not wait. */
const lowWater = 64 * 1024
/** How long a stream stays open behind a goodbye: who comes back goes on with it. */
const partingPause = "1 second"
/** Beyond the limit for broadcasts there is room for this much of what holds a swarm together. */
const reserve = 256 * 1024

/** What goes to a peer. */
interface Outgoing {
  readonly topic: TopicId
  readonly frame: Uint8Array
  /** Whether the swarm holds together without it. */
  readonly droppable: boolean
  /** Nothing follows on this topic for now. */
  readonly last: boolean
}

export interface LinkOptions {
  /** Bytes that may wait for one peer. */
  readonly maxQueued: number
  /** How long a peer may take for a write, in milliseconds. */
  readonly writeTimeout: number
}

/** What a link needs of its surroundings. */
export interface LinkHost {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  readonly dial: (peer: EndpointId) => Effect.Effect<Connection, ConnectError>
  /** Runs in the background until the end of everything. */
  readonly run: (effect: Effect.Effect<void>) => void
  /** Reads what comes over a connection that was dialled here, until it ends. */
  readonly serve: (connection: Connection) => Effect.Effect<void>
  readonly dialFailed: (peer: EndpointId, error: ConnectError) => void
  /** There is no connection left, or none that anything goes through. */
  readonly lost: (peer: EndpointId) => void
  /** Broadcasts of a topic that the peer may not have got. */
  readonly unsent: (topic: TopicId, count: number) => void
}

/**
 * All connections with one peer, and what waits to be sent. The newest one is sent on, one stream for each topic; older
 * ones are read until they end (iroh-gossip wire, Transport use).
 */
export class PeerLink {
  readonly peer: EndpointId
  readonly #host: LinkHost
  readonly #options: LinkOptions
  readonly #connections: Array<Connection> = []
  readonly #streams = new Map<TopicId, SendStream>()
  /**
   * Topics on whose streams a goodbye was the last word. Streams overtake each other, and a goodbye that overtakes the
   * next join would undo it.
   */
  readonly #parted = new Set<TopicId>()
  #queue: Array<Outgoing> = []
  #queued = 0
  #pumping = false
  /** Since when a write is under way. */
  #writing: { readonly connection: Connection; readonly since: number } | undefined
  #dialling = false
  #arrival = Deferred.makeUnsafe<void>()
  #drained = Deferred.makeUnsafe<void>()
  #settled = Deferred.makeUnsafe<void>()
  /** The peer did not take anything while somebody waited for it. */
  #slow = false

  constructor(peer: EndpointId, host: LinkHost, options: LinkOptions) {
    this.peer = peer
    this.#host = host
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && !this.#pumping && !this.#dialling
  }

  get connections(): ReadonlyArray<Connection> {
    return this.#connections
  }

  /** Drops it when too much waits already. */
  send(outgoing: Outgoing): void {
    const { droppable, frame, last, topic } = outgoing
    // Nobody is dialled to be told goodbye.
    if (last && this.#connections.length === 0 && !this.#dialling) return
    const limit = this.#options.maxQueued + (droppable ? 0 : reserve)
    if (this.#queued + frame.length > limit) {
      // What holds the swarm together cannot be left out: a peer that takes nothing is none.
      return droppable ? this.#host.unsent(topic, 1) : this.close("takes nothing")
    }
    this.#queue.push(outgoing)
    this.#queued += frame.length
    this.#start()
  }

  /** Nothing more goes out on a topic. */
  finish(topic: TopicId): void {
    const stream = this.#streams.get(topic)
    this.#streams.delete(topic)
    this.#parted.delete(topic)
    if (stream !== undefined) this.#host.run(Effect.ignore(stream.finish))
  }

  /** A connection that came about, whoever dialled it. It is the one to be sent on from now on. */
  add(connection: Connection): void {
    for (const topic of this.#streams.keys()) this.finish(topic)
    this.#connections.push(connection)
    if (this.#connections.length > maxConnections) this.#host.run(this.#connections[0]!.close(0, "replaced"))
    const arrival = this.#arrival
    this.#arrival = Deferred.makeUnsafe()
    Deferred.doneUnsafe(arrival, Effect.void)
  }

  /** A connection has ended. */
  remove(connection: Connection): void {
    const index = this.#connections.indexOf(connection)
    if (index < 0) return
    const current = index === this.#connections.length - 1
    this.#connections.splice(index, 1)
    if (!current) return
    this.#streams.clear()
    this.#parted.clear()
    if (this.#connections.length === 0) this.#lose()
  }

  /** Dials once more: the connection there is serves no longer, or the peer will not send on it. */
  reconnect(): void {
    if (this.#dialling) return
    this.#dialling = true
    this.#host.run(
      this.#host.dial(this.peer).pipe(
        Effect.tap((connection) => Effect.sync(() => this.#adopt(connection))),
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => (this.#dialling = false)))
      )
    )
  }

  close(reason: string, code = 0): void {
    for (const topic of this.#parted) this.finish(topic)
    for (const connection of this.#connections) this.#host.run(connection.close(code, reason))
  }

  /** Closes the connection that the peer takes nothing from: the write that is under way ends with it. */
  expire(now: number): void {
    if (this.#writing === undefined || now - this.#writing.since < this.#options.writeTimeout) return
    this.#host.run(this.#writing.connection.close(0, "takes nothing"))
  }

  /** Waits until everything is on its way, or there is nobody to send it to. */
  get flushed(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#connections.length === 0 || (this.#queue.length === 0 && !this.#pumping)
        ? Effect.void
        : Effect.andThen(Deferred.await(this.#settled), this.flushed)
    )
  }

  /** Whether there is nothing to wait for before more is sent. */
  get isReady(): boolean {
    return this.#slow || this.#queued < this.#options.maxQueued / 4
  }

  /**
   * Waits while much is queued, but not for a peer that takes nothing for a second: it is not waited for again before it
   * has caught up.
   */
  get ready(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isReady) return Effect.void
      return Deferred.await(this.#drained).pipe(
        Effect.timeoutOption("1 second"),
        Effect.map((drained) => {
          if (Option.isNone(drained)) this.#slow = true
        })
      )
    })
  }

  #settle(): void {
    const settled = this.#settled
    this.#settled = Deferred.makeUnsafe()
    Deferred.doneUnsafe(settled, Effect.void)
  }

  #lose(): void {
    this.#empty()
    this.#settle()
    this.#host.lost(this.peer)
  }

  #empty(): void {
    this.#drop(this.#queue)
    this.#queue = []
    this.#queued = 0
    this.#catchUp()
  }

  #drop(messages: ReadonlyArray<Outgoing>): void {
    for (const { droppable, topic } of messages) if (droppable) this.#host.unsent(topic, 1)
  }

  #catchUp(): void {
    this.#slow = false
    const drained = this.#drained
    this.#drained = Deferred.makeUnsafe()
    Deferred.doneUnsafe(drained, Effect.void)
  }

  #adopt(connection: Connection): void {
    this.add(connection)
    this.#host.run(this.#host.serve(connection))
  }

  #start(): void {
    if (this.#pumping) return
    this.#pumping = true
    // What is said within one turn of JavaScript, such as the answers to all that came together, goes into one write.
    queueMicrotask(() => this.#host.run(this.#pumpAll))
  }

  readonly #pumpAll: Effect.Effect<void> = Effect.andThen(
    Effect.ensuring(
      Effect.suspend(() => this.#pump()),
      Effect.sync(() => (this.#pumping = false))
    ),
    Effect.sync(() => (this.#queue.length > 0 ? this.#start() : this.#settle()))
  )

  readonly #pump = Effect.fnUntraced(function* (this: PeerLink) {
    while (this.#queue.length > 0) {
      const connection = this.#connections.at(-1)
      if (connection === undefined) {
        yield* this.#connect()
        continue
      }
      const batch = this.#takeBatch()
      this.#writing = { connection, since: this.#host.now() }
      yield* this.#write(connection, batch)
      this.#writing = undefined
      if (this.#queued < lowWater) this.#catchUp()
    }
  })

  /** Dials, unless the peer is quicker. */
  #connect(): Effect.Effect<void> {
    this.#dialling = true
    return this.#host.dial(this.peer).pipe(
      Effect.flatMap((connection) => Effect.sync(() => this.#adopt(connection))),
      Effect.raceFirst(Deferred.await(this.#arrival)),
      Effect.catch((error) =>
        Effect.sync(() => {
          if (this.#connections.length > 0) return
          this.#empty()
          this.#host.dialFailed(this.peer, error)
        })
      ),
      Effect.ensuring(Effect.sync(() => (this.#dialling = false)))
    )
  }

  /** What goes out next on one topic. */
  #takeBatch(): ReadonlyArray<Outgoing> {
    const [first] = this.#queue
    let count = 0
    let size = 0
    for (const { frame, last, topic } of this.#queue) {
      if (topic !== first!.topic || (count > 0 && size + frame.length > writeSize)) break
      count++
      size += frame.length
      if (last) break
    }
    this.#queued -= size
    return this.#queue.splice(0, count)
  }

  #write(connection: Connection, batch: ReadonlyArray<Outgoing>): Effect.Effect<void> {
    const { topic } = batch[0]!
    this.#parted.delete(topic)
    const frames = batch.map(({ frame }) => frame)
    const known = this.#streams.get(topic)
    const opened = this.#open(connection, topic, frames)
    const written =
      known === undefined
        ? opened
        : Effect.catchIf(
            known.write(concat(frames)),
            // A stream that the peer does not want any more says nothing about the next one.
            ({ reason }) => reason._tag === "StreamStopped",
            () => opened
          )
    return written.pipe(
      Effect.matchEffect({
        onSuccess: () => Effect.sync(() => batch.at(-1)!.last && this.#part(topic)),
        onFailure: (error) =>
          Effect.sync(() => {
            this.#streams.delete(topic)
            this.#drop(batch)
            // The end of the connection is noticed where it is watched; here it must not be tried on and on.
            const ended = error._tag === "ConnectionLost" || error.reason._tag === "ConnectionLost"
            if (ended) this.remove(connection)
          })
      })
    )
  }

  /** A goodbye was said on a topic. */
  #part(topic: TopicId): void {
    const stream = this.#streams.get(topic)
    if (stream === undefined) return
    this.#parted.add(topic)
    const finish = Effect.sync(() => {
      if (this.#parted.has(topic) && this.#streams.get(topic) === stream) this.finish(topic)
    })
    this.#host.run(Effect.andThen(Effect.sleep(partingPause), finish))
  }

  /** A stream begins with its header, which must not travel alone. */
  #open(
    connection: Connection,
    topic: TopicId,
    frames: ReadonlyArray<Uint8Array>
  ): Effect.Effect<void, StreamError | ConnectionLost> {
    return Effect.flatMap(connection.openUni, (stream) => {
      if (this.#connections.at(-1) === connection) this.#streams.set(topic, stream)
      return stream.write(concat([Frame.header(topic), ...frames]))
    })
  }
}

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const [only] = chunks
  if (chunks.length === 1) return only!
  const joined = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    joined.set(chunk, at)
    at += chunk.length
  }
  return joined
}
