import type * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { secureBytes } from "@aster-effect/iroh/SecureBytes"
import { Gossip } from "@aster-effect/iroh-gossip/Gossip"
import { Latest } from "@aster-effect/iroh-gossip/Latest"
import { xoshiro } from "@aster-effect/iroh-gossip/Random"
import type { Topic } from "@aster-effect/iroh-gossip/Topic"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { supervise } from "@aster-effect/iroh/Supervisor"
import { AdmittedPeers } from "@aster-effect/trust/AdmittedPeers"
import type { EnrollmentCredential } from "@aster-effect/trust/Credential"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { JoinError } from "../JoinError.ts"
import type { Member } from "../Member.ts"
import type { Mesh, MeshLayerOptions } from "../Mesh.ts"
import * as MeshMessage from "../MeshMessage.ts"
import * as MeshState from "../MeshState.ts"
import { MeshError, ProducerMesh } from "../ProducerMesh.ts"
import { type Command, MemberState } from "../proto/MemberState.ts"
import type { Moment } from "../proto/Moment.ts"
import * as ServiceProducers from "../ServiceProducers.ts"
import { askAdmission } from "./askAdmission.ts"
import { lineOf, MeshLog } from "./meshLog.ts"
import { expiryIn, SavedMembers } from "./savedMembers.ts"

/** How long a change waits to be written, so that many share a write. */
const saveDelay = "1 second"
/** Messages of ours that wait to be broadcast; beyond, they are dropped. */
const maxOutbox = 1024
/** Without a neighbour, producers are asked for admission after this, each next time after twice as long. */
const askMin = 5_000
const askMax = 300_000
/** Who finds nobody on the topic of its own mesh gives it up for another with this many answers from there. */
const patience = 3
const askedAtOnce = 8
/** How often it is looked whether a member was put out of this node. */
const lookInterval = "5 seconds"
/** For the goodbye of a producer that leaves. */
const partingTime = "1 second"
/** Up to how long a member waits, for each other one, before it asks for a new salt. */
const followSpread = 5

