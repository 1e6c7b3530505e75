import * as Printable from "@aster-effect/iroh/Printable"
import { type Catalogue, fieldsOf } from "./catalogue.ts"
import { words } from "./words.ts"

/** Commands that take a service, a method, or nothing that could be completed. */
const commands = {
  call: "method",
  describe: "either",
  end: "nothing",
  exit: "nothing",
  help: "nothing",
  services: "nothing",
  session: "service",
  timeout: "nothing",
  use: "service"
} as const

/**
 * What a line may go on with: the candidates for its last word, and that word. What a producer calls its services, methods
 * and fields is left out where a terminal would show something else.
 *
 * @param current the service whose methods need no service in front
 */
export const complete = (
  line: string,
  catalogue: Catalogue,
  current: string | undefined
): readonly [ReadonlyArray<string>, string] => {
  const before = words(line)
  const word = /\s$/.test(line) || before.length === 0 ? "" : before.at(-1)!
  const earlier = word === "" ? before : before.slice(0, -1)
  const candidates = candidatesFor(word, earlier, catalogue, current)
  return [
    candidates.filter((candidate) => candidate.startsWith(word) && Printable.line(candidate) === candidate).toSorted(),
    word
  ]
}

const candidatesFor = (
  word: string,
  earlier: ReadonlyArray<string>,
  catalogue: Catalogue,
  current: string | undefined
): ReadonlyArray<string> => {
  const [command, ...rest] = earlier
  if (command === undefined) return [...Object.keys(commands), ...methods(word, catalogue, current)]
  const takes = Object.hasOwn(commands, command) ? commands[command as keyof typeof commands] : undefined
  if (takes === undefined) return fields(command, word, rest, catalogue, current)
  if (takes === "method" && rest.length > 0) return fields(rest[0]!, word, rest.slice(1), catalogue, current)
  if (takes === "nothing" || rest.length > 0) return []
  return [
    ...(takes === "method" ? [] : catalogue.services.keys()),
    ...(takes === "service" ? [] : methods(word, catalogue, current))
  ]
}

/** Services with a dot behind them, until there is one: then its methods. */
const methods = (word: string, catalogue: Catalogue, current: string | undefined): ReadonlyArray<string> => {
  const own = current === undefined ? [] : namesOf(catalogue, current)
  const prefix = word.startsWith("./") ? "./" : ""
  const service = [...catalogue.services.keys()].find((name) => word.startsWith(`${name}.`))
  return service === undefined
    ? [...own.map((name) => prefix + name), ...Array.from(catalogue.services.keys(), (name) => `${name}.`)]
    : namesOf(catalogue, service).map((name) => `${service}.${name}`)
}

const namesOf = (catalogue: Catalogue, service: string): ReadonlyArray<string> =>
  catalogue.known.get(service)?.methods.map(({ name }) => name) ?? []

/** The fields that have no value yet; behind the equals sign what can be chosen from. */
const fields = (
  target: string,
  word: string,
  rest: ReadonlyArray<string>,
  catalogue: Catalogue,
  current: string | undefined
): ReadonlyArray<string> => {
  const [service, name] = splitTarget(target, current)
  const manifest = service === undefined ? undefined : catalogue.known.get(service)
  const method = manifest?.methods.find((each) => each.name === name)
  if (manifest === undefined || method === undefined) return []
  return fieldsOf(manifest, method).flatMap((field) => {
    const key = `${field.name}=`
    if (word.startsWith(key)) return field.values.map((value) => key + value)
    return rest.some((given) => given.startsWith(key)) ? [] : [key]
  })
}

/** `Service.method`, split at the last dot; `method` and `./method` are those of the current service. */
export const splitTarget = (
  target: string,
  current: string | undefined
): readonly [service: string | undefined, method: string] => {
  if (target.startsWith("./")) return [current, target.slice(2)]
  const at = target.lastIndexOf(".")
  return at > 0 ? [target.slice(0, at), target.slice(at + 1)] : [current, target]
}
