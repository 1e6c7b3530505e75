/**
 * The message classes a service reaches, and the order and the broken edges that recursion forces on them (contract
 * identity, "Which types are collected" and "Cycles").
 *
 * All walks keep their own stacks: a long chain of classes must not exhaust the call stack.
 */
import { ContractError } from "../ContractError.ts"
import type { Field, StructType, TypeName, WireType } from "../../message/WireType.ts"
import { compareCodePoints } from "./codePoints.ts"

/** Most classes of one service; readers of manifests use no more type hashes than that. */
const MAX_TYPES = 100_000

/** Deepest nesting of lists, sets, maps and optionals in one field or message. */
const MAX_NESTING = 64

/** A class with its fields looked up. `references` are the qualified names its fields mention at any depth, sorted. */
export interface TypeNode {
  readonly type: StructType
  readonly fields: ReadonlyArray<Field>
  readonly references: ReadonlyArray<string>
}

/** A class in publication order, and the classes its fields can only refer to by name. */
export interface OrderedType {
  readonly key: string
  readonly node: TypeNode
  readonly broken: ReadonlySet<string>
}

/** The types directly inside a type: elements, keys and values, but not the fields of a class. */
const inside = (type: WireType): ReadonlyArray<WireType> => {
  switch (type._tag) {
    case "List":
    case "Set":
      return [type.element]
    case "Map":
      return [type.key, type.value]
    case "Optional":
      return [type.of]
    default:
      return []
  }
}

/** The classes a type mentions, through containers and optionals. */
const structsIn = (type: WireType, path: string): ReadonlyArray<StructType> => {
  const structs: Array<StructType> = []
  let layer: ReadonlyArray<WireType> = [type]
  for (let depth = 0; layer.length > 0; depth++) {
    if (depth > MAX_NESTING) {
      throw new ContractError(path, `lists, sets, maps and optionals may nest at most ${MAX_NESTING} deep`)
    }
    for (const part of layer) if (part._tag === "Struct") structs.push(part)
    // A set, so that a type used as key and as value all the way down does not double with every layer.
    layer = [...new Set(layer.flatMap(inside))]
  }
  return structs
}

/** A type as text down to the elements of its elements: enough to tell two classes of one name apart. */
const shape = (type: WireType, depth = 2): string => {
  const name = type._tag === "Struct" || type._tag === "Enum" ? type.name.qualifiedName : ""
  const scalar = type._tag === "Scalar" ? type.scalar : ""
  const parts = depth === 0 ? [] : inside(type).map((part) => shape(part, depth - 1))
  return `${type._tag} ${name}${scalar}(${parts.join()})`
}

const fieldsOf = (type: StructType): ReadonlyArray<Field> => {
  try {
    return type.fields()
  } catch (cause) {
    throw new ContractError(type.name.qualifiedName, "its fields cannot be looked up", { cause })
  }
}

const referencesOf = (type: StructType, fields: ReadonlyArray<Field>): ReadonlyArray<StructType> => {
  const names = new Set<string>()
  return fields.flatMap((field) => {
    const path = `${type.name.qualifiedName}.${field.name}`
    if (field.name === "" || !field.name.isWellFormed()) {
      throw new ContractError(path, "a field name is Unicode text of at least one character")
    }
    if (names.has(field.name)) throw new ContractError(path, "the field is declared twice")
    names.add(field.name)
    return structsIn(field.type, path)
  })
}

const describe = (name: TypeName, fields: ReadonlyArray<Field>): string =>
  JSON.stringify([name.namespace, name.name, fields.map((field) => [field.name, shape(field.type)])])

const requireSame = (known: TypeNode, type: StructType): void => {
  if (known.type === type) return
  if (describe(known.type.name, known.fields) !== describe(type.name, fieldsOf(type))) {
    throw new ContractError(type.name.qualifiedName, "two different classes share this qualified name")
  }
}

