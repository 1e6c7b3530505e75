import * as SecretKey from "@aster-effect/iroh/SecretKey"
import type { Topic } from "@aster-effect/iroh-gossip/Topic"
import * as TopicId from "@aster-effect/iroh-gossip/TopicId"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { collect, eventually, loopbackMember, type Member, text, until } from "../../iroh-gossip/Members.ts"
import { hasRustPeer } from "../../peers/RustPeer.ts"
import { type ForeignMember, LEARN_ALPN, member097, member101 } from "./RustMembers.ts"

const topicId = TopicId.fromName("interop")
const other = TopicId.fromName("interop, too")

/** Ours do not wait a minute for what the reference leaves to be found out. */
const ours = (options: Parameters<typeof loopbackMember>[0] = {}) =>
  loopbackMember({
    gossip: { protocol: { membership: { silence: 2000, rejoinMin: 300, lostMin: 1000 } } },
    alpns: { [LEARN_ALPN]: (connection) => Effect.asVoid(connection.closed) },
    ...options
  })

const test = (title: string, body: () => Effect.Effect<void, unknown, Scope.Scope>, run = hasRustPeer) =>
  it.live.skipIf(!run)(run ? title : `${title} (needs the Rust peer: cargo)`, () => Effect.scoped(body()))

const texts = (member: ForeignMember, topic = topicId) =>
  member.received(topic).map((content) => new TextDecoder().decode(content))

/** What was said before a link stood on both sides is lost, so it is said again, under another number. */
const untilHeard = (say: (attempt: number) => Effect.Effect<unknown>, isHeard: () => boolean, what: string) =>
  Effect.gen(function* () {
    for (let attempt = 0; attempt < 12; attempt++) {
      yield* say(attempt)
      const deadline = performance.now() + 5_000
      while (performance.now() < deadline) {
        if (isHeard()) return
        yield* Effect.sleep("5 millis")
      }
    }
    return yield* Effect.die(new Error(`in vain: ${what}`))
  })

/** Messages both ways between two members that are neighbours. */
const converse = Effect.fnUntraced(function* (topic: Topic, foreign: ForeignMember, heard: Array<string>, tag = "") {
  const is = (who: string) => (said: string) => said.startsWith(`${who}${tag}#`)
  yield* untilHeard(
    (attempt) => Effect.orDie(topic.broadcast(text(`ours${tag}#${attempt}`))),
    () => texts(foreign, topic.id).some(is("ours")),
    `${foreign.name} hears ours`
  )
  yield* untilHeard(
    (attempt) => foreign.broadcast(topic.id, text(`theirs${tag}#${attempt}`)),
    () => heard.some(is("theirs")),
    `ours hears ${foreign.name}`
  )
})

