/**
 * What lasts of a mesh: who is accepted, and the salt from which the topic follows (Aster admission, producer mesh). What
 * happens on the topic is `Mesh`.
 *
 * @since 0.1.0
 */
import type { Join } from "@aster-effect/admission/ProducerAdmission"
import * as AtomicFile from "@aster-effect/config/AtomicFile"
import * as BoundedFile from "@aster-effect/config/BoundedFile"
import * as FileLock from "@aster-effect/config/FileLock"
import type { FileError } from "@aster-effect/config/FileError"
import { expandHome } from "@aster-effect/config/HomeDirectory"
import type { RootPublicKey } from "@aster-effect/config/RootPublicKey"
import type * as EndpointId from "@aster-effect/iroh/EndpointId"
import { Latest } from "@aster-effect/iroh-gossip/Latest"
import { secureBytes } from "@aster-effect/iroh/SecureBytes"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type * as Stream from "effect/Stream"
import * as nodePath from "node:path"
import * as MeshState from "./MeshState.ts"

/**
 * The mesh cannot take anybody in, or its state cannot be used.
 *
 * | reason | meaning |
 * |---|---|
 * | `Damaged` | the file is not what this writes, or its topic does not follow from root key and salt |
 * | `Unavailable` | the file could not be read or written |
 * | `Full` | as many producers as a reply can name |
 * | `Removed` | the producer was put out of the mesh |
 *
 * @since 0.1.0
 */
