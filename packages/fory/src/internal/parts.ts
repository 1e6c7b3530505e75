import type { Part, Slot } from "./valueCodec.ts"

/** Parts of collections with their segments of an error path. */

export const noParts = (): Iterable<Part> => []

export const elementParts = (elements: Iterable<unknown>, slot: Slot): Iterable<Part> =>
  Array.from(elements, (value, index) => ({ segment: `[${index}]`, value, slot }))

export const entryParts = (entries: Iterable<readonly [unknown, unknown]>, keys: Slot, values: Slot): Iterable<Part> =>
  Array.from(entries).flatMap(([key, value]) => [
    { segment: "{key}", value: key, slot: keys },
    { segment: keySegment(key), value, slot: values }
  ])

const keySegment = (key: unknown): string =>
  `[${typeof key === "string" ? JSON.stringify(key) : typeof key === "object" ? "{...}" : String(key)}]`
