import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TagNotFound } from "../BlobError.ts"
import type { TagFilter, Tags } from "../BlobStore.ts"
import type { HashAndFormat } from "../BlobHash.ts"
import { attempt, attemptSync } from "./entries.ts"
import { tagNamed, tagPrefix, type Metadata, type TagRange } from "./metadata.ts"

/** Sets a tag, or creates one for the name "auto"; durable with the next commit. Answers the name. */
export interface TagWriter {
  readonly write: (name: string, content: HashAndFormat) => string
}

const PAGE = 1000

/** `onRoot` is called when a tag may keep something that none kept before; `now` is the time for automatic names. */
export const makeTags = (metadata: Metadata, now: () => Date, onRoot: () => void): Tags & TagWriter => {
  const write = (name: string, { format, hash }: HashAndFormat): string => {
    const chosen = name === "auto" ? autoName(metadata, now()) : name
    onRoot()
    metadata.setTag({ name: chosen, hash, format })
    return chosen
  }
  /** Runs a change and waits until it is durable. */
  const change = <A>(operation: string, run: () => A) =>
    Effect.tap(
      attemptSync(operation, run),
      attempt(operation, () => metadata.durable())
    )
  const removeRange = (range: TagRange) => change("remove tags", () => metadata.deleteTags(range))

  return {
    write,
    set: (name, content) => Effect.asVoid(change("set a tag", () => write(name, content))),
    create: (content) => change("create a tag", () => write("auto", content)),
    get: (name) => attemptSync("read a tag", () => Option.fromUndefinedOr(metadata.tag(name))),
    list: (filter = {}) => {
      const range = rangeOf(filter)
      return Stream.paginate(range.from, (from) =>
        Effect.map(
          attemptSync("list tags", () => metadata.tags({ ...range, from }, PAGE)),
          (page) => {
            const last = page.length < PAGE ? undefined : page[page.length - 1]
            // The least name after the last one is that one and a zero byte.
            return [page, last === undefined ? Option.none() : Option.some(tagNamed(last.name).to)] as const
          }
        )
      )
    },
    remove: (name) => removeRange(tagNamed(name)),
    removeAll: (filter) => removeRange(rangeOf(filter)),
    rename: (from, to) =>
      change("rename a tag", () => {
        const tag = metadata.tag(from)
        if (tag === undefined) return false
        metadata.deleteTags(tagNamed(from))
        write(to, tag)
        return true
      }).pipe(Effect.flatMap((found) => (found ? Effect.void : new TagNotFound({ name: from }))))
  }
}

const rangeOf = ({ from, prefix, to }: TagFilter): TagRange => {
  const encode = (text: string | undefined) => (text === undefined ? undefined : new TextEncoder().encode(text))
  const bounds = prefix === undefined ? {} : tagPrefix(prefix)
  return {
    from: later(encode(from), bounds.from),
    to: earlier(encode(to), bounds.to)
  }
}

const later = (a: Uint8Array | undefined, b: Uint8Array | undefined) =>
  a === undefined || (b !== undefined && Buffer.compare(a, b) < 0) ? b : a

const earlier = (a: Uint8Array | undefined, b: Uint8Array | undefined) =>
  a === undefined || (b !== undefined && Buffer.compare(a, b) > 0) ? b : a

/** `auto-` and the time; then, if that is taken, with -1, -2, ... */
const autoName = (metadata: Metadata, now: Date): string => {
  const base = `auto-${now.toISOString()}`
  let name = base
  for (let i = 1; metadata.tag(name) !== undefined; i++) name = `${base}-${i}`
  return name
}
