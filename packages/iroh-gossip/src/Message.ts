/**
 * What members of a topic say to each other (iroh-gossip wire, Messages).
 *
 * @since 0.1.0
 */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { Malformed } from "@aster-effect/iroh/Malformed"
import { PostcardReader, PostcardWriter } from "@aster-effect/iroh/Postcard"
import * as MessageId from "./proto/MessageId.ts"

/** An endpoint and, as opaque bytes, how it can be reached; see `AddrInfo`. */
export interface PeerInfo {
  readonly id: EndpointId.EndpointId
  readonly data: Uint8Array | undefined
}

/** How far a broadcast goes: through the swarm, `round` hops from its author so far, or to the author's neighbours only. */
export type Scope = { readonly _tag: "Swarm"; readonly round: number } | { readonly _tag: "Neighbors" }

/** How much a peer wants to become a neighbour: `High` when it has none, and cannot be refused. */
export type Priority = "High" | "Low"

/** A newcomer asks its contact to be let in. */
export interface Join {
  readonly _tag: "Join"
  readonly data: Uint8Array | undefined
}
/** A newcomer's name on a random walk. */
export interface ForwardJoin {
  readonly _tag: "ForwardJoin"
  readonly peer: PeerInfo
  readonly ttl: number
}
/** Names on a random walk, to be exchanged for others. */
export interface Shuffle {
  readonly _tag: "Shuffle"
  readonly origin: EndpointId.EndpointId
  readonly nodes: ReadonlyArray<PeerInfo>
  readonly ttl: number
}
/** The names that were given in exchange, or that a leaving member passes on. */
export interface ShuffleReply {
  readonly _tag: "ShuffleReply"
  readonly nodes: ReadonlyArray<PeerInfo>
}
/** A peer wants to be a neighbour, or agrees to be one. */
export interface Neighbor {
  readonly _tag: "Neighbor"
  readonly priority: Priority
  readonly data: Uint8Array | undefined
}
/** A peer is a neighbour no longer; `alive` when it stays in the swarm. */
export interface Disconnect {
  readonly _tag: "Disconnect"
  readonly alive: boolean
}
/** A broadcast. */
export interface Gossip {
  readonly _tag: "Gossip"
  readonly id: MessageId.MessageId
  readonly content: Uint8Array
  readonly scope: Scope
}
/** Do not send me broadcasts, announce them. */
export interface Prune {
  readonly _tag: "Prune"
}
/** Send me broadcasts from now on, and this one. */
export interface Graft {
  readonly _tag: "Graft"
  readonly id: MessageId.MessageId | undefined
  readonly round: number
}
/** What a broadcast can be had as. */
export interface Announcement {
  readonly id: MessageId.MessageId
  readonly round: number
}
/** Broadcasts that I have. */
export interface IHave {
  readonly _tag: "IHave"
  readonly announcements: ReadonlyArray<Announcement>
}

/** Messages by which a swarm holds together. */
export type SwarmMessage = Join | ForwardJoin | Shuffle | ShuffleReply | Neighbor | Disconnect
/** Messages by which broadcasts spread. */
export type BroadcastMessage = Gossip | Prune | Graft | IHave
/** All messages. */
export type Message = SwarmMessage | BroadcastMessage

/** Bytes of a frame that holds an announcement list without its entries, and of an entry at most. */
const IHAVE_OVERHEAD = 4
const ANNOUNCEMENT_SIZE = 35

/** How many announcements fit in a payload of `size` bytes. */
export const announcementsIn = (size: number): number =>
  Math.max(1, Math.floor((size - IHAVE_OVERHEAD) / ANNOUNCEMENT_SIZE))

/** What a broadcast takes apart from its content: kinds, id, length, and a scope with room for 127 hops. */
const GOSSIP_OVERHEAD = 2 + 32 + 2 + 2

/** The longest content that fits, wherever it travels, in payloads of `size` bytes. */
export const contentIn = (size: number): number => size - GOSSIP_OVERHEAD

/** Exactly what a broadcast takes, so that its bytes are made once. */
const gossipSize = ({ content: { length }, scope }: Gossip): number =>
  2 + 32 + varintSize(length) + length + (scope._tag === "Swarm" ? 1 + varintSize(scope.round) : 1)

const varintSize = (value: number): number => (value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4)

/** The payload of a frame, preceded by `prefix` bytes that are left zero. */
export const encode = (message: Message, prefix = 0): Uint8Array => {
  const writer = new PostcardWriter(message._tag === "Gossip" ? prefix + gossipSize(message) : 64)
  for (let i = 0; i < prefix; i++) writer.byte(0)
  switch (message._tag) {
    case "Join":
      writeData(writer.byte(0).byte(0), message.data)
      break
    case "ForwardJoin":
      writePeer(writer.byte(0).byte(1), message.peer)
      writer.varint(message.ttl)
      break
    case "Shuffle":
      writer.byte(0).byte(2).raw(EndpointId.toBytes(message.origin))
      writePeers(writer, message.nodes)
      writer.varint(message.ttl)
      break
    case "ShuffleReply":
      writePeers(writer.byte(0).byte(3), message.nodes)
      break
    case "Neighbor":
      writeData(
        writer
          .byte(0)
          .byte(4)
          .byte(message.priority === "High" ? 0 : 1),
        message.data
      )
      break
    case "Disconnect":
      writer
        .byte(0)
        .byte(5)
        .byte(message.alive ? 1 : 0)
        .byte(0)
      break
    case "Gossip":
      writer.byte(1).byte(0).raw(MessageId.toBytes(message.id)).varint(message.content.length).raw(message.content)
      if (message.scope._tag === "Swarm") writer.byte(0).varint(message.scope.round)
      else writer.byte(1)
      break
    case "Prune":
      writer.byte(1).byte(1)
      break
    case "Graft":
      writer.byte(1).byte(2)
      if (message.id === undefined) writer.byte(0)
      else writer.byte(1).raw(MessageId.toBytes(message.id))
      writer.varint(message.round)
      break
    case "IHave":
      writer.byte(1).byte(3).varint(message.announcements.length)
      for (const { id, round } of message.announcements) writer.raw(MessageId.toBytes(id)).varint(round)
      break
  }
  return writer.finish()
}

