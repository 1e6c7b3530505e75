import type { Writer } from "../Writer.ts"
import type { NamedType } from "./namedType.ts"
import type { Reader } from "./reader.ts"

/**
 * How values of one type are written and read below the message level. Type ids and null flags in front of a value are
 * the business of whoever holds it.
 *
 * `depth` is the nesting level at which the value itself is open; types that open no level ignore it.
 */
export interface ValueCodec {
  /** 0 for `any`, which has no id of its own. */
  readonly typeId: number
  /** For messages: what a value of this type is called. */
  readonly label: string
  readonly named: NamedType | undefined
  /** Writes `value` at `position` and returns the position after it. */
  readonly write: Write
  /** Like `write`, where the type is not declared: elements of collections then carry their types. */
  readonly writeUndeclared: Write
  readonly read: (reader: Reader, depth: number) => unknown
  /** The parts of a value with their path segments, to find out which one an encoding error is about. */
  readonly parts: (value: unknown) => Iterable<Part>
  /** Only where `typeId` is 0: which types may stand there. */
  readonly untyped?: Untyped | undefined
}

/** What may stand in an untyped place. */
export interface Untyped {
  /** Whether null is one of the values. */
  readonly nullable: boolean
  /** How a value is written. Throws for what may not stand there. */
  readonly codecOf: (value: unknown) => ValueCodec
  /** The codec to read with where a message names `codec`, or undefined for a type that may not stand there. */
  readonly narrow: (codec: ValueCodec) => ValueCodec | undefined
}

export type Write = (writer: Writer, position: number, value: unknown, depth: number) => number

export interface Part {
  readonly segment: string
  readonly value: unknown
  readonly slot: Slot
}

/** A place for a value: a field, an element, a key. */
export interface Slot {
  readonly codec: ValueCodec
  readonly nullable: boolean
}

/** Whether values there carry their types. */
export const isUntyped = ({ codec }: Slot): boolean => codec.typeId === 0

export const isNull = (value: unknown): value is null | undefined => value === null || value === undefined
