/** An entry set in memory: a treap whose nodes know what is below them. */
import * as Bytes from "./Bytes.ts"
import { fingerprint, ID_SIZE, type SignedEntry } from "./Entry.ts"
import type { EntrySet, Summary } from "./EntrySet.ts"

interface Node {
  readonly entry: SignedEntry
  /** Random: nobody can choose entries that make the tree deep. */
  readonly priority: number
  /** The entry's fingerprint, as words. */
  readonly own: Int32Array
  /** Of this node and all below, as words. */
  readonly xor: Int32Array
  count: number
  left: Tree
  right: Tree
}

type Tree = Node | undefined

const WORDS = ID_SIZE / 4
const wordsOf = (bytes: Uint8Array): Int32Array => new Int32Array(Bytes.copy(bytes).buffer)

const countOf = (tree: Tree): number => tree?.count ?? 0

const isAbove = (a: Node, b: Node): boolean => a.priority > b.priority

const update = (node: Node): Node => {
  const { left, own, right, xor } = node
  node.count = 1 + countOf(left) + countOf(right)
  for (let i = 0; i < WORDS; i++) xor[i] = own[i]! ^ (left?.xor[i] ?? 0) ^ (right?.xor[i] ?? 0)
  return node
}

const insert = (tree: Tree, node: Node): Node => {
  if (tree === undefined) return update(node)
  if (isAbove(node, tree)) {
    ;[node.left, node.right] = split(tree, node.entry.id)
    return update(node)
  }
  if (Bytes.compare(node.entry.id, tree.entry.id) < 0) tree.left = insert(tree.left, node)
  else tree.right = insert(tree.right, node)
  return update(tree)
}

/** What is before `id`, and the rest. */
const split = (tree: Tree, id: Uint8Array): [Tree, Tree] => {
  if (tree === undefined) return [undefined, undefined]
  if (Bytes.compare(tree.entry.id, id) < 0) {
    const [left, right] = split(tree.right, id)
    tree.right = left
    return [update(tree), right]
  }
  const [left, right] = split(tree.left, id)
  tree.left = right
  return [left, update(tree)]
}

const merge = (left: Tree, right: Tree): Tree => {
  if (left === undefined) return right
  if (right === undefined) return left
  if (isAbove(left, right)) {
    left.right = merge(left.right, right)
    return update(left)
  }
  right.left = merge(left, right.left)
  return update(right)
}

const without = (tree: Tree, id: Uint8Array): Tree => {
  if (tree === undefined) return undefined
  const order = Bytes.compare(id, tree.entry.id)
  if (order === 0) return merge(tree.left, tree.right)
  if (order < 0) tree.left = without(tree.left, id)
  else tree.right = without(tree.right, id)
  return update(tree)
}

function* scan(tree: Tree, from: Uint8Array, to: Uint8Array | undefined): Generator<SignedEntry> {
  const path: Array<Node> = []
  let next = tree
  while (next !== undefined || path.length > 0) {
    if (next !== undefined) {
      if (Bytes.compare(next.entry.id, from) < 0) next = next.right
      else {
        path.push(next)
        next = next.left
      }
      continue
    }
    const node = path.pop()!
    if (to !== undefined && Bytes.compare(node.entry.id, to) >= 0) return
    yield node.entry
    next = node.right
  }
}

/** An empty set in memory. `random` gives numbers from 0 to 1 that no peer can foresee. */
export const make = (random: () => number): EntrySet => {
  let root: Tree
  return {
    get: (id) => {
      let node = root
      while (node !== undefined) {
        const order = Bytes.compare(id, node.entry.id)
        if (order === 0) return node.entry
        node = order < 0 ? node.left : node.right
      }
      return undefined
    },
    floor: (id) => {
      let node = root
      let found: SignedEntry | undefined
      while (node !== undefined) {
        if (Bytes.compare(node.entry.id, id) > 0) node = node.left
        else {
          found = node.entry
          node = node.right
        }
      }
      return found
    },
    scan: (from, to) => scan(root, from, to),
    before: (id): Summary => {
      const xor = new Int32Array(WORDS)
      const take = (words: Int32Array | undefined) => {
        if (words !== undefined) for (let i = 0; i < WORDS; i++) xor[i]! ^= words[i]!
      }
      let count = 0
      if (id === undefined) {
        take(root?.xor)
        count = countOf(root)
      } else {
        for (let node = root; node !== undefined;) {
          if (Bytes.compare(node.entry.id, id) >= 0) node = node.left
          else {
            take(node.left?.xor)
            take(node.own)
            count += countOf(node.left) + 1
            node = node.right
          }
        }
      }
      return { count, xor: new Uint8Array(xor.buffer) }
    },
    at: (index) => {
      let node = root
      for (let rest = index; node !== undefined;) {
        const left = countOf(node.left)
        if (rest === left) return node.entry
        if (rest < left) node = node.left
        else {
          rest -= left + 1
          node = node.right
        }
      }
      return undefined
    },
    add: (entry) => {
      const own = wordsOf(fingerprint(entry))
      const xor = new Int32Array(WORDS)
      root = insert(root, { entry, priority: random(), own, xor, count: 1, left: undefined, right: undefined })
    },
    remove: ({ id }) => {
      root = without(root, id)
    }
  }
}
