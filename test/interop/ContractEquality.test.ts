import * as Contract from "@aster-effect/core/contract/Contract"
import * as Manifest from "@aster-effect/core/contract/Manifest"
import { contractId } from "@aster-effect/core/contract/ContractIdentity"
import type * as Service from "@aster-effect/core/service/Service"
import type { WireType } from "@aster-effect/core/message/WireType"
import { assert, describe, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KitchenJson, KitchenSink } from "../../examples/kitchen-sink/KitchenSink.ts"
import { TaskRunner } from "../../examples/task-runner/TaskRunner.ts"
import { hex, reference } from "../core/Reference.ts"
import { Events } from "./Events.ts"
import { PostponedService, services } from "./ContractServices.ts"
import { KitchenSession } from "./KitchenSession.ts"
import { type Contract as PythonContract, PythonReference } from "./PythonReference.ts"

/** The examples, whose classes keep the qualified names that their tags suggest. */
const examples: ReadonlyArray<Service.Any> = [KitchenSink, KitchenJson, KitchenSession, TaskRunner]

/** What the reference makes of its services, by name. */
class Contracts extends Context.Service<Contracts, ReadonlyMap<string, PythonContract>>()("test/interop/Contracts") {
  static readonly layer = Layer.effect(
    this,
    Effect.flatMap(PythonReference, ({ contracts }) =>
      Effect.map(contracts, (contracts) => new Map(contracts.map((contract) => [contract.name, contract])))
    )
  ).pipe(Layer.provide(PythonReference.layer))
}

const pythonContract = Effect.fnUntraced(function* (name: string) {
  const contract = (yield* Contracts).get(name)
  return contract ?? assert.fail(`the reference has no service ${name}`)
})

const sameContract = (ours: Contract.Contract, python: PythonContract) => {
  assert.strictEqual(hex(ours.canonicalBytes), python.canonical_hex)
  assert.strictEqual(ours.contractId, python.contract_id)
  // The native code of the reference has the last word.
  assert.strictEqual(reference.computeContractIdFromJson(JSON.stringify(ours.contract)), python.contract_id)
  assert.strictEqual(contractId(ours.contract), python.contract_id)
}

const typesOf = (ours: Contract.Contract) =>
  ours.types.map(({ canonical, hash, name }) => ({ key: name, hash, canonical_hex: hex(canonical) }))

/** The kinds of wire types that a service's messages use, at any depth. */
const kindsOf = (service: Service.Any): ReadonlySet<string> => {
  const kinds = new Set<string>()
  const seen = new Set<WireType>()
  const visit = (type: WireType): void => {
    if (seen.has(type)) return
    seen.add(type)
    kinds.add(type._tag === "Scalar" ? type.scalar : type._tag)
    if (type._tag === "List" || type._tag === "Set") visit(type.element)
    else if (type._tag === "Optional") visit(type.of)
    else if (type._tag === "Map") [type.key, type.value].forEach(visit)
    else if (type._tag === "Struct") type.fields().forEach((field) => visit(field.type))
  }
  for (const { request, response } of service.description.methods) [request, response].forEach(visit)
  return kinds
}

describe("Contracts of one service, defined in Python and here", () => {
  layer(Contracts.layer, { timeout: "5 minutes", excludeTestServices: true })((it) => {
    it.effect("every service of the reference has its double", () =>
      Effect.map(Contracts, (contracts) =>
        assert.sameMembers(
          [...contracts.keys()],
          [...services, ...examples, PostponedService, Events].map(({ name }) => name)
        )
      )
    )

    it.effect("every wire kind is covered", () =>
      Effect.sync(() =>
        assert.sameMembers(
          [...new Set(services.flatMap((service) => [...kindsOf(service)]))],
          // oxfmt-ignore
          [
            "bool", "int", "int64", "int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
            "string", "bytes", "timestamp", "date", "List", "Set", "Map", "Optional", "Enum", "Struct", "Any", "AnyList", "AnyRecord"
          ]
        )
      )
    )

    for (const service of services) {
      it.effect(`${service.name}: id, bytes and types`, () =>
        Effect.map(pythonContract(service.name), (python) => {
          assert.strictEqual(service.version, python.version)
          sameContract(service.contract, python)
          assert.deepStrictEqual(typesOf(service.contract), [...python.types])
        })
      )
    }

    for (const service of examples) {
      it.effect(`${service.name}: id and bytes`, () =>
        Effect.map(pythonContract(service.name), (python) => {
          assert.strictEqual(service.version, python.version)
          sameContract(service.contract, python)
          assert.sameMembers(
            service.contract.types.map(({ hash }) => hash),
            python.types.map(({ hash }) => hash)
          )
        })
      )
    }

    for (const service of [PostponedService, Events]) {
      it.effect(`${service.name}: annotations that stayed text`, () =>
        Effect.map(pythonContract(service.name), (python) => {
          sameContract(service.contract, python)
          assert.deepStrictEqual(typesOf(service.contract), [...python.types])
          const evaluated = Contract.fromDescription(service.description, { postponedAnnotations: false })
          assert.notStrictEqual(evaluated.contractId, python.contract_id)
        })
      )
    }

    it.effect("Events: the manifest, byte for byte", () =>
      Effect.map(pythonContract(Events.name), (python) => {
        assert.strictEqual(Manifest.encode(Manifest.fromDescription(Events.description)), python.manifest)
      })
    )

    it.effect("no two services share an id", () =>
      Effect.map(Contracts, (contracts) => {
        const ids = [...contracts.values()].map(({ contract_id }) => contract_id)
        assert.lengthOf(new Set(ids), ids.length)
      })
    )
  })
})