export const makeMesh = Effect.fnUntraced(function* (options: MeshLayerOptions) {
  const store = yield* ProducerMesh
  const gossip = yield* Gossip
  const node = yield* IrohNode
  const peers = yield* AdmittedPeers
  const clock = yield* Clock.Clock
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const run = (effect: Effect.Effect<void>): void => void fork(effect)
  const { credential, root } = options
  const me = node.endpointId
  const initial = yield* store.state
  const random = xoshiro(yield* seed)
  /** Whom the mesh has put out, and whom this node has. */
  let removed: ReadonlySet<string> = new Set(initial.removed_producers)
  let revoked: ReadonlySet<EndpointId.EndpointId> = new Set()
  const now = (): Moment => ({
    wall: clock.currentTimeMillisUnsafe(),
    monotonic: Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  })
  const state = new MemberState(now(), {
    me,
    root,
    credential,
    sign: node.sign,
    isRefused: (id) => removed.has(id) || revoked.has(id),
    random,
    rotatedAt: initial.rotated_at_epoch_ms,
    config: yield* configOf(options)
  })

  const saved = new SavedMembers(initial)
  const contacts = new Map<EndpointId.EndpointId, NodeAddr.NodeAddr>()
  const addressOf = (id: EndpointId.EndpointId): NodeAddr.NodeAddr =>
    contacts.get(id) ?? saved.addresses.get(id) ?? NodeAddr.make(id)
  const asked = (contact: NodeAddr.NodeAddr | EndpointId.EndpointId): NodeAddr.NodeAddr => {
    const given = typeof contact === "string" ? NodeAddr.make(contact) : contact
    const address = NodeAddr.union(given, addressOf(given.endpointId))
    contacts.set(address.endpointId, address)
    return address
  }
  for (const contact of options.contacts ?? []) asked(contact)
  contacts.delete(me)

  const members = new Latest<ReadonlyArray<Member>>([])
  const log = new MeshLog()
  const outbox = yield* Queue.dropping<MeshMessage.MeshMessage>(maxOutbox)
  let topic: Topic | undefined
  let neighbors: ReadonlyArray<EndpointId.EndpointId> = []
  let sent = 0
  let alarm = Deferred.makeUnsafe<void>()
  let news = Deferred.makeUnsafe<void>()

  state.listed(now(), MeshState.members(initial), expiryIn(initial))
  members.set(state.members)

  function perform(commands: ReadonlyArray<Command>): void {
    for (const command of commands) execute(command)
    if (!commands.some(({ _tag }) => _tag === "Changed")) return
    members.set(state.members)
    saved.learn(members.value)
    news = ring(news)
  }

  function execute(command: Command): void {
    switch (command._tag) {
      case "Send":
        Queue.offerUnsafe(outbox, command.message)
        return
      case "Prove":
        return run(prove(command.credential))
      case "Dropped":
        return run(log.drop(now().monotonic, command.reason, command.sender, command.from))
      case "Follow":
        return run(follow(command.by, command.at, command.removed))
      case "Departed":
      case "Isolation":
      case "SelfOut":
        return run(lineOf(command))
      case "Changed":
        return
    }
  }

  /** Gives an order, or news, to the state machine. */
  const tell = (order: (at: Moment) => ReadonlyArray<Command>): Effect.Effect<void> =>
    Effect.sync(() => {
      perform(order(now()))
      alarm = ring(alarm)
    })

  /** The same for what may make it speak: it then says where this node is now. */
  const tellHere = (order: (at: Moment) => ReadonlyArray<Command>): Effect.Effect<void> =>
    Effect.flatMap(node.address, (address) => {
      state.at(address)
      return tell(order)
    })

  /** Gate 0 lets in whom the root key has signed for. For whom it has no place, there is none in the mesh. */
  const prove = Effect.fnUntraced(
    function* ({ attributes, endpointId: text, expiresAt }: EnrollmentCredential) {
      const endpointId = EndpointId.parse(text)
      const known = yield* peers.get(endpointId)
      // It has shown a credential for what it does as a consumer, and keeps the roles of that.
      if (known?.path === "consumer_admission" && known.proof !== undefined) return
      yield* peers.admit({
        endpointId,
        attributes,
        expiresAt: Number(expiresAt) * 1000,
        path: "producer_admission",
        proof: { _tag: "Own" }
      })
    },
    (admitting, { endpointId }) =>
      Effect.catch(admitting, ({ message }) =>
        Effect.andThen(
          Effect.logWarning(message),
          tell(() => state.remove([EndpointId.parse(endpointId)]))
        )
      )
  )

  /** Whom somebody has put out of this node is none of its mesh either. */
  const heedRevocations = Effect.suspend(() =>
    Effect.filter([...new Set([...revoked, ...state.members.map(({ endpointId }) => endpointId)])], peers.isRevoked)
  ).pipe(
    Effect.flatMap((out) => {
      revoked = new Set(out)
      return out.some((id) => state.has(id)) ? tell(() => state.remove(out)) : Effect.void
    }),
    Effect.andThen(Effect.sleep(lookInterval))
  )

  const save = Effect.suspend(() => store.update((found) => saved.into(found, state.members, state.lastHeartbeat)))
  const trySave = Effect.catchCause(save, (cause) =>
    Effect.logWarning("The state of the mesh was not written; it is tried again", cause)
  )

  const isAlone = (): boolean => state.members.length <= 1

  /** Takes over what a producer has answered. A mesh of our own is given up for another only where `mayLeave` says so. */
  const adopt = Effect.fnUntraced(function* (
    contact: EndpointId.EndpointId,
    { acceptedProducers, salt }: ProducerAdmission.ProducerReply,
    mayLeave: (salt: string) => boolean,
    rotatedAt = 0
  ): Effect.fn.Return<void, JoinError | MeshError> {
    const listed = [contact, ...acceptedProducers].filter((id) => id !== me && !removed.has(id))
    if (salt !== store.salt) {
      if (!mayLeave(salt)) {
        const detail =
          "it belongs to another mesh, and this node to one with other producers; to leave that one, stop this node and " +
          "remove its mesh_state.json"
        return yield* new JoinError({ contact, reason: "Elsewhere", detail })
      }
      const there = new Set<string>(listed)
      const left = state.members.flatMap(({ endpointId, isSelf, proof }) =>
        isSelf || proof === "credential" || there.has(endpointId) ? [] : [endpointId]
      )
      yield* tell(() => state.remove(left))
      const bytes = EndpointId.toBytes(EndpointId.parse(salt))
      yield* store.update((found) =>
        MeshState.withSalt(
          MeshState.onlyWith(found, (id) => state.has(EndpointId.parse(id))),
          root,
          bytes,
          Math.max(rotatedAt, found.rotated_at_epoch_ms)
        )
      )
    }
    yield* tell((at) => state.listed(at, listed))
    // Only then does our gate let gossip with them through.
    yield* save
    if (topic !== undefined) yield* Effect.ignore(topic.join([addressOf(contact)]))
  })

  const join = Effect.fn("Mesh.join")(function* (contact: NodeAddr.NodeAddr | EndpointId.EndpointId) {
    const address = asked(contact)
    const alone = isAlone()
    const reply = yield* askAdmission(node, address, { credential, iidToken: options.iidToken })
    yield* adopt(address.endpointId, reply, () => alone)
  })

  /** Asks all whose address is known, and takes over what they answer. */
  const askAll = (attempt: number): Effect.Effect<void> => {
    const known = new Map([...saved.addresses, ...contacts])
    known.delete(me)
    const alone = isAlone()
    return Effect.forEach(
      known.values(),
      (address) =>
        askAdmission(node, address, { credential, iidToken: options.iidToken }).pipe(
          Effect.flatMap((reply) => {
            const own = store.salt
            // Two that found nobody must not change places: the greater salt gives way first.
            const givesUp = (other: string) => alone || (neighbors.length === 0 && (other < own || attempt >= patience))
            return adopt(address.endpointId, reply, givesUp)
          }),
          Effect.catch(({ message }) => Effect.logInfo(message))
        ),
      { concurrency: askedAtOnce, discard: true }
    )
  }

  /** Who has nobody asks to be let in: a contact may have forgotten this node, or the mesh has another salt by now. */
  const asking = Effect.gen(function* () {
    if (credential === undefined) return
    for (let attempt = 0; ; attempt++) {
      const isMissing = [...contacts.keys()].some((id) => !state.has(id) && !removed.has(id))
      if (neighbors.length === 0 || isMissing) yield* askAll(attempt)
      if (neighbors.length > 0) attempt = 0
      yield* Effect.sleep(Math.min(askMax, askMin * 2 ** Math.min(attempt, 16)))
    }
  })

  /** Another producer has changed the salt, and tells the new one to whoever it admits. */
  const follow = Effect.fnUntraced(
    function* (by: EndpointId.EndpointId, at: number, out: ReadonlyArray<EndpointId.EndpointId>) {
      yield* Effect.logInfo("The mesh has a new salt", { by, removed: out })
      yield* putOut(out)
      yield* store.update((found) => MeshState.without(found, out))
      // Others may have yet to hear of it from here, and all ask the same one.
      yield* Effect.sleep(500 + random.below(1 + followSpread * state.members.length))
      const reply = yield* askAdmission(node, addressOf(by), { credential, iidToken: options.iidToken })
      yield* adopt(by, reply, () => true, at)
    },
    Effect.catchCause((cause) =>
      Effect.logWarning("The mesh has a new salt that was not told; it is asked for when nobody is left here", cause)
    )
  )

  const putOut = (out: ReadonlyArray<EndpointId.EndpointId>): Effect.Effect<void> =>
    Effect.suspend(() => {
      removed = new Set([...removed, ...out])
      return Effect.forEach(out, (id) => peers.revoke(id), { discard: true })
    })

  const rotate = Effect.fn("Mesh.rotate")(function* ({
    without = []
  }: { readonly without?: ReadonlyArray<EndpointId.EndpointId> | undefined } = {}) {
    const out = without.filter((id) => id !== me)
    if (out.length > MeshMessage.MAX_REMOVED) {
      const detail = `at most ${MeshMessage.MAX_REMOVED} producers can be put out at a time, not ${out.length}`
      return yield* new MeshError({ reason: "Full", detail })
    }
    const salt = yield* secureBytes(32)
    const old = yield* gossip.subscribe(TopicId.parse(store.topicId))
    yield* putOut(out)
    const at = now()
    yield* store.update((found) => MeshState.withSalt(MeshState.without(found, out), root, salt, at.wall))
    // On the topic that all are still on; this producer has left it for the new one.
    for (const command of state.rotated(at, out)) {
      if (command._tag === "Send") yield* Effect.ignore(old.broadcast(MeshMessage.encode(command.message)))
      else execute(command)
    }
    yield* tell(() => [{ _tag: "Changed" }])
  }, Effect.scoped)

  const reinstate = Effect.fn("Mesh.reinstate")(function* (id: EndpointId.EndpointId) {
    yield* store.update((found) => ({
      ...found,
      removed_producers: found.removed_producers.filter((out) => out !== id)
    }))
    removed = new Set([...removed].filter((out) => out !== id))
    yield* peers.reinstate(id)
  })

  const admit: ProducerAdmission.Join = Effect.fnUntraced(function* (producer, shown) {
    const accepted = yield* store.accept(producer)
    yield* tell((at) => state.admitted(at, shown))
    // Some may have come whom the disk does not know yet.
    const everybody = new Set([...accepted, ...state.members.map(({ endpointId }) => endpointId)])
    return { salt: store.salt, acceptedProducers: [...everybody].toSorted() }
  })

  /** Takes part in one topic until it is another one's turn. */
  const takePart = Effect.fnUntraced(function* (id: string, rotatedAt: number) {
    const bootstrap = [...new Map([...saved.addresses, ...contacts]).values()]
    const joined = yield* gossip.subscribe(TopicId.parse(id), { bootstrap })
    yield* Effect.acquireRelease(
      Effect.sync(() => (topic = joined)),
      () =>
        Effect.sync(() => {
          topic = undefined
          neighbors = []
        })
    )
    yield* tell((at) => state.joined(at, rotatedAt))
    const hear = Stream.runForEach(joined.messages, ({ content, from }) =>
      Effect.andThen(
        log.count,
        tell((at) => state.received(at, from, content))
      )
    )
    const watch = Stream.runForEach(joined.neighbors.changes, (others) => {
      neighbors = others
      return tell((at) => state.neighbors(at, others.length))
    })
    yield* Effect.all([hear, watch, Effect.never], { concurrency: "unbounded" })
  }, Effect.scoped)

  const takingPart = store.changes.pipe(
    Stream.mapEffect((next) => {
      removed = new Set(next.removed_producers)
      return Effect.as(
        tell((at) => state.listed(at, saved.newIn(next), expiryIn(next))),
        { id: next.topic_id, rotatedAt: next.rotated_at_epoch_ms }
      )
    }),
    Stream.changesWith((a, b) => a.id === b.id),
    Stream.switchMap(({ id, rotatedAt }) => Stream.fromEffectDrain(takePart(id, rotatedAt))),
    Stream.runDrain
  )

  const say = (message: MeshMessage.MeshMessage): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (topic === undefined) return Effect.void
      sent++
      return Effect.catch(topic.broadcast(MeshMessage.encode(message)), ({ message: problem }) =>
        Effect.logWarning(problem)
      )
    })
  const speak = Effect.flatMap(Queue.take(outbox), say)

  const tick = Effect.suspend(() => {
    const wait = state.deadline - now().monotonic
    return wait > 0 ? Effect.raceFirst(Effect.sleep(wait), Deferred.await(alarm)) : tellHere((at) => state.advance(at))
  })

  const keepSaved = Effect.suspend(() => Deferred.await(news)).pipe(
    Effect.andThen(Effect.sleep(saveDelay)),
    Effect.andThen(trySave)
  )

  /** What is left to say. */
  const speakLast: Effect.Effect<void> = Effect.flatMap(Queue.clear(outbox), (messages) =>
    Effect.forEach(messages, say, { discard: true })
  )

  let leaving: Deferred.Deferred<void> | undefined
  const leave = Effect.fn("Mesh.depart")(function* (reason = "") {
    if (leaving !== undefined) return yield* Deferred.await(leaving)
    leaving = Deferred.makeUnsafe<void>()
    // Who cannot introduce itself would be let in by nobody who has heard its goodbye.
    if (credential !== undefined) yield* tell((at) => state.depart(at, reason))
    yield* Effect.timeoutOption(speakLast, partingTime)
    yield* trySave
    yield* Deferred.succeed(leaving, undefined)
  }, Effect.uninterruptible)

  yield* Effect.addFinalizer(() => leave())
  const loops = {
    "the topic of the mesh": takingPart,
    "the admission to the mesh": asking,
    "the words of the mesh": Effect.forever(speak),
    "the clock of the mesh": Effect.forever(tick),
    "the file of the mesh": Effect.forever(keepSaved),
    "the revocations of the mesh": Effect.forever(heedRevocations)
  }
  if (options.takesPart ?? true) {
    for (const [name, loop] of Object.entries(loops)) yield* Effect.forkScoped(supervise(name, loop))
  }

  const mesh: Mesh["Service"] = {
    get topicId() {
      return store.topicId
    },
    get salt() {
      return store.salt
    },
    acceptedProducers: Effect.sync(() => state.members.map(({ endpointId }) => endpointId)),
    members: { get: Effect.sync(() => members.value), changes: members.changes },
    producers: (wanted) => ({
      get: Effect.sync(() => ServiceProducers.of(members.value, wanted)),
      changes: members.changes.pipe(
        Stream.map((all) => ServiceProducers.of(all, wanted)),
        Stream.changesWith(ServiceProducers.isSame)
      )
    }),
    neighbors: Effect.sync(() => neighbors),
    stats: Effect.sync(() => ({ received: log.received, sent, dropped: { ...log.dropped }, held: state.held })),
    isOut: Effect.sync(() => state.isOut),
    serve: Effect.fn("Mesh.serve")((services) => tellHere((at) => state.serve(at, { services }))),
    publish: Effect.fn("Mesh.publish")((contracts) => tellHere((at) => state.serve(at, { contracts }))),
    setHealth: Effect.fn("Mesh.setHealth")((health) => tellHere((at) => state.serve(at, { health }))),
    join,
    admit,
    rotate,
    reinstate,
    depart: leave
  }
  return mesh
})

