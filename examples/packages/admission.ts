import * as Role from "@aster-effect/admission/Role"

const requirement = Role.anyOf("operator", "admin")

// What a peer was admitted with: the attributes that its credential carries.
console.log(Role.isSatisfied(requirement, new Map([["aster.role", "reader,operator"]])))
console.log(Role.isSatisfied(requirement, new Map([["aster.role", "reader"]])))