for (const [name, make, run] of [
  ["0.97", member097, true],
  ["0.101", member101(), hasRustPeer]
] as const)
  describe(`a member on iroh-gossip ${name}`, () => {
    test(
      "we join it, it hears us and we hear it, up to the largest content",
      () =>
        Effect.gen(function* () {
          const foreign = yield* make
          const { gossip } = yield* ours()
          yield* foreign.subscribe(topicId, [])
          const topic = yield* gossip.subscribe(topicId, { bootstrap: [foreign.addr] })
          yield* topic.joined
          const heard = yield* collect(topic)
          yield* converse(topic, foreign, heard)
          for (const size of [1, 100, topic.maxContent]) {
            yield* topic.broadcast(new Uint8Array(size).fill(1))
            yield* foreign.broadcast(topicId, new Uint8Array(size).fill(2))
            yield* until(() => heard.some((text) => text === "\u0002".repeat(size)), `${size} bytes from it`)
            yield* until(
              () =>
                foreign.received(topicId).some((content) => content.length === size && content.every((b) => b === 1)),
              `${size} bytes from us`
            )
          }
          // What the API refuses would have silenced the link.
          assert.isTrue(Exit.isFailure(yield* Effect.exit(topic.broadcast(new Uint8Array(topic.maxContent + 1)))))
          yield* converse(topic, foreign, heard, " again")
          assert.strictEqual((yield* topic.stats).malformed, 0)
        }),
      run
    )

    test(
      "it joins us",
      () =>
        Effect.gen(function* () {
          const us = yield* ours()
          const foreign = yield* make
          const topic = yield* us.gossip.subscribe(topicId)
          yield* foreign.subscribe(topicId, [us.addr])
          yield* Effect.all([topic.joined, foreign.joined(topicId)])
          yield* converse(topic, foreign, yield* collect(topic))
        }),
      run
    )

    test(
      "we leave and it knows; we come back",
      () =>
        Effect.gen(function* () {
          const foreign = yield* make
          const { gossip } = yield* ours()
          yield* foreign.subscribe(topicId, [])
          for (const round of ["one", "two", "three"]) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const topic = yield* gossip.subscribe(topicId, { bootstrap: [foreign.addr] })
                yield* topic.joined
                yield* converse(topic, foreign, yield* collect(topic), round)
              })
            )
          }
        }),
      run
    )

    test(
      "we die and come back under the same key before it has noticed",
      () =>
        Effect.gen(function* () {
          const secretKey = yield* SecretKey.generate
          const foreign = yield* make
          yield* foreign.subscribe(topicId, [])
          for (const round of ["first", "second"]) {
            const scope = yield* Scope.make()
            const us = yield* Scope.provide(ours({ node: { secretKey } }), scope)
            const topic = yield* Scope.provide(us.gossip.subscribe(topicId, { bootstrap: [foreign.addr] }), scope)
            yield* Effect.timeout(topic.joined, "1 minute")
            const heard = yield* Scope.provide(collect(topic), scope)
            yield* converse(topic, foreign, heard, round)
            // Without a goodbye on the topic.
            yield* us.node.close
            yield* Scope.close(scope, Exit.void)
          }
        }),
      run
    )
  })

/** All members hear each of all others, once the swarm has found its form; and nothing twice. */
const everybodyHears = Effect.fnUntraced(function* (
  topics: ReadonlyArray<{ readonly topic: Topic; readonly heard: Array<string> }>,
  foreign: ReadonlyArray<ForeignMember>,
  tag: string
) {
  const listeners = [
    ...topics.map(({ heard }, i) => ({ own: `ours ${i}`, heard: () => heard as ReadonlyArray<string> })),
    ...foreign.map((member, i) => ({ own: `theirs ${i}`, heard: () => texts(member) }))
  ]
  const all = (round: string) =>
    listeners.every(({ heard, own }) => {
      const known = new Set(heard())
      return listeners.every((other) => other.own === own || known.has(`${other.own} ${round}`))
    })
  let round = ""
  yield* untilHeard(
    (attempt) => {
      round = `${tag}#${attempt}`
      return Effect.all([
        ...topics.map(({ topic }, i) => Effect.orDie(topic.broadcast(text(`ours ${i} ${round}`)))),
        ...foreign.map((member, i) => member.broadcast(topicId, text(`theirs ${i} ${round}`)))
      ])
    },
    () => all(round),
    `all hear all ${tag}`
  )
  for (const { heard } of topics) {
    const said = heard.filter((one) => one.includes(` ${tag}#`))
    assert.strictEqual(new Set(said).size, said.length, `each ${tag} came once`)
  }
})

const enter = Effect.fnUntraced(function* (member: Member, bootstrap: ForeignMember["addr"]) {
  const topic = yield* member.gossip.subscribe(topicId, { bootstrap: [bootstrap] })
  return { topic, heard: yield* collect(topic) }
})

describe("swarms of ours and theirs", () => {
  test("three", () =>
    Effect.gen(function* () {
      const old = yield* member097
      const new_ = yield* member101()
      const us = yield* ours()
      yield* old.subscribe(topicId, [])
      const mine = yield* enter(us, old.addr)
      yield* mine.topic.joined
      yield* new_.subscribe(topicId, [us.addr])
      yield* eventually(mine.topic.neighbors.get, (neighbors) => neighbors.length === 2, "all are neighbours")
      yield* everybodyHears([mine], [old, new_], "at once")
    }))

  test("eight, of which a Rust member is killed and comes back", () =>
    Effect.gen(function* () {
      const us = yield* Effect.all([ours(), ours(), ours()])
      const olds = yield* Effect.all([member097, member097])
      const secret = "07".repeat(32)
      const doomed = yield* member101(["--secret", secret])
      const news = yield* Effect.all([member101(), member101()])
      const foreign = [...olds, ...news]
      const mine = yield* Effect.forEach(us, (member, i) => enter(member, us[(i + 2) % 3]!.addr))
      for (const [i, member] of [...foreign, doomed].entries()) yield* member.subscribe(topicId, [us[i % 3]!.addr])
      yield* Effect.all([
        ...mine.map(({ topic }) => topic.joined),
        ...[...foreign, doomed].map((m) => m.joined(topicId))
      ])
      yield* everybodyHears(mine, [...foreign, doomed], "before")
      yield* doomed.peer.kill
      yield* everybodyHears(mine, foreign, "without it")
      const back = yield* member101(["--secret", secret])
      yield* back.subscribe(topicId, [us[0]!.addr])
      yield* back.joined(topicId)
      yield* everybodyHears(mine, [...foreign, back], "after")
    }))
})