/** All classes reachable from `roots`, by qualified name. `path` of a root names it in errors. */
export const collect = (
  roots: ReadonlyArray<{ readonly type: WireType; readonly path: string }>
): ReadonlyMap<string, TypeNode> => {
  const nodes = new Map<string, TypeNode>()
  const pending = roots.flatMap(({ path, type }) => structsIn(type, path))
  for (let type = pending.pop(); type !== undefined; type = pending.pop()) {
    const key = type.name.qualifiedName
    const known = nodes.get(key)
    if (known !== undefined) {
      requireSame(known, type)
      continue
    }
    if (nodes.size === MAX_TYPES) throw new ContractError(key, `a service may use at most ${MAX_TYPES} classes`)
    const { name, namespace } = type.name
    if (![key, namespace, name].every((part) => part.isWellFormed())) {
      throw new ContractError(key, "the names of a class are Unicode text")
    }
    const fields = fieldsOf(type)
    const structs = referencesOf(type, fields)
    const references = [...new Set(structs.map((struct) => struct.name.qualifiedName))].sort(compareCodePoints)
    nodes.set(key, { type, fields, references })
    pending.push(...structs)
  }
  return nodes
}

/**
 * The classes in publication order: those a class refers to come before it, except that the members of a cycle are
 * ordered from its root down.
 */
export const order = (nodes: ReadonlyMap<string, TypeNode>): ReadonlyArray<OrderedType> => {
  const ordered: Array<OrderedType> = []
  for (const component of components(nodes)) {
    const { broken, children, root } = spanningTree(component, nodes)
    // Reverse post-order of a tree is pre-order with the children of each node reversed.
    const pending = [root]
    for (let key = pending.pop(); key !== undefined; key = pending.pop()) {
      ordered.push({ key, node: nodes.get(key)!, broken: broken.get(key)! })
      pending.push(...sortedByNfc(children.get(key)!))
    }
  }
  return ordered
}

const sortedByNfc = (keys: ReadonlyArray<string>): ReadonlyArray<string> =>
  keys
    .map((key) => ({ key, nfc: key.normalize("NFC") }))
    .sort((a, b) => compareCodePoints(a.nfc, b.nfc))
    .map(({ key }) => key)

/** The strongly connected components, leaves first (Tarjan), everything visited in code point order. */
const components = (nodes: ReadonlyMap<string, TypeNode>): ReadonlyArray<ReadonlyArray<string>> => {
  interface Visit {
    readonly key: string
    readonly index: number
    readonly references: ReadonlyArray<string>
    next: number
    low: number
    open: boolean
  }
  const found: Array<ReadonlyArray<string>> = []
  const visits = new Map<string, Visit>()
  const open: Array<Visit> = []
  const path: Array<Visit> = []
  const enter = (key: string): void => {
    const index = visits.size
    const visit: Visit = { key, index, references: nodes.get(key)!.references, next: 0, low: index, open: true }
    visits.set(key, visit)
    open.push(visit)
    path.push(visit)
  }
  for (const start of [...nodes.keys()].sort(compareCodePoints)) {
    if (!visits.has(start)) enter(start)
    for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
      const target = visit.references[visit.next++]
      if (target === undefined) {
        path.pop()
        const parent = path.at(-1)
        if (parent !== undefined) parent.low = Math.min(parent.low, visit.low)
        if (visit.low === visit.index) {
          const members = open.splice(open.lastIndexOf(visit)).reverse()
          for (const member of members) member.open = false
          found.push(members.map((member) => member.key))
        }
        continue
      }
      const known = visits.get(target)
      if (known === undefined) enter(target)
      else if (known.open) visit.low = Math.min(visit.low, known.index)
    }
  }
  return found
}

interface SpanningTree {
  readonly root: string
  readonly children: ReadonlyMap<string, ReadonlyArray<string>>
  /** For each member the members it must not refer to by hash: every edge that is not in the tree. */
  readonly broken: ReadonlyMap<string, ReadonlySet<string>>
}

/** Depth-first search inside a component, from its smallest member. */
const spanningTree = (component: ReadonlyArray<string>, nodes: ReadonlyMap<string, TypeNode>): SpanningTree => {
  const members = new Set(component)
  const children = new Map<string, Array<string>>()
  const broken = new Map<string, Set<string>>()
  const path: Array<{ readonly key: string; readonly edges: Iterator<string> }> = []
  const enter = (key: string): void => {
    children.set(key, [])
    broken.set(key, new Set())
    path.push({
      key,
      edges: nodes
        .get(key)!
        .references.filter((target) => members.has(target))
        .values()
    })
  }
  const root = sortedByNfc(component)[0]!
  enter(root)
  for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
    const edge = visit.edges.next()
    if (edge.done === true) {
      path.pop()
    } else if (children.has(edge.value)) {
      broken.get(visit.key)!.add(edge.value)
    } else {
      children.get(visit.key)!.push(edge.value)
      enter(edge.value)
    }
  }
  return { root, children, broken }
}
