/** From a schema to its wire type: what the annotations of `Wire` say, wherever on a schema they stand. */
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type { Documentation, Field, WireType } from "../WireType.ts"
import { OPTIONAL_KEY, withoutWireForm } from "./withoutWireForm.ts"

/** What a wire schema carries in its annotations. @since 0.1.0 */
export interface WireAnnotation {
  readonly type: () => WireType
  /** Checks that belong to the wire type itself; a schema that has others needs validation on top of decoding. */
  readonly checks: SchemaAST.Checks | undefined
}

/**
 * A schema without a wire form stands in a message. `path` names the field, `reason` says what to use instead.
 *
 * @since 0.1.0
 */
export class WireTypeError extends Schema.TaggedError<WireTypeError>()("WireTypeError", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

/** Stands for the place of a list, set, map or optional in the paths of what is inside. */
const ELEMENT = "(element)"

/** @param path what is made, for the error when it needs itself */
export const memo = <A>(make: () => A, path = ELEMENT): (() => A) => {
  let value: A | undefined
  let making = false
  return () => {
    if (value !== undefined) return value
    if (making) {
      throw new WireTypeError({ path, reason: "a type that contains itself needs a message class in between" })
    }
    making = true
    try {
      return (value = make())
    } finally {
      making = false
    }
  }
}

/** The wire type of a schema, with its nested types still to be looked at. */
export const wireTypeOf = (schema: Schema.Constraint): WireType => wireTypeOfAst(schema.ast, ELEMENT)

/**
 * The wire type of a schema, every nested type included.
 *
 * @param path what the schema is, for the error
 * @throws WireTypeError naming the field when a part of the schema has no wire form
 * @since 0.1.0
 */
export const resolve = (schema: Schema.Constraint, path: string): WireType => {
  const type = wireTypeOfAst(schema.ast, path)
  const seen = new Set<WireType>()
  const visit = (part: WireType): void => {
    if (seen.has(part)) return
    seen.add(part)
    switch (part._tag) {
      case "List":
      case "Set":
        return visit(part.element)
      case "Map":
        visit(part.key)
        return visit(part.value)
      case "Optional":
        return visit(part.of)
      case "Struct":
        return part.fields().forEach((field) => visit(field.type))
      default:
        return
    }
  }
  visit(type)
  return type
}

/** The fields of a message class. */
export const fieldsOf = (owner: string, fields: Schema.Struct.Fields): ReadonlyArray<Field> =>
  Object.entries(fields).map(([name, schema]) => {
    const path = `${owner}.${name}`
    if (schema.ast.context?.isOptional === true) {
      throw new WireTypeError({ path, reason: OPTIONAL_KEY })
    }
    const fallback = annotationOf(schema.ast, "wireDefault")
    return {
      name,
      type: wireTypeOfAst(schema.ast, path),
      ...(fallback === undefined ? undefined : { defaultValue: travelling(schema, fallback) }),
      ...documentationOf(schema.ast)
    }
  })

/** What a key or its schema says about the field. Classes that are described are so wherever they stand. */
const documentationOf = (ast: SchemaAST.AST): Documentation => {
  const key: Annotations | undefined = ast.context?.annotations
  const description = key?.description ?? annotationOf(ast, "description")
  const deprecated = key?.deprecated ?? annotationOf(ast, "deprecated")
  return {
    ...(description === undefined ? undefined : { description }),
    ...(deprecated === undefined ? undefined : { deprecated })
  }
}

/** The default as it would travel. */
const travelling = (schema: Schema.Constraint, fallback: { readonly value: unknown }): { readonly value: unknown } => {
  if (isPlain(schema)) return fallback
  const encode = Schema.encodeUnknownSync(schema as Schema.Codec<unknown, unknown>)
  return {
    get value() {
      return encode(fallback.value)
    }
  }
}

const wireTypeOfAst = (ast: SchemaAST.AST, path: string): WireType => {
  const annotation = annotationOf(ast, "wireType")
  // A class is annotated itself; anything else that has an encoding travels in its encoded form.
  if (
    ast.encoding !== undefined &&
    !(annotation !== undefined && ast._tag === "Declaration" && ast.encoding.length === 1)
  ) {
    return wireTypeOfAst(ast.encoding[ast.encoding.length - 1]!.to, path)
  }
  if (annotation !== undefined) return typeOf(annotation, path)
  if (ast._tag === "Suspend") return wireTypeOfAst(ast.thunk(), path)
  throw new WireTypeError({ path, reason: withoutWireForm(ast) })
}

/** Types inside do not know where they stand. */
const typeOf = (annotation: WireAnnotation, path: string): WireType => {
  try {
    return annotation.type()
  } catch (error) {
    if (!(error instanceof WireTypeError) || !error.path.startsWith(ELEMENT)) throw error
    throw new WireTypeError({ path: `${path}[]${error.path.slice(ELEMENT.length)}`, reason: error.reason })
  }
}

/**
 * Whether decoding the wire form alone yields valid values: no checks, brands with checks or transformations stand on
 * top of the wire types.
 *
 * @since 0.1.0
 */
export const isPlain = (schema: Schema.Constraint): boolean => plain(schema.ast, new Set())

const plain = (ast: SchemaAST.AST, seen: Set<SchemaAST.AST>): boolean => {
  if (seen.has(ast)) return true
  seen.add(ast)
  if (ast._tag === "Suspend") return plain(ast.thunk(), seen)
  const annotation = annotationOf(ast, "wireType")
  if (annotation === undefined || annotation.checks?.length !== ast.checks?.length) return false
  switch (ast._tag) {
    case "Declaration":
      return (
        (ast.encoding === undefined || ast.encoding.length === 1) &&
        ast.typeParameters.every((child) => plainPart(child, seen))
      )
    default:
      return ast.encoding === undefined && children(ast).every((child) => plainPart(child, seen))
  }
}

/** The struct below a class and the null of an optional are not annotated themselves. */
const plainPart = (ast: SchemaAST.AST, seen: Set<SchemaAST.AST>): boolean =>
  ast._tag === "Objects" && annotationOf(ast, "wireType") === undefined
    ? ast.checks === undefined && children(ast).every((child) => plain(child, seen))
    : plain(ast, seen)

const children = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  switch (ast._tag) {
    case "Objects":
      return [...ast.propertySignatures.map((p) => p.type), ...ast.indexSignatures.map((s) => s.type)]
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Union":
      return ast.types.filter((type) => type._tag !== "Null" && type._tag !== "Literal")
    default:
      return []
  }
}

interface Annotations {
  readonly wireType?: WireAnnotation | undefined
  readonly wireDefault?: { readonly value: unknown } | undefined
  readonly description?: string | undefined
  readonly deprecated?: string | true | undefined
}

/** Annotations written after a check live on that check, so those come first. */
const annotationOf = <K extends keyof Annotations>(ast: SchemaAST.AST, key: K): Annotations[K] => {
  for (const check of ast.checks?.toReversed() ?? []) {
    const annotations: Annotations | undefined = check.annotations
    if (annotations?.[key] !== undefined) return annotations[key]
  }
  const annotations: Annotations | undefined = ast.annotations
  return annotations?.[key]
}
