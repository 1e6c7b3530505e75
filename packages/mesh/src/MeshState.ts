/**
 * What the producers of one deployment have in common, and its form in `mesh_state.json` (Aster admission, producer
 * mesh). Pure: texts and values in, values out.
 *
 * @since 0.1.0
 */
import { type RootPublicKey, toBytes } from "@aster-effect/config/RootPublicKey"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { blake3 } from "@noble/hashes/blake3.js"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * The gossip topic of a mesh, 64 hex digits: BLAKE3 over the root key, the text `aster-producer-mesh` and the salt.
 *
 * @param salt 32 bytes
 * @since 0.1.0
 */
export const topicId = (root: RootPublicKey, salt: Uint8Array): string => {
  const hash = blake3.create()
  for (const part of [toBytes(root), new TextEncoder().encode("aster-producer-mesh"), salt]) hash.update(part)
  return Hex.encode(hash.digest())
}

/** Most producers of a mesh: as many ids as an admission reply of 64 KiB holds. @since 0.1.0 */
export const MAX_PRODUCERS = 900

const HexId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
const Millis = Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))

const Numbers = Schema.Record(Schema.String, Schema.Int).pipe(Schema.withDecodingDefaultKey(Effect.succeed({})))
const Ids = Schema.Array(HexId).pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))

/** What release 0.1.2 has, and from `producer_expiry` on what is ours, which it ignores. `mesh_dead` is never restored. */
const StateFile = Schema.fromJsonString(
  Schema.Struct({
    accepted_producers: Schema.Array(HexId),
    salt: HexId,
    topic_id: HexId,
    peer_offsets: Numbers,
    drift_isolated: Ids,
    last_heartbeat_epoch_ms: Millis,
    mesh_joined_at_epoch_ms: Millis,
    producer_expiry: Numbers,
    producer_addresses: Schema.Record(Schema.String, Schema.String).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed({}))
    ),
    removed_producers: Ids,
    rotated_at_epoch_ms: Millis
  })
)

/**
 * Ids are 64 lower-case hex digits, times milliseconds since the Unix epoch.
 *
 * | key | |
 * |---|---|
 * | `producer_expiry` | until when each producer is accepted, where that is known |
 * | `producer_addresses` | where some of them were reached last, as node addresses in base64 |
 * | `removed_producers` | who was put out, and is let in by nobody who has this state |
 * | `rotated_at_epoch_ms` | when the salt was made, if it is not the first one |
 *
 * @since 0.1.0
 */
export type MeshState = typeof StateFile.Type

const decodeState = Schema.decodeUnknownOption(StateFile)

/** A new mesh with one member. @since 0.1.0 */
export const found = (
  root: RootPublicKey,
  self: EndpointId.EndpointId,
  salt: Uint8Array,
  nowMillis: number
): MeshState => ({
  accepted_producers: [self],
  salt: Hex.encode(salt),
  topic_id: topicId(root, salt),
  peer_offsets: {},
  drift_isolated: [],
  last_heartbeat_epoch_ms: 0,
  mesh_joined_at_epoch_ms: nowMillis,
  producer_expiry: {},
  producer_addresses: {},
  removed_producers: [],
  rotated_at_epoch_ms: 0
})

/** The same producers under another salt, and so on another topic. @since 0.1.0 */
export const withSalt = (state: MeshState, root: RootPublicKey, salt: Uint8Array, atMillis: number): MeshState => ({
  ...state,
  salt: Hex.encode(salt),
  topic_id: topicId(root, salt),
  rotated_at_epoch_ms: atMillis
})

/** Most producers that are kept out. @since 0.1.0 */
export const MAX_REMOVED = 10_000

/** The state without these, and with nobody letting them in again. @since 0.1.0 */
export const without = (state: MeshState, removed: ReadonlyArray<string>): MeshState => {
  const gone = new Set(removed)
  return {
    ...onlyWith(state, (id) => !gone.has(id)),
    removed_producers: [...new Set([...state.removed_producers, ...removed])].toSorted().slice(0, MAX_REMOVED)
  }
}

/** The state with those producers only that are kept. @since 0.1.0 */
export const onlyWith = (state: MeshState, isKept: (id: string) => boolean): MeshState => {
  const filtered = <A>(record: Readonly<Record<string, A>>): Record<string, A> =>
    Object.fromEntries(Object.entries(record).filter(([id]) => isKept(id)))
  return {
    ...state,
    accepted_producers: state.accepted_producers.filter(isKept),
    drift_isolated: state.drift_isolated.filter(isKept),
    peer_offsets: filtered(state.peer_offsets),
    producer_expiry: filtered(state.producer_expiry),
    producer_addresses: filtered(state.producer_addresses)
  }
}

/** The state with another member; the same state when it is one. @since 0.1.0 */
export const withMember = (state: MeshState, id: EndpointId.EndpointId): MeshState =>
  state.accepted_producers.includes(id)
    ? state
    : { ...state, accepted_producers: [...state.accepted_producers, id].toSorted() }

/** Everybody, in ascending order. @since 0.1.0 */
export const members = (state: MeshState): ReadonlyArray<EndpointId.EndpointId> =>
  state.accepted_producers.map(EndpointId.parse)

/** The text of a state file, as release 0.1.2 reads it. @since 0.1.0 */
export const format = (state: MeshState): string => `${JSON.stringify({ ...state, mesh_dead: false }, undefined, 2)}\n`

/**
 * Reads a state file without knowing whose mesh it is, for showing it; undefined when it is damaged.
 *
 * @since 0.1.0
 */
export const decode = (text: string): MeshState | undefined => Option.getOrUndefined(decodeState(text))

/** Reads a state file of a root key's mesh; the failure says what is wrong and what to do. @since 0.1.0 */
export const parse = (text: string, root: RootPublicKey): Result.Result<MeshState, string> => {
  const state = decode(text)
  if (state === undefined) return Result.fail("is damaged; restore it, or remove it to found a new mesh")
  return state.topic_id === topicId(root, EndpointId.toBytes(EndpointId.parse(state.salt)))
    ? Result.succeed({ ...state, accepted_producers: [...new Set(state.accepted_producers)].toSorted() })
    : Result.fail("was tampered with or belongs to another root key; remove it to found a new mesh")
}
