/**
 * The name of an author: the public key of whoever wrote an entry, 32 bytes, written as 64 lower-case hex digits.
 *
 * @since 0.1.0
 */
import { base16 } from "@scure/base"
import * as Brand from "effect/Brand"
import { DocsIdError } from "./DocsError.ts"

/** 64 lower-case hex digits. */
export type AuthorId = Brand.Branded<string, "@aster-effect/iroh-docs/AuthorId">

const brand = Brand.nominal<AuthorId>()

/**
 * Reads 64 hex digits in either case.
 *
 * @throws DocsIdError
 */
export const parse = (text: string): AuthorId => {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new DocsIdError({ kind: "author", problem: "it is not 64 hex digits" })
  return brand(text.toLowerCase())
}

/**
 * The author whose public key is these 32 bytes.
 *
 * @throws DocsIdError
 */
export const fromBytes = (bytes: Uint8Array): AuthorId => {
  if (bytes.length !== 32) throw new DocsIdError({ kind: "author", problem: `it has ${bytes.length} bytes` })
  return brand(base16.encode(bytes).toLowerCase())
}

/** The 32 bytes. */
export const toBytes = (id: AuthorId): Uint8Array => base16.decode(id.toUpperCase())
