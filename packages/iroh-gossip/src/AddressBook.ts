/**
 * Where endpoints can be reached: what the program knows, and what members of swarms said about each other.
 *
 * What others say is a hint and nothing more: who answers at an address still has to prove that it is the endpoint. But a
 * hint makes this node send packets, so hints about loopback and private networks are left aside unless they are asked for.
 *
 * @since 0.1.0
 */
import * as EndpointId from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import { supervise } from "@aster-effect/iroh/Supervisor"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { AddrInfo } from "./AddrInfo.ts"
import * as addressFile from "./internal/addressFile.ts"
import { publicOnly } from "./proto/publicAddress.ts"

/** Which hints are kept: those about the public internet, all of them, or none. */
export type HintPolicy = "public" | "all" | "none"

/** Settings of a book. */
export interface AddressBookOptions {
  /**
   * Default: "public". For swarms within a machine or a private network choose "all": then any member can make this node
   * send packets to addresses of that network.
   */
  readonly hints?: HintPolicy | undefined
  /** Endpoints that hints are kept about; beyond, those heard of longest ago are forgotten. Default: 1,024. */
  readonly maxHints?: number | undefined
}

/** Settings of a book that outlives the process. */
export interface AddressFileOptions extends AddressBookOptions {
  readonly path: string
  /** How often what was learnt is written. It is also written at the end. Default: 30 seconds. */
  readonly saveInterval?: Duration.Input | undefined
}

/** The file with addresses is there and cannot be read, or is not such a file. It was left as it is. */
export class AddressFileError extends Data.TaggedError("AddressFileError")<{
  readonly path: string
  readonly cause: unknown
}> {
  override get message(): string {
    const detail = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `Cannot use ${this.path} as an address book: ${detail}. Remove it, for it can be learnt again, or choose another path.`
  }
}

/** Direct addresses kept of one hint. */
const maxAddresses = 8

/** What was heard about an endpoint. `at` is milliseconds since the Unix epoch. */
const Hint = Schema.Struct({
  endpointId: Schema.String.check(Schema.makeFilter(EndpointId.isHex)),
  relayUrl: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(256))),
  directAddresses: Schema.Array(Schema.String.check(Schema.isMaxLength(64))).check(Schema.isMaxLength(maxAddresses)),
  at: Schema.Finite
})
type Hint = typeof Hint.Type

const File = Schema.fromJsonString(
  Schema.Struct({ version: Schema.Literal(1), hints: Schema.Array(Hint).check(Schema.isMaxLength(65_536)) })
)

/** Addresses by endpoint. All of it is in memory: asking and telling never wait. */
export class AddressBook extends Context.Service<
  AddressBook,
  {
    /** What the program itself says: kept for as long as the book, and tried before any hint. */
    readonly add: (addr: NodeAddr.NodeAddr) => void
    /** What a peer says, about itself or another. */
    readonly hint: (id: EndpointId.EndpointId, info: AddrInfo) => void
    /** All that is known. With nothing known it is the id alone, which a node that looks addresses up can dial. */
    readonly find: (id: EndpointId.EndpointId) => NodeAddr.NodeAddr
    /** How many endpoints hints are kept about. */
    readonly size: () => number
  }
>()("@aster-effect/iroh-gossip/AddressBook") {
  /** A book for as long as the layer. */
  static readonly layerMemory = (options: AddressBookOptions = {}): Layer.Layer<AddressBook> =>
    Layer.effect(
      AddressBook,
      Effect.clockWith((clock) => Effect.sync(() => make(options, () => clock.currentTimeMillisUnsafe()).service))
    )

  /**
   * A book that is read from a file at the beginning and written to it from time to time. Several processes may use the
   * same one: what each writes is added to what is there. What cannot be written is logged, and tried again later.
   */
  static readonly layerFile = (options: AddressFileOptions): Layer.Layer<AddressBook, AddressFileError> =>
    Layer.effect(
      AddressBook,
      Effect.gen(function* () {
        const { path } = options
        const clock = yield* Effect.clockWith(Effect.succeed)
        const book = make(options, () => clock.currentTimeMillisUnsafe())
        const fail = (cause: unknown) => new AddressFileError({ path, cause })
        const read = Effect.tryPromise({ try: () => addressFile.read(path), catch: fail }).pipe(
          Effect.flatMap((text) =>
            text === undefined
              ? Effect.succeed([])
              : Effect.map(Schema.decodeEffect(File)(text), ({ hints }) => hints).pipe(Effect.mapError(fail))
          )
        )
        book.merge(yield* read)
        const save = Effect.suspend(() => (book.takeChanged() ? write : Effect.void))
        const write = Effect.tryPromise({
          try: () => addressFile.locked(path, update),
          catch: fail
        }).pipe(
          Effect.catch((error) =>
            Effect.andThen(
              Effect.sync(() => book.touch()),
              Effect.logWarning("The address book was not written", error)
            )
          )
        )
        const update = async (): Promise<void> => {
          // Another process may have written since.
          const text = await addressFile.read(path)
          if (text !== undefined) book.merge(Schema.decodeSync(File)(text).hints)
          await addressFile.write(path, Schema.encodeSync(File)({ version: 1, hints: book.hints() }))
        }
        yield* Effect.addFinalizer(() => save)
        const saving = Effect.schedule(save, Schedule.spaced(options.saveInterval ?? "30 seconds"))
        yield* Effect.forkScoped(supervise("the address book of gossip", Effect.asVoid(saving)))
        return book.service
      })
    )
}

