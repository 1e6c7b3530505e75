/** A group whose schemas are those of `Wire`: Effect's protocols carry it as any other, and Aster's as a service. */
import * as GroupService from "@aster-effect/effect-rpc/GroupService"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

export class Note extends Wire.Class<Note>("notes/Note")({ id: Wire.Int, text: Wire.String }) {}

export class NoSuchNote extends Schema.TaggedError<NoSuchNote>()("NoSuchNote", { id: Schema.Int }) {}

export class NotesGroup extends RpcGroup.make(
  Rpc.make("add", { payload: { text: Wire.String }, success: Note }),
  Rpc.make("get", { payload: { id: Wire.Int }, success: Note, error: NoSuchNote }),
  Rpc.make("list", { success: Note, stream: true }),
  Rpc.make("clear")
) {}

export const NotesGroupLive = NotesGroup.toLayer(
  Effect.sync(() => {
    const notes = new Map<number, Note>()
    return {
      add: ({ text }) =>
        Effect.sync(() => {
          const note = new Note({ id: notes.size + 1, text })
          notes.set(note.id, note)
          return note
        }),
      get: ({ id }) => Effect.fromNullishOr(notes.get(id)).pipe(Effect.mapError(() => new NoSuchNote({ id }))),
      list: () => Stream.fromIterable(notes.values()),
      clear: () => Effect.sync(() => notes.clear())
    }
  })
)

/** The same group as a service of Aster, and its handlers. */
export const Notes = GroupService.make("Notes", NotesGroup, { methods: { get: { idempotent: true } } })

export const NotesLive = GroupService.layer(Notes).pipe(Layer.provide(NotesGroupLive))
