/**
 * `aster gossip listen|send`. Everything about the network is loaded when one of them runs.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as flags from "../internal/flags.ts"

const topic = Argument.String("topic").pipe(Argument.withDescription("A name, or a topic id of 64 hex digits"))

const peers = Flag.String("peer").pipe(
  Flag.withMetavar("address"),
  Flag.withDescription(
    "A member to join at: an aster1 ticket, a base64 node address or an endpoint id; may be repeated"
  ),
  Flag.between(0, 64)
)

const hints = Flag.Boolean("private").pipe(
  Flag.withDescription("Dial addresses of this machine and of private networks too, when members tell of them"),
  Flag.withDefault(false)
)

const listen = Command.make(
  "listen",
  {
    topic,
    peers,
    rcan: flags.rcan,
    private: hints,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print one JSON object a line"), Flag.withDefault(false))
  },
  Effect.fn("aster gossip listen")(function* ({ json, peers, private: all, rcan, topic }) {
    const { listen } = yield* Effect.promise(() => import("../internal/gossip/listen.ts"))
    yield* listen({ topic, peers, credential: Option.getOrUndefined(rcan), hints: all ? "all" : "public", json })
  })
).pipe(
  Command.withDescription("Join a topic and print what is broadcast, until it is stopped"),
  Command.withExamples([
    { command: "aster gossip listen weather", description: "Wait for others; the address to join at is printed" },
    { command: "aster gossip listen weather --peer aster1... --json", description: "Join, one JSON object a line" }
  ])
)

const send = Command.make(
  "send",
  {
    topic,
    texts: Argument.String("text").pipe(
      Argument.withDescription("What to broadcast (default: every line of standard input)"),
      Argument.variadic()
    ),
    peers,
    rcan: flags.rcan,
    private: hints,
    timeout: flags.timeout("How long joining may take")
  },
  Effect.fn("aster gossip send")(function* ({ peers, private: all, rcan, texts, timeout, topic }) {
    const { send } = yield* Effect.promise(() => import("../internal/gossip/send.ts"))
    yield* send({
      topic,
      texts,
      peers,
      credential: Option.getOrUndefined(rcan),
      hints: all ? "all" : "public",
      timeoutSeconds: timeout
    })
  })
).pipe(
  Command.withDescription("Join a topic, broadcast, and leave"),
  Command.withExamples([
    { command: 'aster gossip send weather "sunny" --peer aster1...', description: "One message" },
    { command: "tail -f log | aster gossip send logs --peer aster1...", description: "Every line of another program" }
  ])
)

/** @since 0.1.0 */
export const command = Command.make("gossip").pipe(
  Command.withDescription("Messages to all members of a topic"),
  Command.withSubcommands([listen, send])
)
