/** Members of swarms, each with a node of its own. */
import { AddressBook } from "@aster-effect/iroh-gossip/AddressBook"
import { Gossip, type GossipOptions } from "@aster-effect/iroh-gossip/Gossip"
import * as GossipProtocol from "@aster-effect/iroh-gossip/GossipProtocol"
import type { Topic } from "@aster-effect/iroh-gossip/Topic"
import { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { MemoryNetwork } from "@aster-effect/iroh/MemoryNetwork"
import type { NodeAddr } from "@aster-effect/iroh/NodeAddr"
import type { NodeOptions } from "@aster-effect/iroh/NodeOptions"
import * as Router from "@aster-effect/iroh/Router"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

export interface Member {
  readonly node: IrohNode["Service"]
  readonly gossip: Gossip["Service"]
  readonly book: AddressBook["Service"]
  readonly addr: NodeAddr
}

export interface MemberOptions {
  readonly gossip?: GossipOptions | undefined
  readonly node?: NodeOptions | undefined
  /** Further protocols of the node. */
  readonly alpns?: Readonly<Record<string, Router.Handler>> | undefined
}

const build = Effect.fnUntraced(function* <R>(nodeLayer: Layer.Layer<IrohNode, unknown, R>, options: MemberOptions) {
  const layer = Gossip.layerWith(AddressBook.layerMemory({ hints: "all" }), options.gossip).pipe(
    Layer.provideMerge(nodeLayer)
  )
  const context = yield* Effect.orDie(Layer.build(Layer.fresh(layer)))
  const further = Object.entries(options.alpns ?? {}).map(([alpn, handler]) => ({ alpn, handler }))
  yield* Effect.provideContext(
    Router.serve({
      protocols: [GossipProtocol.protocol, ...further],
      gracePeriod: "1 second",
      linger: "10 millis"
    }),
    context
  )
  const node = Context.get(context, IrohNode)
  const member: Member = {
    node,
    gossip: Context.get(context, Gossip),
    book: Context.get(context, AddressBook),
    addr: yield* node.address
  }
  return member
})

/** A member in the network inside the process, until the scope closes. */
export const memoryMember = (options: MemberOptions = {}): Effect.Effect<Member, never, Scope.Scope | MemoryNetwork> =>
  build(IrohNode.layerMemory(options.node), options)

/** A member on loopback, until the scope closes. */
export const loopbackMember = (options: MemberOptions = {}): Effect.Effect<Member, never, Scope.Scope> =>
  build(IrohNode.layer({ bindAddress: "127.0.0.1:0", relayMode: "disabled", ...options.node }), options)

export const text = (content: string): Uint8Array => new TextEncoder().encode(content)

/** Collects the texts of a topic from now on. */
export const collect = Effect.fnUntraced(function* (topic: Topic) {
  const texts: Array<string> = []
  yield* topic.messages.pipe(
    Stream.runForEach(({ content }) => Effect.sync(() => texts.push(new TextDecoder().decode(content)))),
    Effect.forkScoped({ startImmediately: true })
  )
  return texts
})

/** Waits until something is so, on the real clock. */
export const until = (condition: () => boolean, what: string, timeout = 60_000): Effect.Effect<void> => {
  const poll: Effect.Effect<void> = Effect.suspend(() =>
    condition() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), poll)
  )
  return Effect.timeoutOrElse(poll, { duration: timeout, orElse: () => Effect.die(new Error(`in vain: ${what}`)) })
}

/** What an effect answers, taken again and again until it does. */
export const eventually = <A>(
  effect: Effect.Effect<A>,
  condition: (value: A) => boolean,
  what: string
): Effect.Effect<A> => {
  const poll: Effect.Effect<A> = Effect.flatMap(effect, (value) =>
    condition(value) ? Effect.succeed(value) : Effect.andThen(Effect.sleep("5 millis"), poll)
  )
  return Effect.timeoutOrElse(poll, { duration: 60_000, orElse: () => Effect.die(new Error(`in vain: ${what}`)) })
}

/** The next element of a stream for which `fits`, from now on. */
export const nextOf = Effect.fnUntraced(function* <A>(stream: Stream.Stream<A>, fits: (value: A) => boolean) {
  const found = yield* stream.pipe(
    Stream.filter(fits),
    Stream.runHead,
    Effect.flatMap(Effect.fromOption),
    Effect.orDie,
    Effect.forkScoped({ startImmediately: true })
  )
  return Fiber.join(found)
})
