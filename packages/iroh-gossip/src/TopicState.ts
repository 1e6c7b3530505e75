/**
 * One member's part in one topic, as a state machine: messages, orders and the time go in, commands come out. It does no
 * IO, keeps no clock and draws its chances from what it is given, so that whole swarms can be simulated.
 *
 * @since 0.1.0
 */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as HyParView from "./proto/HyParView.ts"
import type { BroadcastMessage, Message, PeerInfo, Scope, SwarmMessage } from "./Message.ts"
import * as PlumTree from "./proto/PlumTree.ts"
import type { Random } from "./Random.ts"
import { Timers } from "./Timers.ts"

/** What is to be done. */
export type Command =
  /** Send to a peer, which may have to be dialled. A Disconnect is the last for now: finish the stream after it. */
  | { readonly _tag: "Send"; readonly to: EndpointId.EndpointId; readonly message: Message }
  | { readonly _tag: "NeighborUp"; readonly peer: EndpointId.EndpointId }
  | { readonly _tag: "NeighborDown"; readonly peer: EndpointId.EndpointId; readonly reason: HyParView.DownReason }
  /** A broadcast for the application. `from` handed it on, and need not be its author. */
  | {
      readonly _tag: "Deliver"
      readonly content: Uint8Array
      readonly from: EndpointId.EndpointId
      readonly scope: Scope
    }
  /** `from` says how the peer can be reached. */
  | { readonly _tag: "Learn"; readonly peer: PeerInfo; readonly from: EndpointId.EndpointId }
  /** The peer is silent: send to it over a new connection from now on, and leave the old one open. */
  | { readonly _tag: "Reconnect"; readonly peer: EndpointId.EndpointId }
  /** There is no neighbour left, and joining is tried once more. */
  | { readonly _tag: "Rejoin"; readonly attempt: number }

/** Numbers of a topic; those left out are the protocol's. */
export interface TopicConfig {
  readonly membership?: Partial<HyParView.HyParViewConfig> | undefined
  readonly broadcast?: Partial<PlumTree.PlumTreeConfig> | undefined
}

type Timer = HyParView.HyParViewTimer | PlumTree.PlumTreeTimer

const isBroadcast = (message: Message): message is BroadcastMessage => {
  switch (message._tag) {
    case "Gossip":
    case "Graft":
    case "IHave":
    case "Prune":
      return true
    default:
      return false
  }
}

/** Times are milliseconds of one clock that never goes back. */
export class TopicState {
  readonly #timers = new Timers<Timer>()
  readonly #membership: HyParView.HyParView
  readonly #tree: PlumTree.PlumTree
  #commands: Array<Command> = []

  constructor(me: EndpointId.EndpointId, random: Random, config: TopicConfig = {}) {
    const send = (to: EndpointId.EndpointId, message: SwarmMessage | BroadcastMessage) =>
      void this.#commands.push({ _tag: "Send", to, message })
    const schedule = (at: number, timer: Timer) => this.#timers.add(at, timer)
    this.#tree = new PlumTree.PlumTree(
      { ...PlumTree.defaultConfig, ...config.broadcast },
      {
        send,
        schedule,
        deliver: (content, from, scope) => void this.#commands.push({ _tag: "Deliver", content, from, scope })
      }
    )
    this.#membership = new HyParView.HyParView(
      me,
      { ...HyParView.defaultConfig, isKey: EndpointId.isKey, ...config.membership },
      random,
      {
        send,
        schedule,
        up: (peer) => {
          this.#tree.up(peer)
          this.#commands.push({ _tag: "NeighborUp", peer })
        },
        down: (peer, reason) => {
          this.#tree.down(peer)
          this.#commands.push({ _tag: "NeighborDown", peer, reason })
        },
        learn: (peer, from) => void this.#commands.push({ _tag: "Learn", peer, from }),
        reconnect: (peer) => void this.#commands.push({ _tag: "Reconnect", peer }),
        rejoin: (attempt) => void this.#commands.push({ _tag: "Rejoin", attempt })
      }
    )
  }

  get membership(): HyParView.HyParView {
    return this.#membership
  }

  get tree(): PlumTree.PlumTree {
    return this.#tree
  }

  /** When {@link advance} has to be called next. */
  get deadline(): number | undefined {
    return this.#timers.next
  }

  /** Timers that run, bounded by what they are for. */
  get timers(): number {
    return this.#timers.size
  }

  /** Does what is due by now. */
  advance(now: number): ReadonlyArray<Command> {
    for (let timer = this.#timers.take(now); timer !== undefined; timer = this.#timers.take(now)) {
      switch (timer._tag) {
        case "Graft":
        case "Announce":
        case "Expire":
          this.#tree.fired(now, timer)
          break
        default:
          this.#membership.fired(now, timer)
      }
    }
    return this.#taken()
  }

  /** Sets what others are told about how to reach this member; see `AddrInfo`. */
  describe(data: Uint8Array | undefined): void {
    this.#membership.describe(data)
  }

  /** Asks peers to be let in, and again whenever there is no neighbour left. */
  join(now: number, peers: ReadonlyArray<EndpointId.EndpointId>): ReadonlyArray<Command> {
    this.#membership.join(now, peers)
    return this.#taken()
  }

  /** A message came from a peer. Byte strings in it may change afterwards. */
  received(now: number, from: EndpointId.EndpointId, message: Message): ReadonlyArray<Command> {
    this.#membership.heard(now, from)
    if (isBroadcast(message)) {
      this.#membership.strangerActs(now, from)
      this.#tree.received(now, from, message)
    } else this.#membership.received(now, from, message)
    return this.#taken()
  }

  /** Broadcasts a content, which must not change any more and must fit in a frame. */
  broadcast(now: number, content: Uint8Array, scope: "Swarm" | "Neighbors"): ReadonlyArray<Command> {
    this.#tree.broadcast(now, content, scope)
    return this.#taken()
  }

  /** A peer cannot be dialled, or the connection that is sent on was lost. */
  connectionLost(now: number, peer: EndpointId.EndpointId): ReadonlyArray<Command> {
    this.#membership.connectionLost(now, peer)
    return this.#taken()
  }

  /** Leaves. Nothing may be done with this afterwards. */
  quit(): ReadonlyArray<Command> {
    this.#membership.quit()
    return this.#taken()
  }

  #taken(): ReadonlyArray<Command> {
    const commands = this.#commands
    this.#commands = []
    return commands
  }
}
