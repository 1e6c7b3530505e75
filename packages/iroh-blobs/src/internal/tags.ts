import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TagNotFound } from "../BlobError.ts"
import type { HashAndFormat } from "../BlobHash.ts"
import type { TagFilter, Tags } from "../BlobStore.ts"
import { attempt, attemptSync } from "./entries.ts"
import { type Changes, type Metadata, tagNamed, tagPrefix, type TagRange } from "./metadata.ts"

/** Sets a tag within a commit, or creates an automatic one for the name `true`. Answers the name. */
export interface TagWriter {
  readonly write: (changes: Changes, name: string | true, content: HashAndFormat) => string
}

const PAGE = 1000

/** `onRoot` is called when a tag may keep something that none kept before; `now` is the time for automatic names. */
export const makeTags = (
  metadata: Metadata,
  now: () => Date,
  onRoot: (content: HashAndFormat) => void
): Tags & TagWriter => {
  const write = (changes: Changes, name: string | true, { format, hash }: HashAndFormat): string => {
    const chosen = name === true ? autoName(metadata, now()) : wellFormed(name)
    onRoot({ hash, format })
    changes.setTag({ name: chosen, hash, format })
    return chosen
  }
  const change = <A>(operation: string, run: (changes: Changes) => A) => attempt(operation, () => metadata.commit(run))
  const removeRange = (range: TagRange) => change("remove tags", (changes) => changes.deleteTags(range))

  return {
    write,
    set: (name, content) => Effect.asVoid(change("set a tag", (changes) => write(changes, name, content))),
    create: (content) => change("create a tag", (changes) => write(changes, true, content)),
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
      change("rename a tag", (changes) => {
        const tag = metadata.tag(from)
        if (tag === undefined) return false
        changes.deleteTags(tagNamed(from))
        write(changes, to, tag)
        return true
      }).pipe(Effect.flatMap((found) => (found ? Effect.void : new TagNotFound({ name: from }))))
  }
}

/** Half a surrogate pair has no UTF-8 form: two names that differ in it would be one. */
const wellFormed = (name: string): string => {
  if (name.isWellFormed()) return name
  throw new Error(`${JSON.stringify(name)} is not a tag's name: it holds half a surrogate pair`)
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
