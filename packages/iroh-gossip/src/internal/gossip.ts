import type { RecvStream } from "@aster-effect/iroh/BiStream"
import type { Connection } from "@aster-effect/iroh/Connection"
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { ConnectionGate } from "@aster-effect/iroh/ConnectionGate"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import { Malformed } from "@aster-effect/iroh/Malformed"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import { ConnectError } from "@aster-effect/iroh/NodeError"
import * as Clock from "effect/Clock"
import { secureBytes } from "@aster-effect/iroh/SecureBytes"
import { supervise } from "@aster-effect/iroh/Supervisor"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as AddrInfo from "../AddrInfo.ts"
import { AddressBook } from "../AddressBook.ts"
import * as Frame from "../Frame.ts"
import type { Gossip, GossipOptions } from "../Gossip.ts"
import { MessageTooLarge, TopicClosed } from "../GossipError.ts"
import * as Message from "../Message.ts"
import { xoshiro } from "../Random.ts"
import type { SubscribeOptions, Topic, TopicEvent, TopicStats } from "../Topic.ts"
import type { TopicId } from "../TopicId.ts"
import { TopicState } from "../TopicState.ts"
import { Allowance } from "./allowance.ts"
import { ALPN } from "./alpn.ts"
import { type LinkHost, PeerLink } from "./peerLink.ts"
import { TopicMember } from "./topicMember.ts"

/** Streams of a connection that are read at a time; further ones are stopped. */
const maxStreams = 64
/** Peers that are known to this node at a time; a further one's connection is closed. */
const maxPeers = 1024
const maxDials = 16
const headerTimeout = "10 seconds"
const sweepInterval = 5000
/** How long a peer that floods or lies is shut out. */
const banTime = 60_000
const maxBanned = 1024
/** What holds a swarm together is little; each of it may cost a look at keys, a dial, or messages to others. */
const swarmRate = 50
const swarmBurst = 500
/** What a stream that breaks the rules costs, in messages. */
const malformedCost = 100
/** How long goodbyes may take. */
const partingTime = "1 second"
/** Between dials made only because a peer may have forgotten the connection. */
const reconnectPause = 5000
/** Further connections of a peer, of the older ones, that nothing came over for this long are closed. */
const oldConnectionTime = 60_000

const CLOSE_FLOODING = 429
const CLOSE_TOO_MANY = 503

/** A peer that something is exchanged with. */
interface Peer {
  readonly link: PeerLink
  readonly messages: Allowance
  readonly swarm: Allowance
  /** What came in excess, until it is forgiven. */
  excess: number
  excessAt: number
  idleSince: number | undefined
  reconnectedAt: number
}

