/**
 * A client and a producer with different definitions of one service.
 *
 * @since 0.1.0
 */
import * as Contract from "@aster-effect/core/contract/Contract"
import { ContractError } from "@aster-effect/core/contract/ContractError"
import * as MessageDigest from "@aster-effect/core/contract/MessageDigest"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import type { Encoding } from "@aster-effect/core/message/MessageCodec"
import type * as Service from "@aster-effect/core/service/Service"
import * as Schema from "effect/Schema"

/**
 * The producer's service of this name and version is not the one the client was made from. `methods` are those whose
 * messages are known to differ, sorted; empty where the producer only says its contract id, as release 0.1.2 does.
 *
 * @since 0.1.0
 */
export class ContractDiffers extends Schema.TaggedError<ContractDiffers>()("ContractDiffers", {
  service: Schema.String,
  version: Schema.Int,
  /** Contract id of the client's definition. */
  own: Schema.String,
  /** Contract id of the producer's. */
  offered: Schema.String,
  methods: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const differing =
      this.methods.length === 0
        ? "values may be read as others than were written"
        : `the messages of ${this.methods.join(", ")} differ, and values could be read as others than were written`
    const ids =
      this.own === this.offered
        ? `has contract ${this.own} here and at the producer, which leaves out such things as the order of enumerations`
        : `has contract ${this.own} in this client and ${this.offered} at the producer`
    return (
      `${this.service} v${this.version} ${ids}: ${differing}. Use the producer's definition, or give the changed one a new version; ` +
      "the option contractMismatch says what to do otherwise"
    )
  }
}

/**
 * What a difference leads to: `refuse` fails with `ContractDiffers`, `warn` logs it once for each service, `ignore` does
 * not look.
 *
 * @since 0.1.0
 */
export type Policy = "refuse" | "warn" | "ignore"

/**
 * A producer that says what travels in each method is refused over XLANG, where a difference turns values into others:
 * an enumeration in another order, a list of something else. That comparison leaves out what does not travel and methods
 * that only one side has; a member that is added at the end of an enumeration is all that it takes for worse than it is.
 * JSON names fields and values, so that what differs there is an
 * error of the call; and contract ids alone differ for many reasons that do no harm.
 *
 * @since 0.1.0
 */
export const defaultPolicy = (summary: ServiceSummary, encoding: Encoding): Policy =>
  summary.messageDigests !== undefined && encoding === "xlang" ? "refuse" : "warn"

/** The difference between a client's definition and what a producer offers, undefined when there is none to see. @since 0.1.0 */
export const compare = (service: Service.Any, summary: ServiceSummary): ContractDiffers | undefined => {
  const methods = summary.messageDigests === undefined ? undefined : differing(service, summary.messageDigests)
  if (methods?.length === 0) return undefined
  const own = contractIds(service)
  // A producer that has not published its contract says nothing about it.
  const unknown = summary.contractId === "" || own === undefined
  if (methods === undefined && (unknown || own.includes(summary.contractId))) return undefined
  const { name, version } = service
  const ids = { own: own?.[0] ?? "", offered: summary.contractId }
  return new ContractDiffers({ service: name, version, ...ids, methods: methods ?? [] })
}

const differing = (
  { description }: Service.Any,
  offered: { readonly [method: string]: string }
): ReadonlyArray<string> =>
  Object.entries(digestsOf(description))
    .filter(([method, digest]) => Object.hasOwn(offered, method) && offered[method] !== digest)
    .map(([method]) => method)
    .toSorted()

/** A program makes many clients of few services. */
const digests = new WeakMap<Service.Any["description"], ReturnType<typeof MessageDigest.ofService>>()

const digestsOf = (description: Service.Any["description"]): ReturnType<typeof MessageDigest.ofService> => {
  const known = digests.get(description)
  if (known !== undefined) return known
  const made = MessageDigest.ofService(description)
  digests.set(description, made)
  return made
}

/** The contract id of a definition, and the other one that the same Python definition may have. */
const contractIds = (service: Service.Any): readonly [string, string] | undefined => {
  const { description } = service
  const postponedAnnotations = description.postponedAnnotations !== true
  try {
    return [service.contract.contractId, Contract.fromDescription(description, { postponedAnnotations }).contractId]
  } catch (error) {
    // Some definitions can be called and have no contract, such as two classes of one qualified name.
    if (error instanceof ContractError) return undefined
    throw error
  }
}
