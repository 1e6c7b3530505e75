/**
 * What a service or method asks of its callers: roles, as the attribute `aster.role` lists them.
 *
 * @since 0.1.0
 */
import type { Call, CalledMethod } from "@aster-effect/core/interceptor/CallContext"
import * as Interceptor from "@aster-effect/core/interceptor/Interceptor"
import { problemOf, type Requirement } from "@aster-effect/core/service/Requirement"
import { RpcError } from "@aster-effect/core/wire/RpcError"
import type * as Service from "@aster-effect/core/service/Service"
import * as Effect from "effect/Effect"

/** A requirement, as services and methods carry it. @since 0.1.0 */
export type { Requirement } from "@aster-effect/core/service/Requirement"

/** A role no attribute can hold would lock everybody out unnoticed, so it is refused where it is declared. */
const declare = (kind: Requirement["kind"], roles: ReadonlyArray<string>): Requirement => {
  const requirement = { kind, roles }
  const problem = problemOf(requirement)
  if (problem !== undefined) throw new Error(problem)
  return requirement
}

/** The caller must hold this role. @since 0.1.0 */
export const role = (name: string): Requirement => declare("role", [name])

/** The caller must hold at least one of these roles; an empty list is refused. @since 0.1.0 */
export const anyOf = (...roles: readonly [string, ...ReadonlyArray<string>]): Requirement => declare("any_of", roles)

/** The caller must hold every one of these roles; an empty list is refused. @since 0.1.0 */
export const allOf = (...roles: readonly [string, ...ReadonlyArray<string>]): Requirement => declare("all_of", roles)

/** The roles held: `aster.role` split at commas, trimmed, empties dropped, case kept. @since 0.1.0 */
export const heldRoles = (attributes: ReadonlyMap<string, string>): ReadonlySet<string> =>
  new Set(
    (attributes.get("aster.role") ?? "")
      .split(",")
      .map((role) => role.trim())
      .filter((role) => role !== "")
  )

/**
 * Whether a caller's attributes satisfy a requirement. `role` looks at the first listed role alone. A requirement that
 * lists no role, or of a kind this version does not know, is satisfied by nobody.
 *
 * @since 0.1.0
 */
export const isSatisfied = (requirement: Requirement, attributes: ReadonlyMap<string, string>): boolean => {
  const held = heldRoles(attributes)
  const [first] = requirement.roles
  if (first === undefined) return false
  switch (requirement.kind) {
    case "role":
      return held.has(first)
    case "any_of":
      return requirement.roles.some((role) => held.has(role))
    case "all_of":
      return requirement.roles.every((role) => held.has(role))
    default:
      return false
  }
}

/** Whether the service or one of its methods requires anything of callers. @since 0.1.0 */
export const isGuarded = ({ methods, requires }: Service.Any): boolean =>
  requires !== undefined || methods.some((method) => method.requires !== undefined)

/**
 * Enforces what services and methods require, each service in its own version: a call needs both what its service and
 * what its method asks for. Otherwise it ends with PERMISSION_DENIED, before any request frame is read; the message
 * names what was called and nothing about the caller. Services that are not listed are denied. Methods without a
 * requirement pay nothing.
 *
 * @since 0.1.0
 */
export const enforce = (services: ReadonlyArray<Service.Any>): Interceptor.Interceptor => {
  const key = (service: string, version: number): string => `${version} ${service}`
  const listed = new Map(services.map((service) => [key(service.name, service.version), service]))
  const requirements = (called: CalledMethod) => {
    const service = listed.get(key(called.service, called.version))
    return service === undefined
      ? undefined
      : { service: service.requires, method: service.methods.find(({ name }) => name === called.method)?.requires }
  }
  /** What the caller may not use. */
  const forbidden = (call: Call): string | undefined => {
    const required = requirements(call)
    const lacks = (requirement: Requirement | undefined) =>
      requirement !== undefined && !isSatisfied(requirement, call.attributes)
    if (required === undefined || lacks(required.service)) return `service '${call.service}'`
    return lacks(required.method) ? `method '${call.service}.${call.method}'` : undefined
  }
  const enforcing: Interceptor.Interceptor = (call, next) => {
    const what = forbidden(call)
    return what === undefined ? next(call) : denied(what)
  }
  return Interceptor.when(
    (called) => {
      const required = requirements(called)
      return required === undefined || required.service !== undefined || required.method !== undefined
    },
    Object.assign(enforcing, { brief: { passes: (call: Call) => forbidden(call) === undefined } })
  )
}

const denied = (what: string) =>
  Effect.fail(RpcError.of("PERMISSION_DENIED", `${what} requires a role that the caller does not hold`))