export const makeGossip = Effect.fnUntraced(function* (options: GossipOptions) {
  const node = yield* IrohNode
  const gate = yield* ConnectionGate
  const book = Option.getOrElse(yield* Effect.serviceOption(AddressBook), () => undefined) ?? (yield* memoryBook)
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime<never, void, never>()
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1000n) / 1000
  const maxPayload = Math.max(512, options.maxMessageSize ?? 4096)
  const maxContent = Message.contentIn(maxPayload - 1)
  const rate = options.maxMessageRate ?? 10_000
  const idleTime = Duration.toMillis(Duration.fromInputUnsafe(options.idleTimeout ?? "10 seconds"))
  const dials = Semaphore.makeUnsafe(maxDials)
  const peers = new Map<EndpointId, Peer>()
  const members = new Map<TopicId, TopicMember>()
  const banned = new Map<EndpointId, number>()
  let closed = false
  const describeSelf = Effect.map(node.address, (addr) =>
    AddrInfo.encode(options.advertise === false ? { directAddresses: [] } : addr)
  )
  let ownData = yield* describeSelf

  const isBanned = (id: EndpointId): boolean => {
    const until = banned.get(id)
    if (until === undefined) return false
    if (until > now()) return true
    banned.delete(id)
    return false
  }

  const drop = (id: EndpointId, cause: string): void => {
    if (banned.size >= maxBanned) banned.delete(banned.keys().next().value!)
    banned.set(id, now() + banTime)
    run(Effect.logWarning("A peer is shut out of gossip for a minute", { peer: id, cause }))
    for (const member of members.values()) member.dropped(id, cause)
    peers.get(id)?.link.close(cause, CLOSE_FLOODING)
  }

  const refused = (id: EndpointId, detail: string) =>
    new ConnectError({ endpointId: id, alpn: ALPN, reason: { _tag: "Refused", detail } })

  const dial = (id: EndpointId): Effect.Effect<Connection, ConnectError> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(refused(id, "gossip is closed"))
      if (isBanned(id)) return Effect.fail(refused(id, "the peer is shut out"))
      return Effect.flatMap(gate.admit(id, ALPN), (admitted) =>
        admitted
          ? Semaphore.withPermit(
              dials,
              Effect.suspend(() => node.connect(book.find(id), ALPN, { timeout: options.dialTimeout ?? "10 seconds" }))
            )
          : Effect.fail(refused(id, "the peer is not admitted here"))
      )
    })

  const linkHost: LinkHost = {
    now,
    dial,
    run,
    serve: (connection) => serve(connection),
    dialFailed: (id, error) => {
      for (const member of members.values()) member.dialFailed(id, error)
    },
    lost: (id) => {
      for (const member of members.values()) member.connectionLost(id)
    },
    unsent: (topic, count) => {
      const member = members.get(topic)
      if (member !== undefined) member.unsent += count
    }
  }
  const linkOptions = {
    maxQueued: options.maxQueued ?? 2 ** 20,
    writeTimeout: Duration.toMillis(Duration.fromInputUnsafe(options.writeTimeout ?? "30 seconds"))
  }

  const peerOf = (id: EndpointId): Peer => {
    const known = peers.get(id)
    if (known !== undefined) return known
    const time = now()
    const peer: Peer = {
      link: new PeerLink(id, linkHost, linkOptions),
      messages: new Allowance(rate, 2 * rate, time),
      swarm: new Allowance(swarmRate, swarmBurst, time),
      excess: 0,
      excessAt: time,
      idleSince: time,
      reconnectedAt: -Infinity
    }
    peers.set(id, peer)
    return peer
  }

  const isNeeded = (id: EndpointId): boolean => {
    for (const member of members.values()) if (member.needs(id)) return true
    return false
  }

  /**
   * With a goodbye on one topic the reference forgets the connection it sends on, for all topics. It takes a new one that
   * it is offered, and might not be able to dial one.
   */
  const parted = (id: EndpointId): void => {
    const peer = peers.get(id)
    if (peer === undefined || !isNeeded(id) || now() - peer.reconnectedAt < reconnectPause) return
    peer.reconnectedAt = now()
    peer.link.reconnect()
  }

  /** Counts what exceeds a peer's allowance; who does not stop is shut out. */
  const exceeds = (peer: Peer, member: TopicMember | undefined): void => {
    const time = now()
    if (member !== undefined) member.excess++
    if (time - peer.excessAt > 10_000) peer.excess = 0
    peer.excessAt = time
    if (++peer.excess === 2 * rate) drop(peer.link.peer, "sends more than it may")
  }

  const take = (time: number, peer: Peer, topic: TopicId, payload: Uint8Array): void => {
    const member = members.get(topic)
    if (!peer.messages.take(time)) return exceeds(peer, member)
    if (member === undefined) return
    const message = Message.decode(payload)
    switch (message._tag) {
      case "Gossip":
      case "Prune":
      case "Graft":
      case "IHave":
        break
      default:
        if (!peer.swarm.take(time)) return exceeds(peer, member)
    }
    member.take(time, peer.link.peer, message)
  }

  const readStream = (peer: Peer, recv: RecvStream): Effect.Effect<void> => {
    const decoder = new Frame.FrameDecoder(maxPayload)
    let topic: TopicId | undefined
    const digest = (bytes: Uint8Array): void => {
      const time = now()
      for (const payload of decoder.push(bytes)) {
        if (topic === undefined) topic = Frame.readHeader(payload)
        else take(time, peer, topic, payload)
      }
    }
    const malformed = Effect.suspend(() => {
      const member = topic === undefined ? undefined : members.get(topic)
      if (member !== undefined) member.malformed++
      peer.messages.take(now(), malformedCost)
      if (++peer.excess >= 2 * rate) drop(peer.link.peer, "breaks the rules of the protocol")
      return recv.stop(0)
    })
    const read = recv.read(64 * 1024)
    return Effect.gen(function* () {
      while (true) {
        const bytes = yield* topic === undefined
          ? Effect.timeoutOrElse(read, { duration: headerTimeout, orElse: () => Effect.as(recv.stop(0), undefined) })
          : read
        if (bytes === undefined) return
        try {
          digest(bytes)
        } catch (error) {
          if (!(error instanceof Malformed)) throw error
          return yield* malformed
        }
      }
    }).pipe(
      Effect.catchTag("StreamError", () => Effect.void),
      Effect.catchCause((cause) => Effect.logError("Reading a gossip stream failed", cause))
    )
  }

  const readStreams = (peer: Peer, connection: Connection) =>
    Effect.gen(function* () {
      const streams = yield* FiberSet.make<void>()
      while (true) {
        const recv = yield* connection.acceptUni
        if ((yield* FiberSet.size(streams)) >= maxStreams) yield* recv.stop(0)
        else yield* FiberSet.run(streams, readStream(peer, recv))
      }
    }).pipe(Effect.scoped)

  /** The protocol has none of these. */
  const refuseBi = (connection: Connection) =>
    Effect.forever(Effect.flatMap(connection.acceptBi, ({ recv, send }) => Effect.andThen(recv.stop(0), send.reset(0))))

  /** Reads what comes over a connection until it ends. */
  const serve = (connection: Connection): Effect.Effect<void> => {
    const peer = peerOf(connection.remoteId)
    const serving = Effect.raceFirst(readStreams(peer, connection), refuseBi(connection)).pipe(
      Effect.catchTag("ConnectionLost", () => Effect.void)
    )
    return (options.whileAdmitted?.(connection, serving) ?? serving).pipe(
      Effect.asVoid,
      Effect.catchCause((cause) => Effect.logError("Serving a gossip connection failed", cause)),
      Effect.ensuring(connection.close(0, "")),
      Effect.ensuring(Effect.sync(() => peer.link.remove(connection)))
    )
  }

  const accept = (connection: Connection, draining: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const id = connection.remoteId
      if (closed) return Effect.void
      if (isBanned(id)) return connection.close(CLOSE_FLOODING, "shut out for a minute")
      if (peers.size >= maxPeers && !peers.has(id)) return connection.close(CLOSE_TOO_MANY, "too many peers")
      peerOf(id).link.add(connection)
      return Effect.raceFirst(serve(connection), Effect.andThen(draining, close))
    })

  /** Addresses change; connections and peers that nothing needs go. */
  const sweep = Effect.gen(function* () {
    const data = yield* describeSelf
    if (Buffer.compare(data, ownData) !== 0) {
      ownData = data
      for (const member of members.values()) member.describe(data)
    }
    const time = now()
    for (const [id, peer] of peers) {
      peer.link.expire(time)
      if (isNeeded(id) || !peer.link.isIdle) {
        peer.idleSince = undefined
        closeOld(peer, time)
      } else if (peer.idleSince === undefined) peer.idleSince = time
      else if (time - peer.idleSince >= idleTime) {
        peer.link.close("")
        if (peer.link.connections.length === 0) peers.delete(id)
      }
    }
  })

  const seen = new WeakMap<Connection, { bytes: number; at: number }>()
  const closeOld = (peer: Peer, time: number): void => {
    for (const connection of peer.link.connections.slice(0, -1)) {
      const bytes = connection.bytesReceived()
      const last = seen.get(connection)
      if (last === undefined || last.bytes !== bytes) seen.set(connection, { bytes, at: time })
      else if (time - last.at >= oldConnectionTime) run(connection.close(0, "replaced"))
    }
  }

  const knownAs = (peer: NodeAddr | EndpointId): EndpointId => {
    if (typeof peer === "string") return peer
    book.add(peer)
    return peer.endpointId
  }

  const enter = Effect.fnUntraced(function* (id: TopicId, capacity: number) {
    const known = members.get(id)
    if (known !== undefined) return known
    const state = new TopicState(node.endpointId, xoshiro(yield* seed), {
      ...options.protocol,
      membership: { maxData: Math.floor((maxPayload - 128) / 8) - 36, ...options.protocol?.membership },
      broadcast: { maxAnnouncements: Message.announcementsIn(maxPayload - 1), ...options.protocol?.broadcast }
    })
    state.describe(ownData)
    const host = { now, link: (peer: EndpointId) => peerOf(peer).link, hint: book.hint, parted, maxPayload }
    const member = new TopicMember(id, state, host, capacity)
    if (closed) member.quit()
    else members.set(id, member)
    run(member.runClock)
    return member
  })

  const leave = (member: TopicMember): void => {
    if (--member.users > 0) return
    member.quit()
    if (members.get(member.id) === member) members.delete(member.id)
  }

  const subscribe = Effect.fn("Gossip.subscribe")(function* (id: TopicId, subscription: SubscribeOptions = {}) {
    const bootstrap = (subscription.bootstrap ?? []).map(knownAs)
    const member = yield* Effect.acquireRelease(
      Effect.tap(enter(id, subscription.capacity ?? 1024), (member) => Effect.sync(() => member.users++)),
      (member) => Effect.sync(() => leave(member))
    )
    // Who comes later hears of the neighbours that are there already.
    const up = member.users > 1 ? member.neighbors.value : []
    if (!member.isEnded && (bootstrap.length > 0 || member.users === 1)) member.join(bootstrap)
    return topicOf(member, up)
  })

  const topicOf = (member: TopicMember, up: ReadonlyArray<EndpointId>): Topic => {
    const { neighbors } = member
    const events = member.events.stream((event, missed) => ({ ...event, missed }))
    const already = up.map((peer): TopicEvent => ({ _tag: "NeighborUp", peer, missed: 0 }))
    const send = (content: Uint8Array, scope: "Swarm" | "Neighbors") =>
      Effect.suspend((): Effect.Effect<void, MessageTooLarge | TopicClosed> => {
        if (content.length > maxContent) return new MessageTooLarge({ size: content.length, limit: maxContent })
        const full = [...member.eager].map((peer) => peerOf(peer).link).filter(({ isReady }) => !isReady)
        if (full.length === 0) return broadcast(content, scope)
        const wait = Effect.forEach(full, ({ ready }) => ready, { discard: true })
        return Effect.flatMap(wait, () => broadcast(content, scope))
      })
    const broadcast = (content: Uint8Array, scope: "Swarm" | "Neighbors"): Effect.Effect<void, TopicClosed> => {
      if (member.isEnded) return new TopicClosed()
      member.broadcast(content, scope)
      return Effect.void
    }
    return {
      id: member.id,
      messages: member.messages.stream((message, missed) => ({ ...message, missed })),
      events: already.length === 0 ? events : Stream.concat(Stream.fromIterable(already), events),
      neighbors: { get: Effect.sync(() => neighbors.value), changes: neighbors.changes },
      joined: neighbors.changes.pipe(
        Stream.filter((peers) => peers.length > 0),
        Stream.runHead,
        Effect.flatMap((head) => (Option.isSome(head) ? Effect.void : Effect.never))
      ),
      // Without spans: a broadcast takes less time than one.
      broadcast: (content) => send(content, "Swarm"),
      broadcastNeighbors: (content) => send(content, "Neighbors"),
      join: Effect.fn("Topic.join")((peers) =>
        Effect.suspend(() =>
          member.isEnded ? Effect.fail(new TopicClosed()) : Effect.sync(() => member.join(peers.map(knownAs)))
        )
      ),
      stats: Effect.sync(() => statsOf(member)),
      maxContent
    }
  }

  const ended = Deferred.makeUnsafe<void>()
  /** Done again, it waits for the same end. */
  const close: Effect.Effect<void> = Effect.suspend(() => {
    if (closed) return Deferred.await(ended)
    closed = true
    for (const member of members.values()) member.quit()
    members.clear()
    const goodbyes = Effect.forEach(peers.values(), ({ link }) => link.flushed, {
      concurrency: "unbounded",
      discard: true
    })
    return Effect.timeoutOption(goodbyes, partingTime).pipe(
      Effect.andThen(
        Effect.sync(() => {
          for (const { link } of peers.values()) link.close("")
        })
      ),
      Effect.ensuring(Deferred.succeed(ended, undefined))
    )
  })

  yield* Effect.addFinalizer(() => close)
  const sweeping = Effect.asVoid(
    Effect.schedule(sweep, Schedule.spaced(Math.min(sweepInterval, Math.max(100, linkOptions.writeTimeout))))
  )
  yield* Effect.forkScoped(supervise("the sweep of gossip connections", sweeping))
  const service: Gossip["Service"] = {
    subscribe,
    accept,
    close,
    topics: Effect.sync(() => [...members.keys()])
  }
  return service
})

const statsOf = (member: TopicMember): TopicStats => ({
  neighbors: member.neighbors.value.length,
  known: member.known,
  received: member.received,
  broadcast: member.broadcasts,
  missed: member.messages.missed,
  unsent: member.unsent,
  lost: member.lost,
  overlooked: member.overlooked,
  malformed: member.malformed,
  excess: member.excess
})

const memoryBook = Effect.map(Layer.build(AddressBook.layerMemory()), (context) => Context.get(context, AddressBook))

/** A seed that nobody can guess: who knew which peers are drawn could take all places around a member. */
const seed = Effect.map(secureBytes(16), (bytes): [number, number, number, number] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)]
})