const ring = (bell: Deferred.Deferred<void>): Deferred.Deferred<void> => {
  Deferred.doneUnsafe(bell, Effect.void)
  return Deferred.makeUnsafe()
}

const seed = Effect.map(secureBytes(16), (bytes): [number, number, number, number] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)]
})

const millis = (given: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(given))

/** A number of milliseconds; an empty variable is none. */
const millisOf = (name: string, given: Duration.Input | undefined, fallback: number) =>
  given === undefined
    ? Config.schema(Schema.Union([Schema.FiniteFromString, Schema.Literal("")]), name).pipe(
        Config.map((text) => (text === "" ? fallback : text)),
        Config.withDefault(fallback)
      )
    : Effect.sync(() => millis(given))

/** The times of the options, else those of the environment (Aster admission, producer mesh, drift). */
const configOf = ({ driftTolerance, gracePeriod, heartbeat, replayWindow }: MeshLayerOptions) =>
  Effect.all({
    heartbeat: Effect.sync(() => Math.min(3_600_000, millis(heartbeat ?? "15 minutes"))),
    replayWindow: millisOf("ASTER_REPLAY_WINDOW_MS", replayWindow, 30_000),
    tolerance: millisOf("ASTER_CLOCK_DRIFT_TOLERANCE_MS", driftTolerance, 5000),
    grace: millisOf("ASTER_GRACE_PERIOD_MS", gracePeriod, 60_000)
  })
