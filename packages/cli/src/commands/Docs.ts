/**
 * `aster docs create|join|share|set|get|ls|rm|watch`. Everything about documents is loaded when one of them runs.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { misused } from "../CliFailure.ts"
import * as flags from "../internal/flags.ts"

const load = Effect.promise(() => import("../internal/docs/documents.ts"))

const store = Flag.String("store").pipe(
  Flag.withMetavar("path"),
  Flag.withDescription("Where documents are kept (default: ~/.aster/docs)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

const document = Argument.String("document").pipe(Argument.withDescription("A document id of 64 hex digits"))
const key = Argument.String("key")

const create = Command.make("create", { store }, ({ store }) =>
  Effect.flatMap(load, (documents) => documents.create(store))
).pipe(Command.withDescription("Make a document, and print its id"))

const join = Command.make(
  "join",
  {
    ticket: Argument.String("ticket"),
    live: Flag.Boolean("live").pipe(
      Flag.withDescription("Stay, and print what changes until it is stopped"),
      Flag.withDefault(false)
    ),
    store,
    timeout: flags.timeout("How long syncing may take")
  },
  ({ live, store, ticket, timeout }) =>
    Effect.flatMap(load, (documents) => documents.join(store, ticket, live, timeout))
).pipe(Command.withDescription("Take a document by its ticket, and print its id"))

const share = Command.make(
  "share",
  {
    document,
    write: Flag.Boolean("write").pipe(
      Flag.withDescription("Who has the ticket may write; it holds the document's secret"),
      Flag.withDefault(false)
    ),
    store
  },
  ({ document, store, write }) =>
    Effect.flatMap(load, (documents) => documents.share(store, document, write ? "write" : "read"))
).pipe(Command.withDescription("Print a ticket, and let others sync until it is stopped"))

const set = Command.make(
  "set",
  {
    document,
    key,
    value: Argument.String("value").pipe(Argument.withDescription("A text"), Argument.optional),
    file: Flag.String("file").pipe(
      Flag.withMetavar("path"),
      Flag.withDescription("What is in a file instead, or with - in standard input"),
      Flag.optional
    ),
    store
  },
  ({ document, file, key, store, value }) => {
    if (Option.isSome(value) === Option.isSome(file)) return misused("name a value, or a file with --file: one of them")
    const written = Option.isSome(file) ? { file: file.value } : { text: Option.getOrThrow(value) }
    return Effect.flatMap(load, (documents) => documents.set(store, document, key, written))
  }
).pipe(Command.withDescription("Write a value; your older keys that start with this one go"))

const get = Command.make(
  "get",
  {
    document,
    key,
    raw: Flag.Boolean("raw").pipe(
      Flag.withDescription("The bytes as they are, and no line break after them"),
      Flag.withDefault(false)
    ),
    store
  },
  ({ document, key, raw, store }) => Effect.flatMap(load, (documents) => documents.get(store, document, key, raw))
).pipe(Command.withDescription("Print the latest value under a key"))

const ls = Command.make(
  "ls",
  {
    document: document.pipe(Argument.optional),
    prefix: Flag.String("prefix").pipe(Flag.withDescription("Only keys that start with this"), Flag.withDefault("")),
    json: flags.json,
    store
  },
  ({ document, json, prefix, store }) =>
    Effect.flatMap(load, (documents) => documents.list(store, Option.getOrUndefined(document), prefix, json))
).pipe(Command.withDescription("List documents, or the keys of one"))

const rm = Command.make("rm", { document, prefix: Argument.String("prefix"), store }, ({ document, prefix, store }) =>
  Effect.flatMap(load, (documents) => documents.remove(store, document, prefix))
).pipe(Command.withDescription("Delete what you wrote under all keys that start with a prefix"))

const watch = Command.make("watch", { document, store }, ({ document, store }) =>
  Effect.flatMap(load, (documents) => documents.watch(store, document))
).pipe(Command.withDescription("Sync, and print what changes until it is stopped"))

/** @since 0.1.0 */
export const command = Command.make("docs").pipe(
  Command.withDescription("Documents: keys and values that several nodes share"),
  Command.withSubcommands([create, join, share, set, get, ls, rm, watch])
)
