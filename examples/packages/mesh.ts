import * as MeshState from "@aster-effect/mesh/MeshState"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as Result from "effect/Result"

const { publicKey } = Result.getOrThrow(RootKey.fromSeed(new Uint8Array(32).fill(7)))
const salt = new Uint8Array(32)

// Where the producers of a deployment meet: known to those who know its root key and its salt.
console.log(MeshState.topicId(publicKey, salt))