describe("what the reference does otherwise", () => {
  test("a dial that failed is not repeated by it; ours is", () =>
    Effect.gen(function* () {
      const secretKey = yield* SecretKey.generate
      const foreign = yield* member101()
      const gone = yield* Effect.scoped(Effect.map(ours({ node: { secretKey } }), ({ addr }) => addr))
      yield* foreign.subscribe(topicId, [gone])
      yield* Effect.sleep("500 millis")
      const us = yield* ours({ node: { secretKey } })
      const topic = yield* us.gossip.subscribe(topicId, { bootstrap: [foreign.addr] })
      yield* Effect.timeout(Effect.all([topic.joined, foreign.joined(topicId)]), "1 minute")
      yield* converse(topic, foreign, yield* collect(topic))
    }))

  for (const who of ["we", "it"] as const)
    test(`${who} leave one of two topics: the other goes on`, () =>
      Effect.gen(function* () {
        const foreign = yield* member101()
        const us = yield* ours()
        yield* foreign.subscribe(topicId, [])
        yield* foreign.subscribe(other, [])
        const stays = yield* us.gossip.subscribe(other, { bootstrap: [foreign.addr] })
        const heard = yield* collect(stays)
        const scope = yield* Scope.make()
        const leaves = yield* Scope.provide(us.gossip.subscribe(topicId, { bootstrap: [foreign.addr] }), scope)
        yield* Effect.all([stays.joined, leaves.joined])
        yield* converse(stays, foreign, heard, "before")
        if (who === "we") yield* Scope.close(scope, Exit.void)
        else yield* foreign.peer.run("gossip.leave", { topic: topicId })
        yield* Effect.sleep("300 millis")
        yield* converse(stays, foreign, heard, "after")
      }))

  test("a link that it silenced by a message that is too large speaks again", () =>
    Effect.gen(function* () {
      const foreign = yield* member101()
      const us = yield* ours()
      yield* foreign.subscribe(topicId, [])
      const topic = yield* us.gossip.subscribe(topicId, { bootstrap: [foreign.addr] })
      yield* topic.joined
      const heard = yield* collect(topic)
      yield* converse(topic, foreign, heard, "before")
      yield* foreign.broadcast(topicId, new Uint8Array(4058))
      yield* foreign.broadcast(topicId, text("into the void"))
      yield* Effect.sleep("500 millis")
      assert.notInclude(heard, "into the void")
      // Ours goes on, and has a new connection after a while.
      yield* topic.broadcast(text("still here"))
      yield* until(() => texts(foreign).includes("still here"), "it hears us")
      yield* Effect.gen(function* () {
        for (let i = 0; !heard.some((text) => text.startsWith("again")); i++) {
          yield* foreign.broadcast(topicId, text(`again ${i}`))
          yield* Effect.sleep("200 millis")
        }
      }).pipe(Effect.timeout("1 minute"))
    }))

  test("what it says to its neighbours only comes to us", () =>
    Effect.gen(function* () {
      const foreign = yield* member101()
      const us = yield* ours()
      yield* foreign.subscribe(topicId, [])
      const topic = yield* us.gossip.subscribe(topicId, { bootstrap: [foreign.addr] })
      yield* topic.joined
      const heard = yield* collect(topic)
      yield* foreign.peer.run("gossip.broadcast", { topic: topicId, content: "near", neighbors: true })
      yield* topic.broadcastNeighbors(text("near, too"))
      yield* until(() => heard.includes("near"), "it comes")
      yield* until(() => texts(foreign).includes("near, too"), "it goes")
    }))
})
