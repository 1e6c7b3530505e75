/**
 * The producers of one deployment: who is accepted, and the salt from which their gossip topic follows (Aster admission,
 * producer mesh). Joining the topic is not done here.
 *
 * @since 0.1.0
 */
import * as nodePath from "node:path"
import { type RootPublicKey, toBytes } from "@aster-effect/config/RootPublicKey"
import * as SecretFile from "@aster-effect/config/SecretFile"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { blake3 } from "@noble/hashes/blake3.js"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Hex from "effect/encoding/Hex"
import * as SecureRandom from "effect/crypto/SecureRandom"

/**
 * The mesh cannot take anybody in, or its state cannot be used.
 *
 * | reason | meaning |
 * |---|---|
 * | `Damaged` | the file is not what this writes, or its topic does not follow from root key and salt |
 * | `Unavailable` | the file could not be read or written |
 * | `Full` | as many producers as a reply can name |
 *
 * @since 0.1.0
 */
export class MeshError extends Schema.TaggedError<MeshError>()("MeshError", {
  reason: Schema.Literals(["Damaged", "Unavailable", "Full"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `producer mesh: ${this.detail}`
  }
}

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

/** @since 0.1.0 */
export interface MeshOptions {
  readonly root: RootPublicKey
  /** This node, which belongs to the mesh from the beginning. */
  readonly self: EndpointId.EndpointId
}

/** @since 0.1.0 */
export class ProducerMesh extends Context.Service<
  ProducerMesh,
  {
    /** 64 hex digits; whoever has it can find the topic, so it is for accepted producers only. */
    readonly salt: string
    /** 64 hex digits. */
    readonly topicId: string
    /** Takes a producer in, durably where there is a directory; answers everybody in the mesh, in ascending order. */
    readonly accept: (id: EndpointId.EndpointId) => Effect.Effect<ReadonlyArray<EndpointId.EndpointId>, MeshError>
    /** Everybody in the mesh, in ascending order. */
    readonly acceptedProducers: Effect.Effect<ReadonlyArray<EndpointId.EndpointId>>
  }
>()("@aster-effect/admission/ProducerMesh") {
  /** A new mesh that ends with the process. */
  static readonly layerMemory = (options: MeshOptions): Layer.Layer<ProducerMesh> =>
    Layer.effect(
      this,
      Effect.flatMap(newState(options), (state) => make(state, () => Effect.void))
    )

  /**
   * The mesh whose state is in `mesh_state.json` of a directory, else a new one that is kept there, in the form that
   * 0.1.2 reads. Fails when the file is damaged or belongs to another root key.
   */
  static readonly layerDirectory = (directory: string, options: MeshOptions): Layer.Layer<ProducerMesh, MeshError> =>
    Layer.effect(this, open(directory, options))
}

/** As many ids as an admission reply of 64 KiB holds. */
const maxProducers = 900

const HexId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
const Millis = Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))

/** `peer_offsets` to `mesh_joined_at_epoch_ms` are gossip's and only kept; `mesh_dead` is never brought back to life. */
const StateFile = Schema.fromJsonString(
  Schema.Struct({
    accepted_producers: Schema.Array(HexId),
    salt: HexId,
    topic_id: HexId,
    peer_offsets: Schema.Record(Schema.String, Schema.Int).pipe(Schema.withDecodingDefaultKey(Effect.succeed({}))),
    drift_isolated: Schema.Array(HexId).pipe(Schema.withDecodingDefaultKey(Effect.succeed([]))),
    last_heartbeat_epoch_ms: Millis,
    mesh_joined_at_epoch_ms: Millis
  })
)
type State = typeof StateFile.Type

const decodeState = Schema.decodeUnknownOption(StateFile)

const randomSalt: Effect.Effect<Uint8Array> = Effect.flatMap(
  Effect.serviceOption(SecureRandom.SecureRandom),
  Option.match({
    onNone: () => Effect.sync(() => SecureRandom.randomBytesUnsafe(32)),
    onSome: (random) => random.randomBytes(32)
  })
)

const newState = Effect.fnUntraced(function* ({ root, self }: MeshOptions): Effect.fn.Return<State> {
  const salt = yield* randomSalt
  return {
    accepted_producers: [self],
    salt: Hex.encode(salt),
    topic_id: topicId(root, salt),
    peer_offsets: {},
    drift_isolated: [],
    last_heartbeat_epoch_ms: 0,
    mesh_joined_at_epoch_ms: yield* Clock.currentTimeMillis
  }
})

const make = (
  initial: State,
  save: (state: State) => Effect.Effect<void, MeshError>
): Effect.Effect<ProducerMesh["Service"]> =>
  Effect.sync(() => {
    const turn = Semaphore.makeUnsafe(1)
    let state = initial
    const members = () => state.accepted_producers.map(EndpointId.parse)
    const accept = Effect.fnUntraced(function* (id: EndpointId.EndpointId) {
      if (state.accepted_producers.includes(id)) return members()
      if (state.accepted_producers.length >= maxProducers) {
        return yield* new MeshError({ reason: "Full", detail: `it has ${maxProducers} producers already` })
      }
      const next = { ...state, accepted_producers: [...state.accepted_producers, id].toSorted() }
      yield* save(next)
      state = next
      return members()
    })
    return {
      salt: initial.salt,
      topicId: initial.topic_id,
      accept: (id) => Semaphore.withPermit(turn, Effect.uninterruptible(accept(id))),
      acceptedProducers: Effect.sync(members)
    }
  })

const open = Effect.fnUntraced(function* (
  directory: string,
  options: MeshOptions
): Effect.fn.Return<ProducerMesh["Service"], MeshError> {
  const file = nodePath.join(SecretFile.expandHome(directory), "mesh_state.json")
  const unavailable = ({ message }: SecretFile.FileError) => new MeshError({ reason: "Unavailable", detail: message })
  const save = (state: State) =>
    Effect.mapError(
      SecretFile.write(file, `${JSON.stringify({ ...state, mesh_dead: false }, undefined, 2)}\n`),
      unavailable
    )
  const text = yield* SecretFile.read(file).pipe(
    Effect.map(({ text }) => text),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed(undefined)
    ),
    Effect.mapError(unavailable)
  )
  const state = text === undefined ? yield* newState(options) : yield* restored(text, file, options)
  yield* save(state)
  return yield* make(state, save)
})

const restored = (text: string, file: string, { root, self }: MeshOptions): Effect.Effect<State, MeshError> => {
  const damaged = (detail: string) => Effect.fail(new MeshError({ reason: "Damaged", detail: `${file} ${detail}` }))
  const state = Option.getOrUndefined(decodeState(text))
  if (state === undefined) return damaged("is damaged; restore it, or remove it to found a new mesh")
  if (state.topic_id !== topicId(root, EndpointId.toBytes(EndpointId.parse(state.salt)))) {
    return damaged("was tampered with or belongs to another root key; remove it to found a new mesh")
  }
  return Effect.succeed({
    ...state,
    accepted_producers: [...new Set([...state.accepted_producers, self])].toSorted()
  })
}
