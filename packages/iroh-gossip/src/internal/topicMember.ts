import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import { Malformed } from "@aster-effect/iroh/Malformed"
import type { ConnectError } from "@aster-effect/iroh/NodeError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as AddrInfo from "../AddrInfo.ts"
import * as Frame from "../Frame.ts"
import type { Message } from "../Message.ts"
import type { Received, TopicEvent } from "../Topic.ts"
import type { TopicId } from "../TopicId.ts"
import type { Command, TopicState } from "../TopicState.ts"
import { Backlog } from "./backlog.ts"
import { Latest } from "../Latest.ts"
import type { PeerLink } from "./peerLink.ts"

/** Events kept for slow readers. */
const eventCapacity = 256

/** What a member needs of its surroundings. */
export interface MemberHost {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  readonly link: (peer: EndpointId) => PeerLink
  readonly hint: (peer: EndpointId, info: AddrInfo.AddrInfo) => void
  /** A goodbye was said to or by a peer on this topic. */
  readonly parted: (peer: EndpointId) => void
  /** The most that a frame's payload may have. */
  readonly maxPayload: number
}

/** An event that does not yet say what was missed before it. */
type News = TopicEvent extends infer Event ? (Event extends TopicEvent ? Omit<Event, "missed"> : never) : never

/** This node's part in one topic: does what the state machine says, and wakes it when it is time. */
export class TopicMember {
  readonly id: TopicId
  readonly messages: Backlog<Received>
  readonly events = new Backlog<TopicEvent>(eventCapacity)
  readonly neighbors = new Latest<ReadonlyArray<EndpointId>>([])
  /** Subscriptions that share this member. */
  users = 0
  received = 0
  broadcasts = 0
  malformed = 0
  excess = 0
  unsent = 0
  readonly #state: TopicState
  readonly #host: MemberHost
  #ended = false
  /** What the sleep of the clock's fiber is interrupted by. */
  #alarm = Deferred.makeUnsafe<void>()
  #wakeAt = -Infinity
  /** One message goes to several peers, one after the other, as the same frame. */
  #framed: { readonly message: Message; readonly frame: Uint8Array } | undefined

  constructor(id: TopicId, state: TopicState, host: MemberHost, capacity: number) {
    this.id = id
    this.#state = state
    this.#host = host
    this.messages = new Backlog(capacity)
  }

  get isEnded(): boolean {
    return this.#ended
  }

  get known(): number {
    return this.#state.membership.passive.size
  }

  get lost(): number {
    return this.#state.tree.losses
  }

  get overlooked(): number {
    return this.#state.tree.overlooked
  }

  /** Neighbours that broadcasts are pushed to. */
  get eager(): Iterable<EndpointId> {
    return this.#state.tree.eager
  }

  /** Whether a connection with this peer is of use to this topic. */
  needs(peer: EndpointId): boolean {
    return this.#state.membership.needs(this.#host.now(), peer)
  }

  describe(data: Uint8Array): void {
    this.#state.describe(data)
  }

  join(peers: ReadonlyArray<EndpointId>): void {
    this.#do(this.#state.join(this.#host.now(), peers))
  }

  /** @param now of the host's clock, which is not asked for each message of many that come together */
  take(now: number, from: EndpointId, message: Message): void {
    if (this.#ended) return
    this.#do(this.#state.received(now, from, message))
    if (message._tag === "Disconnect") this.#host.parted(from)
  }

  broadcast(content: Uint8Array, scope: "Swarm" | "Neighbors"): void {
    this.broadcasts++
    this.#do(this.#state.broadcast(this.#host.now(), new Uint8Array(content), scope))
  }

  connectionLost(peer: EndpointId): void {
    if (!this.#ended) this.#do(this.#state.connectionLost(this.#host.now(), peer))
  }

  dialFailed(peer: EndpointId, error: ConnectError): void {
    if (this.#ended) return
    const matters = this.needs(peer) || this.#state.membership.isContact(peer)
    if (matters) this.#tell({ _tag: "DialFailed", peer, error })
    this.connectionLost(peer)
  }

  dropped(peer: EndpointId, cause: string): void {
    if (this.needs(peer)) this.#tell({ _tag: "PeerDropped", peer, cause })
  }

  /** Says goodbye and ends all streams of the subscribers. */
  quit(): void {
    if (this.#ended) return
    this.#do(this.#state.quit())
    this.#ended = true
    this.messages.end()
    this.events.end()
    this.neighbors.set([])
    this.neighbors.end()
    this.#ring()
  }

  /** Does what is due, until the end. */
  readonly runClock: Effect.Effect<void> = Effect.suspend(() => this.#tick())

  readonly #tick = Effect.fnUntraced(function* (this: TopicMember) {
    while (!this.#ended) {
      const deadline = this.#state.deadline ?? Infinity
      const wait = deadline - this.#host.now()
      if (wait > 0) {
        this.#wakeAt = deadline
        const alarm = Deferred.await(this.#alarm)
        yield* wait === Infinity ? alarm : Effect.raceFirst(Effect.sleep(Math.ceil(wait)), alarm)
        this.#wakeAt = -Infinity
      } else this.#do(this.#state.advance(this.#host.now()))
    }
  })

  #ring(): void {
    const alarm = this.#alarm
    this.#alarm = Deferred.makeUnsafe()
    // Once is enough: whoever wakes up looks when to wake up next.
    this.#wakeAt = -Infinity
    Deferred.doneUnsafe(alarm, Effect.void)
  }

  #do(commands: ReadonlyArray<Command>): void {
    for (const command of commands) this.#execute(command)
    this.#framed = undefined
    if ((this.#state.deadline ?? Infinity) < this.#wakeAt) this.#ring()
  }

  #execute(command: Command): void {
    switch (command._tag) {
      case "Send":
        return this.#send(command.to, command.message)
      case "Deliver":
        this.received++
        return this.messages.push({
          content: new Uint8Array(command.content),
          from: command.from,
          scope: command.scope,
          missed: 0
        })
      case "NeighborUp":
        this.neighbors.set([...this.neighbors.value, command.peer])
        return this.#tell(command)
      case "NeighborDown":
        this.neighbors.set(this.neighbors.value.filter((peer) => peer !== command.peer))
        return this.#tell(command)
      case "Rejoin":
        return this.#tell({ _tag: "Rejoining", attempt: command.attempt })
      case "Learn":
        return this.#learn(command.peer.id, command.peer.data)
      case "Reconnect":
        return this.#host.link(command.peer).reconnect()
    }
  }

  #send(to: EndpointId, message: Message): void {
    if (this.#framed?.message !== message) this.#framed = { message, frame: Frame.encode(message) }
    const { frame } = this.#framed
    // A peer of the reference that was sent more would stop listening.
    if (Frame.payloadLength(frame) >= this.#host.maxPayload) return
    const last = message._tag === "Disconnect"
    const droppable = message._tag === "Gossip" || message._tag === "IHave"
    this.#host.link(to).send({ topic: this.id, frame, last, droppable })
    if (last) this.#host.parted(to)
  }

  #learn(peer: EndpointId, data: Uint8Array | undefined): void {
    if (data === undefined) return
    try {
      this.#host.hint(peer, AddrInfo.decode(data))
    } catch (error) {
      // As the reference does: the message that it came with stands.
      if (!(error instanceof Malformed)) throw error
    }
  }

  #tell(news: News): void {
    this.events.push({ ...news, missed: 0 })
  }
}
