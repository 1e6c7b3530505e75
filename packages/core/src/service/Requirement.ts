/**
 * Which callers a service or a method is for: those that hold certain roles.
 *
 * A requirement is plain data and no part of the contract id: release 0.1.2 publishes none. Services and methods carry
 * it, the admission package enforces it.
 *
 * @since 0.1.0
 */

/**
 * - `role`: the caller holds the first role listed;
 * - `any_of`: the caller holds at least one of the roles;
 * - `all_of`: the caller holds every one of them.
 *
 * @since 0.1.0
 */
export interface Requirement {
  readonly kind: "role" | "any_of" | "all_of"
  readonly roles: ReadonlyArray<string>
}

/**
 * Why nobody could ever satisfy a requirement, undefined when it is sound: it lists no role, or one that no caller can
 * hold, since roles arrive trimmed and separated by commas.
 *
 * @since 0.1.0
 */
export const problemOf = ({ kind, roles }: Requirement): string | undefined => {
  if (roles.length === 0) return `an empty ${kind} requirement; name at least one role`
  const impossible = roles.find((role) => role === "" || role.trim() !== role || role.includes(","))
  return impossible === undefined
    ? undefined
    : `${JSON.stringify(impossible)} cannot be a role: use text without commas or surrounding spaces`
}