export class MeshError extends Schema.TaggedError<MeshError>()("MeshError", {
  reason: Schema.Literals(["Damaged", "Unavailable", "Full", "Removed"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `producer mesh: ${this.detail}`
  }
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
    /** 64 hex digits, as of now; whoever has it can find the topic, so it is for accepted producers only. */
    readonly salt: string
    /** 64 hex digits, as of now. */
    readonly topicId: string
    /** Whether a producer is accepted now. */
    readonly accepts: (id: EndpointId.EndpointId) => boolean
    /** Takes a producer in, durably where there is a directory; answers everybody in the mesh, in ascending order. */
    readonly accept: (id: EndpointId.EndpointId) => Effect.Effect<ReadonlyArray<EndpointId.EndpointId>, MeshError>
    /** Everybody in the mesh, in ascending order. */
    readonly acceptedProducers: Effect.Effect<ReadonlyArray<EndpointId.EndpointId>>
    /** Everything, as of now. */
    readonly state: Effect.Effect<MeshState.MeshState>
    /** The state now, and each that it changes to. */
    readonly changes: Stream.Stream<MeshState.MeshState>
    /**
     * Changes the state, durably where there is a directory. Others may have changed it since: `change` gets what holds now.
     * This node stays part of it.
     */
    readonly update: (
      change: (state: MeshState.MeshState) => MeshState.MeshState
    ) => Effect.Effect<MeshState.MeshState, MeshError>
  }
>()("@aster-effect/mesh/ProducerMesh") {
  /** A new mesh that ends with the process. */
  static readonly layerMemory = (options: MeshOptions): Layer.Layer<ProducerMesh> =>
    Layer.effect(
      this,
      Effect.map(newState(options), (state) => inMemory(state, options.self))
    )

  /**
   * The mesh whose state is in `mesh_state.json` of a directory, else a new one that is kept there, in the form that
   * 0.1.2 reads. Fails when the file is damaged or belongs to another root key.
   */
  static readonly layerDirectory = (directory: string, options: MeshOptions): Layer.Layer<ProducerMesh, MeshError> =>
    Layer.effect(this, open(directory, options))
}

/** What the producer admission handshake does with a newcomer where the mesh has no topic. @since 0.1.0 */
export const joining =
  (mesh: ProducerMesh["Service"]): Join =>
  (producer) =>
    Effect.map(mesh.accept(producer), (acceptedProducers) => ({ salt: mesh.salt, acceptedProducers }))

const newState = ({ root, self }: MeshOptions): Effect.Effect<MeshState.MeshState> =>
  Effect.zipWith(secureBytes(32), Clock.currentTimeMillis, (salt, now) => MeshState.found(root, self, salt, now))

/** Changes the state: `change` gets what holds now and answers what is to hold, which is durable when this is done. */
type Update = (
  change: (state: MeshState.MeshState) => Effect.Effect<MeshState.MeshState, MeshError>
) => Effect.Effect<MeshState.MeshState, MeshError>

const make = (initial: MeshState.MeshState, self: EndpointId.EndpointId, update: Update): ProducerMesh["Service"] => {
  const turn = Semaphore.makeUnsafe(1)
  const latest = new Latest(initial)
  let accepted: ReadonlySet<string> = new Set(initial.accepted_producers)
  const changing = (change: Parameters<Update>[0]) =>
    Effect.tap(
      update((state) => Effect.map(change(state), (next) => MeshState.withMember(next, self))),
      (next) =>
        Effect.sync(() => {
          accepted = new Set(next.accepted_producers)
          latest.set(next)
        })
    ).pipe(Effect.uninterruptible, Semaphore.withPermit(turn))
  const taking = (id: EndpointId.EndpointId) => (now: MeshState.MeshState) => {
    const refuse = (reason: MeshError["reason"], detail: string) => Effect.fail(new MeshError({ reason, detail }))
    if (now.removed_producers.includes(id))
      return refuse("Removed", `${id} was put out; reinstate it to let it in again`)
    const next = MeshState.withMember(now, id)
    return next !== now && next.accepted_producers.length > MeshState.MAX_PRODUCERS
      ? refuse("Full", `it has ${MeshState.MAX_PRODUCERS} producers already`)
      : Effect.succeed(next)
  }
  return {
    get salt() {
      return latest.value.salt
    },
    get topicId() {
      return latest.value.topic_id
    },
    accepts: (id) => accepted.has(id),
    accept: (id) =>
      Effect.suspend(() => (accepted.has(id) ? Effect.succeed(latest.value) : changing(taking(id)))).pipe(
        Effect.map(MeshState.members)
      ),
    acceptedProducers: Effect.sync(() => MeshState.members(latest.value)),
    state: Effect.sync(() => latest.value),
    changes: latest.changes,
    update: (change) => changing((state) => Effect.sync(() => change(state)))
  }
}

/** One at a time: nobody else knows the state. */
const inMemory = (initial: MeshState.MeshState, self: EndpointId.EndpointId): ProducerMesh["Service"] => {
  let state = initial
  return make(initial, self, (change) =>
    Effect.tap(
      Effect.suspend(() => change(state)),
      (next) =>
        Effect.sync(() => {
          state = next
        })
    )
  )
}

/** Other processes may share the directory: what they have written is read before it is changed. */
const open = Effect.fnUntraced(function* (
  directory: string,
  options: MeshOptions
): Effect.fn.Return<ProducerMesh["Service"], MeshError> {
  const file = nodePath.join(expandHome(directory), "mesh_state.json")
  const unavailable = ({ message }: FileError) => new MeshError({ reason: "Unavailable", detail: message })
  const read = BoundedFile.read(file).pipe(
    Effect.map(({ text }) => text),
    Effect.catchIf(
      ({ code }) => code === "ENOENT",
      () => Effect.succeed(undefined)
    ),
    Effect.mapError(unavailable),
    Effect.flatMap((text) => (text === undefined ? newState(options) : restored(text, file, options)))
  )
  const update: Update = (change) =>
    FileLock.withLock(
      [file],
      Effect.tap(Effect.flatMap(read, change), (next) =>
        Effect.mapError(AtomicFile.write(file, MeshState.format(next)), unavailable)
      )
    ).pipe(Effect.catchTag("FileError", (error) => Effect.fail(unavailable(error))))
  return make(yield* update(Effect.succeed), options.self, update)
})

const restored = (
  text: string,
  file: string,
  { root, self }: MeshOptions
): Effect.Effect<MeshState.MeshState, MeshError> =>
  Effect.fromResult(MeshState.parse(text, root)).pipe(
    Effect.mapBoth({
      onSuccess: (state) => MeshState.withMember(state, self),
      onFailure: (problem) => new MeshError({ reason: "Damaged", detail: `${file} ${problem}` })
    })
  )
