/**
 * The name of a document: the public key that its entries are signed with, 32 bytes, written as 64 lower-case hex digits.
 *
 * @since 0.1.0
 */
import { base16 } from "@scure/base"
import * as Brand from "effect/Brand"
import { DocsIdError } from "./DocsError.ts"

/** 64 lower-case hex digits. Who knows a document's id can read it from whoever shares it: it is no public name. */
export type DocumentId = Brand.Branded<string, "@aster-effect/iroh-docs/DocumentId">

const brand = Brand.nominal<DocumentId>()

/**
 * Reads 64 hex digits in either case.
 *
 * @throws DocsIdError
 */
export const parse = (text: string): DocumentId => {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new DocsIdError({ kind: "document", problem: "it is not 64 hex digits" })
  return brand(text.toLowerCase())
}

/**
 * The document whose public key is these 32 bytes.
 *
 * @throws DocsIdError
 */
export const fromBytes = (bytes: Uint8Array): DocumentId => {
  if (bytes.length !== 32) throw new DocsIdError({ kind: "document", problem: `it has ${bytes.length} bytes` })
  return brand(base16.encode(bytes).toLowerCase())
}

/** The 32 bytes. */
export const toBytes = (id: DocumentId): Uint8Array => base16.decode(id.toUpperCase())
