/** Two replicas that mean different things by a deletion never have the same; what they say to each other ends all the same. */
import { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { eventually } from "../e2e/iroh-docs/Eventually.ts"
import { peer } from "./Peers.ts"

layer(MemoryNetwork.layer(), { excludeTestServices: true })("a deletion that is final for one of two", (it) => {
  it.effect("costs a few entries in each session, and begins none", () =>
    Effect.gen(function* () {
      const theirs = yield* peer({ deletions: "reference" })
      const stale = yield* peer({ deletions: "reference" })
      const ours = yield* peer({ deletions: "final" })
      const document = yield* theirs.docs.create
      const capability = { _tag: "Write", secret: (yield* theirs.docs.secret(document.id))! } as const
      const author = yield* theirs.docs.authors.default
      yield* stale.docs.authors.import(yield* theirs.docs.authors.export(author))
      const old = yield* stale.docs.import(capability)
      yield* old.set("d/1", "old", { author })
      yield* document.set("keep", "1")
      yield* document.delete("d/")
      yield* document.startSync()
      // The deleted entry comes late, and back.
      yield* old.syncWith(yield* theirs.node.address)
      assert.isTrue(Option.isSome(yield* document.latest("d/1")))

      const copy = yield* ours.docs.import(capability)
      const address = yield* theirs.node.address
      for (let i = 0; i < 5; i++) {
        const { received, sent } = yield* copy.syncWith(address)
        assert.isAtMost(received + sent, 6)
        assert.isTrue(Option.isNone(yield* copy.latest("d/1")))
      }
      const events = yield* copy.subscribe()
      yield* copy.startSync([address])
      const sessions = yield* events.pipe(
        Stream.filter(({ _tag }) => _tag === "SyncFinished"),
        Stream.interruptWhen(Effect.sleep("1500 millis")),
        Stream.runCount
      )
      assert.isAtMost(sessions, 3)
      yield* eventually(copy.status, ({ sessions: running }) => running === 0)
    })
  )
})
