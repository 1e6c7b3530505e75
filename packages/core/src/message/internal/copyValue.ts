/**
 * A copy of a message's value that shares nothing that can be changed.
 *
 * @param initialize what becomes of the copy of a class instance
 */
export const copyValue = <A>(value: A, initialize: (copy: object) => object): A => copy(value, initialize) as A

const copy = (value: unknown, initialize: (copy: object) => object): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (value instanceof Date) return new Date(value)
  if (Array.isArray(value)) return value.map((item) => copy(item, initialize))
  if (value instanceof Set) return new Set([...value].map((item) => copy(item, initialize)))
  if (value instanceof Map) {
    return new Map([...value].map(([key, item]) => [copy(key, initialize), copy(item, initialize)]))
  }
  const prototype = Object.getPrototypeOf(value) as object | null
  const members: PropertyDescriptorMap = {}
  for (const [key, item] of Object.entries(value)) {
    members[key] = { value: copy(item, initialize), writable: true, enumerable: true, configurable: true }
  }
  const copied = Object.create(prototype, members) as object
  return prototype === null || prototype === Object.prototype ? copied : initialize(copied)
}
