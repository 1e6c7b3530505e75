import * as Capability from "@aster-effect/admission/Capability"
import { assert, describe, it } from "@effect/vitest"
import vectors from "./vectors/trust.json" with { type: "json" }

const holding = (roles: string | null): ReadonlyMap<string, string> =>
  new Map(roles === null ? [] : [["aster.role", roles]])

describe("Capability", () => {
  it.each(vectors.capability)("$kind of $roles against $aster_role", ({ aster_role, expect, kind, roles }) => {
    const requirement = { kind: kind as Capability.Requirement["kind"], roles }
    assert.strictEqual(Capability.isSatisfied(requirement, holding(aster_role)), expect)
  })

  it("constructors make the contract's form", () => {
    assert.deepStrictEqual(Capability.role("a"), { kind: "role", roles: ["a"] })
    assert.deepStrictEqual(Capability.anyOf("a", "b"), { kind: "any_of", roles: ["a", "b"] })
    assert.deepStrictEqual(Capability.allOf("a", "b"), { kind: "all_of", roles: ["a", "b"] })
  })

  it("an empty list is refused when declared and satisfied by nobody", () => {
    // @ts-expect-error an empty list does not type-check either
    assert.throws(() => Capability.anyOf())
    // @ts-expect-error an empty list does not type-check either
    assert.throws(() => Capability.allOf())
    for (const kind of ["role", "any_of", "all_of"] as const) {
      assert.isFalse(Capability.isSatisfied({ kind, roles: [] }, holding("a")))
    }
  })

  it("an unknown kind is satisfied by nobody", () => {
    const unknown = { kind: "none_of", roles: ["a"] } as unknown as Capability.Requirement
    assert.isFalse(Capability.isSatisfied(unknown, holding("a")))
  })

  it("roles that no attribute can hold are refused", () => {
    for (const name of ["", " ", "a,b", " a"]) assert.throws(() => Capability.role(name))
  })

  it("a peer without attributes has no roles", () => {
    assert.strictEqual(Capability.heldRoles(new Map()).size, 0)
  })
})
