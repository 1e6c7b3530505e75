import * as RegistryKey from "@aster-effect/registry/RegistryKey"

console.log(RegistryKey.version("TaskRunner", 2))
console.log(RegistryKey.channel("TaskRunner", "stable"))
