/**
 * The status codes a call can end with (Aster RPC wire, status codes).
 *
 * @since 0.1.0
 */

/**
 * Codes by name. 0 to 16 equal gRPC's; codes from 100 belong to Aster, of which 101 alone is assigned.
 *
 * @since 0.1.0
 */
export const StatusCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
  CONTRACT_VIOLATION: 101
} as const

/** The name of an assigned code. @since 0.1.0 */
export type StatusName = keyof typeof StatusCode

/** An assigned code. @since 0.1.0 */
export type StatusCode = (typeof StatusCode)[StatusName]

const names: ReadonlyMap<number, string> = new Map(Object.entries(StatusCode).map(([name, code]) => [code, name]))

/** The name of a code, for messages and logs: `NOT_FOUND`, or `CODE_42` for a code that is not assigned. @since 0.1.0 */
export const nameOf = (code: number): string => names.get(code) ?? `CODE_${code}`

/** Whether a name is that of an assigned code. @since 0.1.0 */
export const isStatusName = (name: string): name is StatusName => Object.hasOwn(StatusCode, name)
