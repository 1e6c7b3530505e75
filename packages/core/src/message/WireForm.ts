/**
 * What the compiler sees of wire forms: a schema without one is refused where it is written, with the sentence that says
 * what to use instead.
 *
 * Schemas of the `Wire` module carry a mark in their types. A schema is refused when its type tells what it is made of
 * and no mark is there; one whose type hides that, as `Schema.Codec<A>` does, is looked at where the service is defined,
 * by `Wire.resolve`.
 *
 * A function that takes any schema needs nothing of this: `<S extends Schema.Constraint>(item: S) => Wire.List(item)`.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type { OPTIONAL_KEY, Reasons } from "./internal/withoutWireForm.ts"

/** The mark of a schema that has a wire form. It is there for the compiler alone. @since 0.1.0 */
export interface HasWireForm {
  readonly "~wire.form"?: true
}

/** What a schema without a wire form is compared with: nothing is one. @since 0.1.0 */
export interface NoWireForm<Reason extends string> {
  readonly "~wire.form": Reason
}

/**
 * To be intersected with the type of a schema that has to travel: `unknown` where it has a wire form or may have one,
 * else a type that it cannot have, and which says why.
 *
 * @since 0.1.0
 */
export type Checked<S> = [Form<S>] extends [never] ? NoWireForm<Reason<S>> : unknown

/** The same for each of the fields of a message, which are told apart only where one is refused. @since 0.1.0 */
export type CheckedFields<Fields extends Schema.Struct.Fields> = [Refused<Fields[keyof Fields]>] extends [never]
  ? unknown
  : { readonly [K in keyof Fields]: Checked<Fields[K]> }

/** Those schemas of a union that are refused. */
type Refused<S> = S extends unknown ? ([Form<S>] extends [never] ? S : never) : never

/**
 * `never` where the type of a schema tells that it has no wire form. The brackets let a function that takes any schema
 * pass it on: what is compared with them is not `never` for a type that is still unknown, which is all that is asked.
 */
type Form<S> = [0] extends [1 & S] // any
  ? unknown
  : [S] extends [never]
    ? unknown
    : S extends { readonly "~type.optionality": "optional" }
      ? never
      : S extends HasWireForm
        ? unknown
        : S extends { readonly from: infer From; readonly to: unknown }
          ? Form<From> // a transformation travels encoded
          : S extends { readonly ast: infer Ast }
            ? SchemaAST.AST extends Ast
              ? unknown // hidden
              : Ast extends SchemaAST.Suspend
                ? unknown
                : S extends { readonly schema: infer Inner }
                  ? Form<Inner> | (Inner extends { readonly to: infer To } ? Form<To> : never) // Schema.toType
                  : never
            : unknown

/** Why it has none: what it is made of says so, as it does at run time. */
type Reason<S> = S extends { readonly "~type.optionality": "optional" }
  ? typeof OPTIONAL_KEY
  : S extends { readonly from: infer From; readonly to: unknown }
    ? Reason<From>
    : S extends { readonly schema: infer Inner }
      ? Reason<Inner>
      : S extends { readonly fields: unknown }
        ? Reasons["Objects"]
        : S extends { readonly ast: { readonly _tag: infer Tag extends keyof Reasons } }
          ? Reasons[Tag]
          : never
