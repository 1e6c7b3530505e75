/**
 * The keys of a registry document.
 *
 * @since 0.1.0
 */

/** The `ArtifactRef` of a contract. @since 0.1.0 */
export const contract = (contractId: string): string => `contracts/${contractId}`

/** The manifest of a contract, as JSON. @since 0.1.0 */
export const manifest = (contractId: string): string => `manifests/${contractId}`

/** The contract id of a version of a service. @since 0.1.0 */
export const version = (service: string, version: number): string => `services/${service}/versions/v${version}`

/** The contract id that a channel of a service, such as `stable`, points at. @since 0.1.0 */
export const channel = (service: string, channel: string): string => `services/${service}/channels/${channel}`

/** The contract id that a tag of a service points at. @since 0.1.0 */
export const tag = (service: string, tag: string): string => `services/${service}/tags/${tag}`

/** What the keys of a contract's leases begin with. @since 0.1.0 */
export const leases = (service: string, contractId: string): string =>
  `services/${service}/contracts/${contractId}/endpoints/`

/** The lease of one endpoint. @since 0.1.0 */
export const lease = (service: string, contractId: string, endpointId: string): string =>
  `${leases(service, contractId)}${endpointId}`

/** The list of authors that may write, read or administer. @since 0.1.0 */
export const acl = (list: "writers" | "readers" | "admins"): string => `_aster/acl/${list}`
