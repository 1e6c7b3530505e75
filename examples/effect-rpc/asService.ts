/** The group of `Notes.ts` served by Aster, and called by a client of ours; clients of Python call it just so. */
import { AsterClient } from "@aster-effect/client/AsterClient"
import { loopback } from "@aster-effect/iroh/NodeOptions"
import { AsterServer } from "@aster-effect/server/AsterServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Notes, NotesLive } from "./Notes.ts"

const Server = AsterServer.layer({ services: [Notes], node: loopback }).pipe(Layer.provide(NotesLive))

const consumer = Effect.gen(function* () {
  const notes = yield* (yield* AsterClient).client(Notes)
  yield* notes.add({ text: "buy tea" })
  yield* notes.add({ text: "drink it" })
  yield* Stream.runForEach(notes.list({}), ({ id, text }) => Console.log(`${id}: ${text}`))
  yield* notes.get({ id: 3 }).pipe(Effect.catchTag("NoSuchNote", ({ id }) => Console.log(`there is no note ${id}`)))
})

export const program = Effect.gen(function* () {
  const { address } = yield* AsterServer
  yield* Effect.provide(consumer, AsterClient.layer({ address, node: loopback }))
}).pipe(Effect.provide(Server))
