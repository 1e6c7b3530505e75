/** Whom a client calls: one producer, or of several one for each call. */
import type * as Caller from "@aster-effect/core/call/Caller"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import type { Interceptor } from "@aster-effect/core/interceptor/Interceptor"
import type { RpcError } from "@aster-effect/core/wire/RpcError"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type * as RpcDialer from "@aster-effect/transport/RpcDialer"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as failover from "./failover.ts"
import type { Link, ProducerLinks } from "./producerLinks.ts"

/** How calls reach a producer. */
export type Way = Pick<Caller.CallerOptions, "open" | "openNow" | "peer">

/** What is called: a service in a version, wherever what is offered of it will do. */
export interface Called {
  readonly summary: ServiceSummary
  readonly fits: (offered: ServiceSummary) => boolean
}

export interface Callee {
  /** What is offered, the same service by each producer. */
  readonly offered: () => ReadonlyArray<ServiceSummary>
  /** The way of calls that are independent of each other; the interceptors go inside all others. */
  readonly calls: (called: Called) => Way & { readonly interceptors: ReadonlyArray<Interceptor> }
  /** The way of calls that go to one producer. `use` may run again while it fails before anything has begun. */
  readonly one: <A, R>(
    called: Called,
    use: (way: Way) => Effect.Effect<A, RpcError, R>
  ) => Effect.Effect<A, RpcError, R>
}

/** One producer. */
export const single = (
  producer: NodeAddr.NodeAddr,
  services: ReadonlyArray<ServiceSummary>,
  dialer: RpcDialer.RpcDialer
): Callee => {
  const way = ({ summary }: Called): Way => {
    const address = addressOf(summary, producer)
    return { open: dialer.open(address), openNow: dialer.openNow(address.endpointId), peer: producer.endpointId }
  }
  return {
    offered: () => services,
    calls: (called) => ({ ...way(called), interceptors: [] }),
    one: (called, use) => use(way(called))
  }
}

/** Any of several producers. */
export const several = <E>(links: ProducerLinks<E>, patience: Duration.Duration): Callee => {
  const offeredBy = ({ reply }: Link, { fits, summary: { name, version } }: Called): ServiceSummary | undefined =>
    reply.services.find((offered) => offered.name === name && offered.version === version && fits(offered))
  const openOn =
    (called: Called) =>
    (link: Link): Caller.CallerOptions["open"] =>
      link.dialer.open(addressOf(offeredBy(link, called) ?? called.summary, link.producer))
  const optionsFor = (called: Called): failover.FailoverOptions => {
    const fitting = new WeakMap<Link, boolean>()
    const fits = (link: Link): boolean => {
      const known = fitting.get(link) ?? offeredBy(link, called) !== undefined
      fitting.set(link, known)
      return known
    }
    return { links, service: `${called.summary.name} v${called.summary.version}`, fits, open: openOn(called), patience }
  }
  return {
    offered: () => links.replies.flatMap(({ services }) => services),
    calls: (called) => {
      const options = optionsFor(called)
      // Interceptors outside of the choice do not know whom it will be.
      return { open: failover.open(options), peer: "", interceptors: [failover.interceptor(options)] }
    },
    one: (called, use) => {
      const options = optionsFor(called)
      return failover.onOne(options, (link) => use({ open: options.open(link), peer: link.producer.endpointId }))
    }
  }
}

/**
 * Where the service is called. The producer's word is taken for addresses of its own and nobody else's: a call that it
 * sent to another node would be made there with this consumer's rights.
 */
export const addressOf = (summary: ServiceSummary, producer: NodeAddr.NodeAddr): NodeAddr.NodeAddr => {
  const channel = summary.channels["rpc"]
  if (channel === undefined) return producer
  try {
    const address = NodeAddr.parse(channel)
    return address.endpointId === producer.endpointId ? NodeAddr.union(producer, address) : producer
  } catch {
    return producer
  }
}

/** All that is known of where a producer is: a ticket has no relay, but what its services say has. */
export const provider = (services: ReadonlyArray<ServiceSummary>, producer: NodeAddr.NodeAddr): NodeAddr.NodeAddr =>
  services.map((summary) => addressOf(summary, producer)).reduce(NodeAddr.union, producer)
