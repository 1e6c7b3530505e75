import { ForyError } from "../ForyError.ts"
import * as MetaString from "../proto/MetaString.ts"
import type { Writer } from "../Writer.ts"

/** Name of a registered struct or enum, in the forms the hot paths need. */
export interface NamedType {
  readonly typeId: number
  readonly namespace: string
  readonly name: string
  /** Both names as they stand on the wire when written in full. */
  readonly namespaceFrame: Uint8Array
  readonly nameFrame: Uint8Array
  /** Start of a message whose root this is: bitmap, root flag, type id, both names. */
  readonly rootPrefix: Uint8Array
}

export const labelOf = (type: { readonly namespace: string; readonly name: string }): string =>
  type.namespace === "" ? type.name : `${type.namespace}/${type.name}`

export const makeNamedType = (typeId: number, namespace: string, name: string): NamedType => {
  for (const text of [namespace, name]) {
    if (text.length > MetaString.maxLength || !text.isWellFormed())
      throw new ForyError(
        "InvalidDefinition",
        `The name ${JSON.stringify(text.slice(0, 40))} is too long or not valid Unicode`
      )
  }
  if (name === "") throw new ForyError("InvalidDefinition", "A type needs a name")
  const namespaceFrame = MetaString.frame(namespace, "namespace")
  const nameFrame = MetaString.frame(name, "typeName")
  const rootPrefix = Uint8Array.of(0x02, 0xff, typeId, ...namespaceFrame, ...nameFrame)
  return { typeId, namespace, name, namespaceFrame, nameFrame, rootPrefix }
}

const nameBits = 2 ** 24

/**
 * The names already written in the current message. pyfory repeats by type, not by text: a type's first mention writes
 * both its names in full, later ones refer back, and only the empty namespace is shared by all types (Fory XLANG §7.2).
 */
export class NameTable {
  /** Per type: id of the namespace times 2^24 plus id of the name. */
  readonly #ids = new Map<NamedType, number>()
  #root: NamedType | undefined
  #next = 0
  #emptyNamespace = -1

  /** Starts a message. The names of `root`, if any, are taken as already written. */
  begin(root: NamedType | undefined): void {
    this.#root = root
    if (this.#next > 0) {
      this.#ids.clear()
      this.#next = 0
      this.#emptyNamespace = -1
    }
  }

  /** Writes type id and names of `type` at `position` and returns the position after them. */
  write(writer: Writer, position: number, type: NamedType): number {
    if (this.#next === 0 && this.#root !== undefined) this.#add(this.#root)
    const known = this.#ids.get(type)
    const shared = this.#emptyNamespace
    const ids = known ?? this.#add(type)
    writer.ensure(position, 1 + type.namespaceFrame.length + type.nameFrame.length + 10)
    writer.buffer[position] = type.typeId
    const afterNamespace =
      known !== undefined || (type.namespace === "" && shared >= 0)
        ? writeReference(writer, position + 1, Math.floor(ids / nameBits))
        : copy(writer, position + 1, type.namespaceFrame)
    return known !== undefined
      ? writeReference(writer, afterNamespace, ids % nameBits)
      : copy(writer, afterNamespace, type.nameFrame)
  }

  #add(type: NamedType): number {
    let namespace = this.#emptyNamespace
    if (type.namespace !== "") {
      namespace = this.#next++
    } else if (namespace < 0) {
      namespace = this.#emptyNamespace = this.#next++
    }
    const ids = namespace * nameBits + this.#next++
    this.#ids.set(type, ids)
    return ids
  }
}

const copy = (writer: Writer, position: number, bytes: Uint8Array): number => {
  writer.buffer.set(bytes, position)
  return position + bytes.length
}

const writeReference = (writer: Writer, position: number, id: number): number => {
  let header = (id + 1) * 2 + 1
  for (; header > 127; header >>>= 7) writer.buffer[position++] = (header & 127) | 128
  writer.buffer[position] = header
  return position + 1
}
