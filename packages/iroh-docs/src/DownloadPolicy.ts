/**
 * Which contents of a document are fetched when entries arrive.
 *
 * @since 0.1.0
 */
import * as Bytes from "./proto/Bytes.ts"

/** Keys: one, or all that start with something. @since 0.1.0 */
export type KeyFilter = { readonly exact: string | Uint8Array } | { readonly prefix: string | Uint8Array }

/**
 * Everything but the keys that match a filter, or nothing but these.
 *
 * @since 0.1.0
 */
export interface DownloadPolicy {
  readonly _tag: "EverythingExcept" | "NothingExcept"
  readonly filters: ReadonlyArray<KeyFilter>
  /** Larger contents, in bytes, are not fetched by themselves. Default: no limit. */
  readonly maxSize?: number | undefined
}

/** What a document has unless it is told otherwise. @since 0.1.0 */
export const everything: DownloadPolicy = { _tag: "EverythingExcept", filters: [] }

/** Contents are fetched when they are asked for, and not before. @since 0.1.0 */
export const nothing: DownloadPolicy = { _tag: "NothingExcept", filters: [] }

/** Whether a content of `size` bytes under a key is to be fetched. @since 0.1.0 */
export const admits = ({ _tag, filters, maxSize }: DownloadPolicy, key: Uint8Array, size: number): boolean =>
  (maxSize === undefined || size <= maxSize) &&
  filters.some((filter) => matches(filter, key)) === (_tag === "NothingExcept")

/** Whether a key is the one, or starts as a filter says. @since 0.1.0 */
export const matches = (filter: KeyFilter, key: Uint8Array): boolean =>
  "exact" in filter ? Bytes.equal(Bytes.of(filter.exact), key) : Bytes.startsWith(key, Bytes.of(filter.prefix))