const make = ({ hints: policy = "public", maxHints = 1024 }: AddressBookOptions, now: () => number) => {
  const own = new Map<EndpointId.EndpointId, NodeAddr.NodeAddr>()
  /** Those heard of last come last. */
  const hints = new Map<EndpointId.EndpointId, Hint>()
  let changed = false

  const keep = (id: EndpointId.EndpointId, hint: Hint): void => {
    hints.delete(id)
    hints.set(id, hint)
    if (hints.size > maxHints) hints.delete(hints.keys().next().value!)
  }
  const filtered = (info: AddrInfo): AddrInfo => (policy === "all" ? info : publicOnly(info))
  const service: AddressBook["Service"] = {
    add: (addr) => {
      const known = own.get(addr.endpointId)
      if (addr.directAddresses.length === 0 && addr.relayUrl === undefined) return
      own.set(addr.endpointId, known === undefined ? addr : bounded(NodeAddr.union(addr, known)))
    },
    hint: (endpointId, info) => {
      if (policy === "none") return
      const { directAddresses, relayUrl } = filtered(info)
      if (directAddresses.length === 0 && relayUrl === undefined) return
      const known = hints.get(endpointId)
      const relay = relayUrl ?? known?.relayUrl
      // The newest first: a peer that has moved is not at the oldest any more.
      const all = [...new Set([...directAddresses, ...(known?.directAddresses ?? [])])].slice(0, maxAddresses)
      keep(endpointId, {
        endpointId,
        directAddresses: all,
        at: now(),
        ...(relay === undefined ? undefined : { relayUrl: relay })
      })
      changed = true
    },
    find: (id) => {
      const hint = hints.get(id)
      const addr = own.get(id)
      const hinted = NodeAddr.make(id, hint?.directAddresses, hint?.relayUrl)
      return addr === undefined ? hinted : NodeAddr.union(addr, hinted)
    },
    size: () => hints.size
  }
  return {
    service,
    hints: (): ReadonlyArray<Hint> => [...hints.values()],
    /** Whether there is something new since this was asked last. */
    takeChanged: (): boolean => {
      const was = changed
      changed = false
      return was
    },
    touch: (): void => {
      changed = true
    },
    /** Takes over what is newer than what is known, and passes the policy of this book. */
    merge: (others: ReadonlyArray<Hint>): void => {
      if (policy === "none") return
      const merged = new Map(hints)
      for (const hint of others) {
        const id = EndpointId.parse(hint.endpointId)
        const { directAddresses, relayUrl } = filtered(hint)
        if (directAddresses.length === 0 && relayUrl === undefined) continue
        if ((merged.get(id)?.at ?? -Infinity) >= hint.at) continue
        merged.set(id, {
          endpointId: id,
          directAddresses,
          at: hint.at,
          ...(relayUrl === undefined ? undefined : { relayUrl })
        })
      }
      hints.clear()
      for (const [id, hint] of [...merged].toSorted(([, a], [, b]) => a.at - b.at)) keep(id, hint)
    }
  }
}

const bounded = ({ directAddresses, endpointId, relayUrl }: NodeAddr.NodeAddr): NodeAddr.NodeAddr =>
  NodeAddr.make(endpointId, directAddresses.slice(0, 2 * maxAddresses), relayUrl)
