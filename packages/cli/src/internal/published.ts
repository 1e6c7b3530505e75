import { AsterClient, type ConnectFailure } from "@aster-effect/client/AsterClient"
import { Blobs } from "@aster-effect/iroh-blobs/Blobs"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as DocumentId from "@aster-effect/iroh-docs/DocumentId"
import { Docs } from "@aster-effect/iroh-docs/Docs"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { BindError } from "@aster-effect/iroh/NodeError"
import * as PublishedContract from "@aster-effect/registry/PublishedContract"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as Progress from "../Progress.ts"
import { client, type Target } from "./connecting.ts"

/** What to ask a producer for. */
export interface Request extends Target {
  readonly address: string
  /** Names of services; all of them when there is none. */
  readonly services: ReadonlyArray<string>
}

/** The contracts that a producer has published of what it offers. */
export const published = Effect.fnUntraced(function* (
  request: Request
): Effect.fn.Return<
  ReadonlyArray<PublishedContract.PublishedContract>,
  CliFailure | ConnectFailure | BindError,
  Scope.Scope
> {
  const { timeoutSeconds } = request
  const all = Effect.gen(function* () {
    const aster = Context.get(yield* Progress.during("Connecting", Layer.build(client(request))), AsterClient)
    return yield* Progress.during("Reading the contracts", contracts(aster, request))
  })
  return yield* Effect.timeoutOrElse(all, {
    duration: Duration.seconds(timeoutSeconds),
    orElse: () => Effect.fail(refused(`no answer within ${timeoutSeconds} s; more with --timeout`))
  })
})

const contracts = Effect.fnUntraced(function* (
  aster: AsterClient["Service"],
  { address, services }: Request
): Effect.fn.Return<ReadonlyArray<PublishedContract.PublishedContract>, CliFailure, Scope.Scope> {
  const offered = aster.services.filter(({ name }) => services.length === 0 || services.includes(name))
  const read = yield* contractReader(aster, address)
  return yield* Effect.forEach(offered, ({ contractId }) => read(contractId))
})

/** How the contracts that a producer has published are read, one by one, while the scope lasts. */
export const contractReader = Effect.fnUntraced(function* (
  aster: AsterClient["Service"],
  address: string
): Effect.fn.Return<
  (contractId: string) => Effect.Effect<PublishedContract.PublishedContract, CliFailure>,
  CliFailure,
  Scope.Scope
> {
  if (aster.registryNamespace === "") {
    return yield* refused(
      "the producer publishes no contracts; use a manifest file, from `aster contract gen` at its place"
    )
  }
  const producer = NodeAddr.parse(address.trim())
  const node = Layer.succeed(IrohNode, aster.node)
  const blobs = Layer.provideMerge(Blobs.layerWith({ providers: [producer] }), [BlobStore.layerMemory(), node])
  const read = Effect.gen(function* () {
    const context = yield* Layer.build(Layer.provideMerge(Docs.layer(), blobs))
    const document = yield* Context.get(context, Docs).import({
      _tag: "Read",
      document: DocumentId.parse(aster.registryNamespace)
    })
    yield* document.syncWith(producer)
    return document
  })
  const document = yield* Effect.mapError(read, ({ message }) => refused(message))
  return (contractId) =>
    Effect.mapError(PublishedContract.read({ document, blobs: aster.blobs }, contractId), ({ message }) =>
      refused(message)
    )
})
