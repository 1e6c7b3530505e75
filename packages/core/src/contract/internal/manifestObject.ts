/** Reading the JSON of a manifest key by key. Missing keys take the given fallback, as in the reference. */
import { ManifestError } from "../ManifestError.ts"

/** A value of a JSON document. Integers beyond 2^53 are bigints. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | ReadonlyArray<JsonValue>
  | { readonly [key: string]: JsonValue }

export const isJsonArray = (value: JsonValue): value is ReadonlyArray<JsonValue> => Array.isArray(value)

export const isJsonObject = (value: JsonValue): value is { readonly [key: string]: JsonValue } =>
  typeof value === "object" && value !== null && !isJsonArray(value)

/** One object of a manifest. Every method throws a `ManifestError` naming the path of a value of the wrong kind. */
export class ManifestObject {
  readonly json: { readonly [key: string]: JsonValue }
  readonly #path: string

  constructor(value: JsonValue, path: string) {
    if (!isJsonObject(value)) throw new ManifestError(path, "expected an object")
    this.json = value
    this.#path = path
  }

  pathOf(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`
  }

  get(key: string): JsonValue | undefined {
    return Object.hasOwn(this.json, key) ? this.json[key] : undefined
  }

  fail(key: string, expected: string): ManifestError {
    return new ManifestError(this.pathOf(key), `expected ${expected}`)
  }

  /** A string with a fallback for a missing key; mandatory without one. */
  string(key: string, fallback?: string): string {
    const value = this.get(key) ?? fallback
    if (typeof value !== "string") throw this.fail(key, "a string")
    return value
  }

  optionalString(key: string): string | undefined {
    return this.get(key) === undefined ? undefined : this.string(key)
  }

  nullableString(key: string): string | null {
    return (this.get(key) ?? null) === null ? null : this.string(key)
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.get(key) ?? fallback
    if (typeof value !== "boolean") throw this.fail(key, "true or false")
    return value
  }

  optionalBoolean(key: string): boolean | undefined {
    return this.get(key) === undefined ? undefined : this.boolean(key, false)
  }

  /** An integer; as in the reference, decimal text counts and a fraction is cut. */
  integer(key: string, fallback: number): number {
    const value = this.get(key) ?? fallback
    const number = typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value
    if (typeof number !== "number" || !Number.isSafeInteger(Math.trunc(number))) throw this.fail(key, "an integer")
    return Math.trunc(number)
  }

  /** One of some spellings. */
  choice<A extends string>(key: string, spellings: ReadonlyArray<A>, fallback?: A): A {
    const value = this.string(key, fallback)
    const found = spellings.find((spelling) => spelling === value)
    if (found === undefined) throw this.fail(key, `one of ${spellings.join(", ")}`)
    return found
  }

  optionalChoice<A extends string>(key: string, spellings: ReadonlyArray<A>): A | undefined {
    return this.get(key) === undefined ? undefined : this.choice(key, spellings)
  }

  /** At most the first `limit` elements of an array; none when the key is missing. */
  list<A>(key: string, limit: number, read: (value: JsonValue, path: string) => A): ReadonlyArray<A> {
    const value = this.get(key) ?? []
    if (!isJsonArray(value)) throw this.fail(key, "an array")
    return value.slice(0, limit).map((item, index) => read(item, `${this.pathOf(key)}[${index}]`))
  }
}