/**
 * Reads a payload. Byte strings are views of it; bytes after the message are ignored.
 *
 * @throws Malformed
 */
export const decode = (payload: Uint8Array): Message => {
  const reader = new PostcardReader(payload)
  const layer = reader.varint()
  const kind = reader.varint()
  if (layer === 0) return decodeSwarm(kind, reader)
  if (layer === 1) return decodeBroadcast(kind, reader)
  throw new Malformed(`is of layer ${layer}`)
}

const decodeSwarm = (kind: number, reader: PostcardReader): SwarmMessage => {
  switch (kind) {
    case 0:
      return { _tag: "Join", data: readData(reader) }
    case 1:
      return { _tag: "ForwardJoin", peer: readPeer(reader), ttl: readU16(reader) }
    case 2:
      return { _tag: "Shuffle", origin: readId(reader), nodes: readPeers(reader), ttl: readU16(reader) }
    case 3:
      return { _tag: "ShuffleReply", nodes: readPeers(reader) }
    case 4:
      return { _tag: "Neighbor", priority: readPriority(reader), data: readData(reader) }
    case 5: {
      const alive = readBool(reader)
      readBool(reader) // obsolete
      return { _tag: "Disconnect", alive }
    }
    default:
      throw new Malformed(`is a swarm message of kind ${kind}`)
  }
}

const decodeBroadcast = (kind: number, reader: PostcardReader): BroadcastMessage => {
  switch (kind) {
    case 0: {
      const id = MessageId.fromBytes(reader.take(32))
      return { _tag: "Gossip", id, content: reader.take(reader.length(1)), scope: readScope(reader) }
    }
    case 1:
      return PRUNE
    case 2:
      return {
        _tag: "Graft",
        id: readBool(reader) ? MessageId.fromBytes(reader.take(32)) : undefined,
        round: readU16(reader)
      }
    case 3: {
      const announcements: Array<Announcement> = []
      for (let left = reader.length(33); left > 0; left--)
        announcements.push({ id: MessageId.fromBytes(reader.take(32)), round: readU16(reader) })
      return { _tag: "IHave", announcements }
    }
    default:
      throw new Malformed(`is a broadcast message of kind ${kind}`)
  }
}

/** The one Prune there is. */
export const PRUNE: Prune = { _tag: "Prune" }

const writeData = (writer: PostcardWriter, data: Uint8Array | undefined): void => {
  if (data === undefined) writer.byte(0)
  else writer.byte(1).varint(data.length).raw(data)
}

const writePeer = (writer: PostcardWriter, { data, id }: PeerInfo): void => {
  writeData(writer.raw(EndpointId.toBytes(id)), data)
}

const writePeers = (writer: PostcardWriter, peers: ReadonlyArray<PeerInfo>): void => {
  writer.varint(peers.length)
  for (const peer of peers) writePeer(writer, peer)
}

const readBool = (reader: PostcardReader): boolean => {
  const byte = reader.byte()
  if (byte > 1) throw new Malformed(`has ${byte} where 0 or 1 was expected`)
  return byte === 1
}

const readU16 = (reader: PostcardReader): number => {
  const value = reader.varint()
  if (value > 0xffff) throw new Malformed(`has ${value} where 65535 is the most`)
  return value
}

const readId = (reader: PostcardReader): EndpointId.EndpointId => EndpointId.fromBytes(reader.take(32))

const readData = (reader: PostcardReader): Uint8Array | undefined =>
  readBool(reader) ? reader.take(reader.length(1)) : undefined

const readPeer = (reader: PostcardReader): PeerInfo => ({ id: readId(reader), data: readData(reader) })

const readPeers = (reader: PostcardReader): Array<PeerInfo> => {
  const peers: Array<PeerInfo> = []
  for (let left = reader.length(33); left > 0; left--) peers.push(readPeer(reader))
  return peers
}

const readPriority = (reader: PostcardReader): Priority => {
  const index = reader.varint()
  if (index > 1) throw new Malformed(`has a priority of ${index}`)
  return index === 0 ? "High" : "Low"
}

const readScope = (reader: PostcardReader): Scope => {
  const index = reader.varint()
  if (index === 0) return { _tag: "Swarm", round: readU16(reader) }
  if (index === 1) return NEIGHBORS
  throw new Malformed(`has a scope of ${index}`)
}

/** The scope of the author's neighbours. */
export const NEIGHBORS: Scope = { _tag: "Neighbors" }
