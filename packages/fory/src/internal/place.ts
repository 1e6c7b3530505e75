import type { UndeclaredSlot } from "./elements.ts"
import type { ScalarCodec } from "./scalars.ts"
import type { Source } from "./source.ts"
import type { Slot, ValueCodec } from "./valueCodec.ts"

/** What struct fields and collection elements share: generated statements for one place. */

const isScalar = (codec: ValueCodec): codec is ScalarCodec => "writeEnsured" in codec

/** Most bytes a non-null value takes, if that is a small constant. */
export const sizeOf = ({ codec }: Slot): number | undefined => (isScalar(codec) ? codec.size : undefined)

/**
 * Writes the non-null value in variable `value` to `w` at `p`. `ensured`: the bytes of a bounded scalar are known to
 * fit.
 */
export const emitWrite = (source: Source, codec: ValueCodec, value: string, depth: string, ensured: boolean): string =>
  isScalar(codec)
    ? `p = ${source.bind(ensured ? codec.writeEnsured : codec.write)}(w, p, ${value}, ${depth})\n`
    : `p = ${source.bind(codec)}.write(w, p, ${value}, ${depth})\n`

/** Expression that reads a non-null value from `r`. */
export const emitRead = (source: Source, codec: ValueCodec, depth: string): string =>
  isScalar(codec) ? `${source.bind(codec.read)}(r, ${depth})` : `${source.bind(codec)}.read(r, ${depth})`

/** The place as it is where its type is not declared. */
export const undeclaredSlot = (slot: Slot): UndeclaredSlot =>
  slot.codec.untyped === undefined
    ? { nullable: slot.nullable, codecOf: () => slot.codec }
    : { nullable: slot.nullable || slot.codec.untyped.nullable, codecOf: slot.codec.untyped.codecOf }
