/** The services of `vault.py`, which ask roles of their callers. */
import * as Role from "@aster-effect/admission/Role"
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"
import * as Wire from "@aster-effect/core/message/Wire"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

export class Note extends Wire.Class<Note>("trust/Note")({ text: Wire.String.pipe(Wire.withDefault("")) }) {}

const note = { request: Note, response: Note }

export const Vault = Service.make("Vault").add(
  Rpc.unary("whoami", note),
  Rpc.unary("unlock", { ...note, requires: Role.role("vault.open") }),
  Rpc.serverStream("watch", { ...note, requires: Role.anyOf("vault.read", "vault.open") }),
  Rpc.clientStream("fill", { ...note, requires: Role.allOf("vault.read", "vault.write") }),
  Rpc.bidi("mend", { ...note, requires: Role.role("vault.write") })
)

export const Cellar = Service.make("Cellar", { requires: Role.role("cellar") }).add(
  Rpc.unary("enter", note),
  Rpc.unary("unlock", { ...note, requires: Role.role("vault.open") })
)

const open = () => Effect.succeed(new Note({ text: "open" }))

export const services = Layer.merge(
  Vault.toLayer({
    whoami: () =>
      CallContext.useSync(({ attributes }) => {
        const sorted = [...attributes].toSorted(([a], [b]) => (a < b ? -1 : 1))
        return new Note({ text: JSON.stringify(Object.fromEntries(sorted)) })
      }),
    unlock: open,
    watch: () => Stream.succeed(new Note({ text: "seen" })),
    fill: (notes) =>
      Stream.runFold(
        notes,
        () => new Note({}),
        (all, { text }) => new Note({ text: all.text + text })
      ),
    mend: (notes) => notes
  }),
  Cellar.toLayer({ enter: () => Effect.succeed(new Note({ text: "inside" })), unlock: open })
)
