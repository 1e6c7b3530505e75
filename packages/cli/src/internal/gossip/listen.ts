import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { Received } from "@aster-effect/iroh-gossip/Topic"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { printable } from "../printable.ts"
import { join, type Membership } from "./member.ts"

export interface Listen extends Membership {
  readonly json: boolean
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const textOf = (content: Uint8Array): string | undefined => {
  try {
    return utf8.decode(content)
  } catch {
    return undefined
  }
}

/** One line, whatever was broadcast. */
const lineOf = ({ content, from, missed, scope }: Received, json: boolean): string => {
  const text = textOf(content)
  if (!json) return printable(text ?? Buffer.from(content).toString("hex")).replaceAll("\n", "\\n")
  const body = text === undefined ? { hex: Buffer.from(content).toString("hex") } : { text }
  return JSON.stringify({ ...body, from, scope: scope._tag.toLowerCase(), missed })
}

/** Prints what is broadcast; never ends by itself. */
export const listen = Effect.fnUntraced(function* (options: Listen) {
  const { node, topic } = yield* join(options)
  yield* Console.error(`Topic ${topic.id}. Others join with --peer ${NodeAddr.toTicket(yield* node.address)}`)
  yield* topic.events.pipe(
    Stream.runForEach((event) => {
      switch (event._tag) {
        case "NeighborUp":
          return Console.error(`${event.peer.slice(0, 10)} is a neighbour`)
        case "NeighborDown":
          return Console.error(`${event.peer.slice(0, 10)} is a neighbour no longer: ${event.reason}`)
        case "DialFailed":
          return Console.error(printable(event.error.message))
        case "PeerDropped":
          return Console.error(`${event.peer.slice(0, 10)} is shut out for a minute: ${event.cause}`)
        case "Rejoining":
          return Effect.void
      }
    }),
    Effect.forkScoped
  )
  yield* topic.messages.pipe(
    Stream.runForEach((message) =>
      Effect.andThen(
        message.missed === 0 ? Effect.void : Console.error(`${message.missed} messages were missed`),
        Console.log(lineOf(message, options.json))
      )
    )
  )
}, Effect.scoped)
