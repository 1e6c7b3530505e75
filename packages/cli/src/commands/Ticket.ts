/**
 * `aster ticket decode`.
 *
 * @since 0.1.0
 */
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import * as Ticket from "@aster-effect/iroh/Ticket"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { printable } from "../internal/printable.ts"
import { profileHint } from "../internal/profileHint.ts"

/** What an address says. A ticket's credential lets its holder in, so only its kind and size are shown. */
interface Content {
  readonly kind: "ticket" | "address"
  readonly endpoint_id: string
  readonly relay: string | null
  readonly direct_addresses: ReadonlyArray<string>
  readonly credential: { readonly type: string; readonly bytes: number } | null
}

const ofTicket = (text: string): Content => {
  const { credentialDataHex = "", credentialType, directAddrs, endpointId, relayAddr } = Ticket.decode(text)
  return {
    kind: "ticket",
    endpoint_id: endpointId,
    relay: relayAddr ?? null,
    direct_addresses: directAddrs,
    credential: credentialType === undefined ? null : { type: credentialType, bytes: credentialDataHex.length / 2 }
  }
}

const ofAddress = (text: string): Content => {
  const { directAddresses, endpointId, relayUrl } = NodeAddr.parse(text)
  return {
    kind: "address",
    endpoint_id: endpointId,
    relay: relayUrl ?? null,
    direct_addresses: directAddresses,
    credential: null
  }
}

const lines = ({ credential, direct_addresses: direct, endpoint_id: id, relay }: Content): ReadonlyArray<string> => [
  `Endpoint id: ${id}`,
  `Relay:       ${relay ?? "(none)"}`,
  `Direct:      ${direct.length === 0 ? "(none)" : direct.join("\n             ")}`,
  `Credential:  ${credential === null ? "(none)" : `${credential.type}, ${credential.bytes} bytes (not shown)`}`
]

const decode = Command.make(
  "decode",
  {
    ticket: Argument.String("ticket").pipe(
      Argument.withDescription("An aster1 ticket, or a node address in base64 or as 64 hex characters")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print one JSON document"), Flag.withDefault(false))
  },
  Effect.fn("aster ticket decode")(function* ({ json, ticket }) {
    const text = ticket.trim()
    const content = yield* Effect.try({
      try: () => (Ticket.isTicket(text) ? ofTicket(text) : ofAddress(text)),
      catch: (error) =>
        error instanceof Ticket.TicketError ? error : new Ticket.TicketError({ problem: String(error) })
    })
    if (json) return yield* Console.log(JSON.stringify(content, undefined, 2))
    yield* Effect.forEach(lines(content), (line) => Console.log(printable(line)))
  })
).pipe(Command.withDescription("Show what is in a ticket"))

/** @since 0.1.0 */
export const command = Command.make("ticket").pipe(
  Command.withDescription("Look into tickets"),
  Command.withSubcommands([decode]),
  Command.provideEffectDiscard(profileHint)
)
