/**
 * Which licences may be linked into the addon: the list of `deny.toml`, looked up without cargo-deny, so that every check
 * of the crate does it.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { crate } from "./cargo.ts"

/** The licences that `deny.toml` allows. */
export const allowed = (): ReadonlySet<string> => {
  const list = /^\[licenses\][^[]*?^allow = \[([^\]]*)\]/m.exec(readFileSync(join(crate, "deny.toml"), "utf8"))?.[1]
  if (list === undefined) throw new Error("deny.toml allows no licences")
  return new Set([...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name!))
}

/**
 * Whether an SPDX expression can be met by allowed licences alone (SPDX specification 2.3, annex D; AND binds closer than
 * OR). Older manifests write "/" for OR. What is no such expression is not met.
 */
export const isMet = (expression: string, allowed: ReadonlySet<string>): boolean => {
  const tokens = expression.match(/[()/]|[^\s()/]+/g) ?? []
  let at = 0
  const all = (): boolean => {
    let met = one()
    while (tokens[at] === "AND") {
      at++
      met = one() && met
    }
    return met
  }
  const any = (): boolean => {
    let met = all()
    while (tokens[at] === "OR" || tokens[at] === "/") {
      at++
      met = all() || met
    }
    return met
  }
  const one = (): boolean => {
    const token = tokens[at++]
    if (token === "(") {
      const met = any()
      return tokens[at++] === ")" && met
    }
    if (tokens[at] !== "WITH") return token !== undefined && allowed.has(token)
    at += 2
    return allowed.has(`${token} WITH ${tokens[at - 1]}`)
  }
  const met = any()
  return met && at === tokens.length
}
