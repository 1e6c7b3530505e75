import * as NodeConfig from "@aster-effect/config/NodeConfig"
import { BlobNotFound } from "@aster-effect/iroh-blobs/BlobError"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import { BlobStore } from "@aster-effect/iroh-blobs/BlobStore"
import * as BlobTicket from "@aster-effect/iroh-blobs/BlobTicket"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import * as Router from "@aster-effect/iroh/Router"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { byteText } from "../byteText.ts"
import { clientConfig } from "../clientConfig.ts"
import { printJson } from "./output.ts"
import { blobsOffline, childrenOf, contentOf, openStore, parse } from "./store.ts"

/** What to share, and from where. */
export interface Share {
  readonly hash: string
  readonly store: string | undefined
  readonly json: boolean
}

/** The node's address, after it has had a moment to find its relay, so that the ticket works from afar. */
const settled = (node: IrohNode["Service"]) =>
  node.address.pipe(
    Effect.repeat({ until: ({ relayUrl }) => relayUrl !== undefined, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutOrElse({ duration: "1500 millis", orElse: () => node.address })
  )

/** Serves one blob, and what it lists, to anybody who asks for it; never ends by itself. */
export const share = Effect.fnUntraced(function* (options: Share) {
  const store = yield* openStore(options.store, "read")
  const content = yield* contentOf(store, options.hash)
  const offline = yield* blobsOffline(store)
  yield* store.protect(content)
  const children = content.format === "raw" ? [] : yield* childrenOf(offline, content.hash)
  const shared = new Set([content.hash, ...children])
  for (const hash of shared) if (!(yield* offline.has(hash))) return yield* new BlobNotFound({ hash })

  const config = yield* clientConfig(undefined)
  const settings = yield* NodeConfig.nodeOptions(config, config.secretKey)
  const node = Context.get(yield* Layer.build(IrohNode.layer(settings)), IrohNode)
  const protocol = BlobsProtocol.protocol({
    // The store may hold more than what is shared.
    authorize: (_, request) =>
      Effect.succeed(
        (request._tag === "GetMany" ? request.hashes : [request.hash]).every((hash) => shared.has(hash))
          ? "allowed"
          : "forbidden"
      ),
    onServed: ({ outcome, peer, sent }) =>
      sent > 0 ? Console.error(`${peer.slice(0, 10)}: ${byteText(sent)} sent, ${outcome}`) : Effect.void
  })
  yield* Router.serve({ protocols: [protocol], gracePeriod: "1 second" }).pipe(
    Effect.provide([Layer.succeed(IrohNode, node), Layer.succeed(BlobStore, store)])
  )
  const addr = settings.relayMode === "disabled" ? yield* node.address : yield* settled(node)
  const ticket = yield* parse(() => BlobTicket.encode({ ...content, addr }))
  if (options.json) yield* printJson({ ...content, ticket, endpoint_id: node.endpointId })
  else {
    yield* Console.log(ticket)
    yield* Console.error("Serving. Whoever has the ticket can download it; Ctrl+C stops it.")
  }
  return yield* Effect.never
}, Effect.scoped)
