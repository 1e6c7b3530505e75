/** Which binding a node takes. */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Blake3 from "../Blake3.ts"
import { addressesOf, type Binding, type Endpoint } from "../Binding.ts"
import { BindError } from "../NodeError.ts"
import type { BindingChoice, IrohNodeOptions, NativeOptions } from "../NodeOptions.ts"
import { numberZero } from "./numberZero.ts"

/** The package stands above this one, so it is looked for when the program runs. */
const nativePackage: string = "@aster-effect/iroh-native/NativeBinding"

/** What that package exports: the binding, undefined where there is no addon; a broken one throws. */
interface NativePackage {
  readonly load: () => Binding | undefined
}

const choices: ReadonlyArray<BindingChoice> = ["auto", "native", "number0"]
const modes: ReadonlyArray<NonNullable<NativeOptions["mode"]>> = ["inline", "thread"]

/** Opens an endpoint of the binding that the options or the settings choose. */
export const bindChosen = (options: IrohNodeOptions): Effect.Effect<Endpoint, BindError> => {
  const failed = (reason: BindError["reason"], detail: string) =>
    new BindError({ reason, addresses: addressesOf(options), detail })
  const setting = <A extends string>(name: string, values: ReadonlyArray<A>) =>
    Effect.gen(function* () {
      const given = yield* ConfigProvider.ConfigProvider
      // A program's own provider need not know of it; the process may still say.
      const text = yield* Effect.orElseSucceed(
        Config.withDefault(Config.String(name), "").parse(ConfigProvider.orElse(given, ConfigProvider.fromEnv())),
        () => ""
      )
      if (text === "") return undefined
      const value = values.find((value) => value === text)
      return value ?? (yield* failed("BadSetting", `${name} is ${JSON.stringify(text)}`))
    })
  return Effect.gen(function* () {
    const choice = options.binding ?? (yield* setting("ASTER_IROH_BINDING", choices)) ?? "auto"
    if (choice === "number0") return yield* begin(numberZero, options, "Debug")
    const native = yield* Effect.tryPromise({
      try: loadNative,
      catch: (cause) => failed("BrokenNativeBinding", cause instanceof Error ? cause.message : String(cause))
    })
    if (native !== undefined) {
      Blake3.install(native.blake3)
      const mode = options.native?.mode ?? (yield* setting("ASTER_IROH_NATIVE_MODE", modes))
      // Who has named it need not be told.
      const level = choice === "auto" ? "Info" : "Debug"
      return yield* begin(native, { ...options, native: { ...options.native, mode } }, level)
    }
    if (choice === "native") return yield* failed("NoNativeBinding", "there is no native binding for this platform")
    return yield* begin(numberZero, options, "Debug")
  })
}

/** The first node of a process says what it runs on. */
let said: string | undefined

const begin = (
  binding: Binding,
  options: IrohNodeOptions,
  level: "Info" | "Debug"
): Effect.Effect<Endpoint, BindError> =>
  Effect.tap(binding.bind(options), (endpoint) =>
    Effect.suspend(() => {
      endpoint.binding = binding.name
      if (said === binding.name) return Effect.void
      said = binding.name
      return Effect.updateService(
        Effect.logWithLevel(level)("The iroh node has started", { binding: binding.name }),
        Logger.CurrentLoggers,
        onStandardError
      )
    })
  )

/** Where nobody has said how to log: what a program prints is its own. */
const onStandardError = (loggers: ReadonlySet<Logger.Logger<unknown, unknown>>) =>
  new Set([...loggers].map((logger) => (logger === Logger.defaultLogger ? standardError : logger)))

const standardError = Logger.withConsoleError(Logger.formatLogFmt)

const loadNative = async (): Promise<Binding | undefined> => {
  try {
    const module: Partial<NativePackage> = await import(nativePackage)
    if (module.load === undefined) throw new Error(`${nativePackage} is of another version`)
    return module.load()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error &&
  "code" in error &&
  (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") &&
  error.message.includes("@aster-effect/iroh-native")
