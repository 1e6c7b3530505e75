/**
 * `aster blobs add|get|ls|share`. Everything about blobs and the network is loaded when one of them runs.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as flags from "../internal/flags.ts"
import { profileHint } from "../internal/profileHint.ts"

const store = Flag.String("store").pipe(
  Flag.withMetavar("path"),
  Flag.withDescription("Folder of the blob store (default: blobs in ASTER_STORAGE_PATH, else ~/.aster/blobs)"),
  Flag.optional
)

const tag = Flag.String("tag").pipe(
  Flag.withMetavar("name"),
  Flag.withDescription("Name under which the store keeps it (default: one made of the time)"),
  Flag.optional
)

const add = Command.make(
  "add",
  {
    path: Argument.String("path").pipe(Argument.withDescription("A file, or a folder, which becomes a collection")),
    store,
    tag,
    json: flags.json
  },
  Effect.fn("aster blobs add")(function* ({ json, path, store, tag }) {
    const { add } = yield* Effect.promise(() => import("../internal/blobs/add.ts"))
    yield* add({ path, store: Option.getOrUndefined(store), tag: Option.getOrUndefined(tag), json })
  })
).pipe(
  Command.withDescription("Copy a file or a folder into the store and print its hash"),
  Command.withExamples([
    { command: "aster blobs add weights.bin", description: "A file" },
    { command: "aster blobs add ./dataset --tag dataset", description: "A folder, under a name" }
  ])
)

const ls = Command.make(
  "ls",
  {
    hash: Argument.String("hash").pipe(
      Argument.withDescription("A collection, whose files are listed (default: list what is in the store)"),
      Argument.optional
    ),
    store,
    json: flags.json
  },
  Effect.fn("aster blobs ls")(function* ({ hash, json, store }) {
    const { ls } = yield* Effect.promise(() => import("../internal/blobs/ls.ts"))
    yield* ls({ hash: Option.getOrUndefined(hash), store: Option.getOrUndefined(store), json })
  })
).pipe(Command.withDescription("List what is in the store: hash, size, kind, tags"))

const share = Command.make(
  "share",
  {
    hash: Argument.String("hash").pipe(Argument.withDescription("A blob or a collection in the store")),
    store,
    json: flags.json
  },
  Effect.fn("aster blobs share")(function* ({ hash, json, store }) {
    const { share } = yield* Effect.promise(() => import("../internal/blobs/share.ts"))
    yield* share({ hash, store: Option.getOrUndefined(store), json })
  })
).pipe(
  Command.withDescription("Serve a blob to whoever has the ticket, which is printed, until Ctrl+C"),
  Command.withExamples([{ command: "aster blobs share HASH", description: "Prints a ticket and serves" }])
)

const get = Command.make(
  "get",
  {
    ticket: Argument.String("ticket").pipe(Argument.withDescription("A ticket, or a hash together with --from")),
    output: Flag.String("output").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("path"),
      Flag.withDescription("File, or folder for a collection, to write (default: keep it in the store only)"),
      Flag.optional
    ),
    from: Flag.String("from").pipe(
      Flag.withMetavar("address"),
      Flag.withDescription("A peer to ask too: ticket, base64 address or endpoint id; may be repeated"),
      Flag.atLeast(0)
    ),
    rcan: flags.rcan,
    timeout: flags.timeout("How long a peer may be silent"),
    store,
    tag,
    json: flags.json
  },
  Effect.fn("aster blobs get")(function* ({ from, json, output, rcan, store, tag, ticket, timeout }) {
    const { get } = yield* Effect.promise(() => import("../internal/blobs/get.ts"))
    yield* get({
      name: ticket,
      from,
      output: Option.getOrUndefined(output),
      credential: Option.getOrUndefined(rcan),
      timeoutSeconds: timeout,
      store: Option.getOrUndefined(store),
      tag: Option.getOrUndefined(tag),
      json
    })
  })
).pipe(
  Command.withDescription("Download a blob or a collection, verified; going on where an earlier attempt ended"),
  Command.withExamples([
    { command: "aster blobs get blob... --output weights.bin", description: "With a ticket" },
    {
      command: "aster blobs get HASH --from aster1... --rcan ops.cred --output weights.bin",
      description: "From a producer that admits enrolled consumers only"
    }
  ])
)

/** @since 0.1.0 */
export const command = Command.make("blobs").pipe(
  Command.withDescription("Keep, share and download blobs: files and folders by their hash"),
  Command.withSubcommands([add, get, ls, share]),
  Command.provideEffectDiscard(profileHint)
)
