/**
 * `aster blobs add|get|ls|rm|share|verify`. Everything about blobs and the network is loaded when one of them runs.
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
    path: Argument.String("path").pipe(
      Argument.withDescription("A file, a folder, which becomes a collection, or - for standard input")
    ),
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
      Flag.withDescription(
        "File, folder for a collection, or - for standard output (default: keep it in the store only)"
      ),
      Flag.optional
    ),
    force: Flag.Boolean("force").pipe(Flag.withDescription("Replace files that are there"), Flag.withDefault(false)),
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
  Effect.fn("aster blobs get")(function* ({ force, from, json, output, rcan, store, tag, ticket, timeout }) {
    const { get } = yield* Effect.promise(() => import("../internal/blobs/get.ts"))
    yield* get({
      name: ticket,
      from,
      output: Option.getOrUndefined(output),
      force,
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

const rm = Command.make(
  "rm",
  {
    names: Argument.String("name").pipe(Argument.withDescription("A hash, or a tag"), Argument.atLeast(1)),
    store,
    json: flags.json
  },
  Effect.fn("aster blobs rm")(function* ({ json, names, store }) {
    const { rm } = yield* Effect.promise(() => import("../internal/blobs/rm.ts"))
    yield* rm({ names, store: Option.getOrUndefined(store), json })
  })
).pipe(
  Command.withDescription("Remove blobs and collections from the store, as far as nothing else keeps them"),
  Command.withExamples([
    { command: "aster blobs rm HASH", description: "A blob or a collection, with all of its tags" },
    { command: "aster blobs rm weights", description: "A tag, and what it alone keeps" }
  ])
)

const verify = Command.make(
  "verify",
  {
    hash: Argument.String("hash").pipe(
      Argument.withDescription("A blob or a collection (default: everything in the store)"),
      Argument.optional
    ),
    store,
    json: flags.json
  },
  Effect.fn("aster blobs verify")(function* ({ hash, json, store }) {
    const { verify } = yield* Effect.promise(() => import("../internal/blobs/verify.ts"))
    yield* verify({ hash: Option.getOrUndefined(hash), store: Option.getOrUndefined(store), json })
  })
).pipe(
  Command.withDescription(
    "Read what is in the store against its hashes; what is damaged can then be added or fetched again"
  )
)

/** @since 0.1.0 */
export const command = Command.make("blobs").pipe(
  Command.withDescription("Keep, share and download blobs: files and folders by their hash"),
  Command.withSubcommands([add, get, ls, rm, share, verify]),
  Command.provideEffectDiscard(profileHint)
)
