/**
 * What a service or method asks of its callers: roles, as the attribute `aster.role` lists them.
 *
 * @since 0.1.0
 */

/** A requirement, in the form contracts record it. @since 0.1.0 */
export interface Requirement {
  readonly kind: "role" | "any_of" | "all_of"
  readonly roles: ReadonlyArray<string>
}

/** A role no attribute can hold would lock everybody out unnoticed, so it is refused where it is declared. */
const declare = (kind: Requirement["kind"], roles: ReadonlyArray<string>): Requirement => {
  if (roles.length === 0) throw new Error(`a ${kind} requirement needs at least one role`)
  for (const role of roles) {
    if (role.trim() === "" || role.trim() !== role || role.includes(",")) {
      throw new Error(`"${role}" cannot be a role: use text without commas or surrounding spaces`)
    }
  }
  return { kind, roles }
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
