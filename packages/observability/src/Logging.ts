/**
 * Lines of a log on standard error: text for people or JSON for programs, with the fields of release 0.1.2 (Aster
 * configuration, logging). What names a secret is never printed, and ids are shortened, unless masking is turned off.
 *
 * ```text
 * 12:00:00.123 INFO  aster — A consumer is not admitted [peer=ab12cd34...ef56 reason=NoCredential]
 * {"ts":"2026-04-06T12:00:00.123Z","level":"info","logger":"aster","msg":"A consumer is not admitted","peer":"ab12cd34...ef56","reason":"NoCredential"}
 * ```
 *
 * @since 0.1.0
 */
import { CallContext } from "@aster-effect/core/interceptor/CallContext"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { maskedFields } from "./internal/masking.ts"

/** @since 0.1.0 */
export interface LogSettings {
  /** Default `text`. */
  readonly format?: "text" | "json" | undefined
  /** What is less than this is not logged. Default: left to the program, where Effect's default is `info`. */
  readonly level?: "debug" | "info" | "warning" | "error" | undefined
  /** Whether secrets are replaced and ids shortened. Default true. */
  readonly mask?: boolean | undefined
  /** Whether levels of the text form are coloured. Default: on a terminal, unless `NO_COLOR` is set. */
  readonly color?: boolean | undefined
}

/** One event, in the words of the reference. */
interface Entry {
  readonly at: Date
  readonly level: "debug" | "info" | "warning" | "error" | "critical"
  readonly logger: string
  readonly message: string
  /** In the order in which they are printed, masked. */
  readonly fields: ReadonlyMap<string, unknown>
  readonly error: { readonly type: string; readonly message: string; readonly stack: string | undefined } | undefined
}

const levels: { readonly [level in LogLevel.LogLevel]: Entry["level"] } = {
  All: "debug",
  Trace: "debug",
  Debug: "debug",
  Info: "info",
  Warn: "warning",
  Error: "error",
  Fatal: "critical",
  None: "critical"
}

const minimum = { debug: "Debug", info: "Info", warning: "Warn", error: "Error" } as const

/** Fields that come first, in this order. */
const FIRST = [
  "request_id",
  "service",
  "method",
  "peer",
  "duration_ms",
  "status_code",
  "payload_size",
  "stream_count",
  "contract_id",
  "endpoint_id",
  "version"
]

/** `endpointId` is `endpoint_id` in a log. */
const snake = (name: string): string =>
  name.replaceAll(/([a-z0-9])([A-Z])/g, (_, before: string, after: string) => `${before}_${after.toLowerCase()}`)

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype

const errorOf = (cause: Cause.Cause<unknown>): Entry["error"] => {
  if (cause.reasons.length === 0 || Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: undefined }
  // What is expected says what to do; where a defect comes from only its stack says.
  return { type: error.name, message: error.message, stack: Cause.hasDies(cause) ? error.stack : undefined }
}

const entryOf = ({ cause, date, fiber, logLevel, message }: Logger.Options<unknown>, mask: boolean): Entry => {
  const fields = new Map<string, unknown>()
  const call = Option.getOrUndefined(Context.getOption(fiber.context, CallContext))
  if (call !== undefined) {
    if (call.callId !== "") fields.set("request_id", call.callId)
    fields.set("service", call.service).set("method", call.method).set("peer", call.peer)
  }
  const add = (record: Readonly<Record<string, unknown>>): void => {
    for (const [name, value] of Object.entries(record)) if (value !== undefined) fields.set(snake(name), value)
  }
  add(fiber.getRef(References.CurrentLogAnnotations))
  for (const [label, begun] of fiber.getRef(References.CurrentLogSpans))
    fields.set(`${snake(label)}_ms`, date.getTime() - begun)
  const words: Array<string> = []
  let error = errorOf(cause)
  for (const part of Array.isArray(message) ? message : [message]) {
    if (isPlain(part)) add(part)
    else if (Cause.isCause(part)) error ??= errorOf(part)
    else if (part instanceof Error) error ??= errorOf(Cause.fail(part))
    else words.push(String(part))
  }
  const logger = fields.get("logger")
  fields.delete("logger")
  const first = FIRST.filter((name) => fields.has(name))
  const ordered = new Map([...first, ...fields.keys()].map((name) => [name, fields.get(name)]))
  return {
    at: date,
    level: levels[logLevel],
    logger: typeof logger === "string" ? logger : "aster",
    message: words.join(" "),
    fields: maskedFields(ordered, mask),
    error
  }
}

/** A line of JSON. */
const json = ({ at, error, fields, level, logger, message }: Entry): string =>
  JSON.stringify({
    ts: at.toISOString(),
    level,
    logger,
    msg: message,
    ...Object.fromEntries(fields),
    ...(error === undefined ? {} : { error: error.message, error_type: error.type }),
    ...(error?.stack === undefined ? {} : { stack: error.stack })
  })

const colors = { debug: 36, info: 32, warning: 33, error: 31, critical: 31 } as const
const short: { readonly [field: string]: string } = { request_id: "req", service: "svc" }

/** What a peer said may be in it: no line feed begins a line of its own, and a terminal obeys nothing. */
const printable = (text: string): string =>
  text
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) =>
      JSON.stringify(character).length > 3
        ? JSON.stringify(character).slice(1, -1)
        : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
    )
    .replaceAll("\n", "\n  ")

const valueText = (name: string, value: unknown): string => {
  if (typeof value !== "string") return typeof value === "object" ? JSON.stringify(value) : String(value)
  const shown = name === "request_id" ? value.slice(0, 8) : value
  return /^[\w.:/+@*-]+$/.test(shown) ? shown : JSON.stringify(shown)
}

const two = (value: number): string => String(value).padStart(2, "0")

/** A line for people; of an error another, and of a defect its stack. */
const text = ({ at, error, fields, level, logger, message }: Entry, color: boolean): string => {
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`
  const name = level.toUpperCase().padEnd(5)
  const label = color ? `\u001b[${colors[level]}m${name}\u001b[0m` : name
  const parts = [...fields].map(([field, value]) => `${short[field] ?? field}=${valueText(field, value)}`)
  const context = parts.length === 0 ? "" : ` [${parts.join(" ")}]`
  const cause = error === undefined ? "" : `\n${error.stack ?? `${error.type}: ${error.message}`}`
  return `${time} ${label} ${logger.replace(/^aster\./, "")} — ${printable(`${message}${context}${cause}`)}`
}

const own = new WeakSet<object>()

/** A logger that writes to standard error. @since 0.1.0 */
export const logger = (settings: LogSettings = {}): Logger.Logger<unknown, void> => {
  const {
    color = process.stderr.isTTY && process.env["NO_COLOR"] === undefined,
    format = "text",
    mask = true
  } = settings
  const made = Logger.withConsoleError(
    Logger.make((options) => {
      const entry = entryOf(options, mask)
      return format === "json" ? json(entry) : text(entry, color)
    })
  )
  own.add(made)
  return made
}

/** The least level that is logged; undefined where the settings leave it to the program. @since 0.1.0 */
export const minimumLevel = ({ level }: LogSettings): LogLevel.LogLevel | undefined =>
  level === undefined ? undefined : minimum[level]

/**
 * Logs like this where the program has not said how to log: in place of Effect's default logger, and of one that was
 * installed by this before. Loggers of the program's own stay.
 *
 * @since 0.1.0
 */
export const layer = (settings: LogSettings = {}): Layer.Layer<never> => {
  const loggers = Layer.effect(
    Logger.CurrentLoggers,
    Effect.map(Logger.CurrentLoggers, (loggers) => replaced(loggers, logger(settings)))
  )
  const level = minimumLevel(settings)
  return level === undefined ? loggers : Layer.merge(loggers, Layer.succeed(References.MinimumLogLevel, level))
}

type Loggers = ReadonlySet<Logger.Logger<unknown, unknown>>

const replaced = (loggers: Loggers, ours: Logger.Logger<unknown, unknown>): Loggers =>
  new Set([...loggers].map((one) => (one === Logger.defaultLogger || own.has(one) ? ours : one)))

/**
 * The same for a context that was made before, and so has loggers and a level of its time: that of a layer of handlers.
 *
 * @since 0.1.0
 */
export const within = <R>(context: Context.Context<R>, settings: LogSettings): Context.Context<R> => {
  const loggers = Context.getOrUndefined(context, Logger.CurrentLoggers)
  const level = minimumLevel(settings)
  const logging =
    loggers === undefined ? context : Context.add(context, Logger.CurrentLoggers, replaced(loggers, logger(settings)))
  return level === undefined ? logging : Context.add(logging, References.MinimumLogLevel, level)
}

const variable = <const W extends string>(name: string, words: ReadonlyArray<W>): Effect.Effect<W | undefined> =>
  Effect.map(Effect.option(Config.String(name)), (given) => {
    const text = Option.getOrElse(given, () => "")
    return words.find((word) => word === text.trim().toLowerCase())
  })

/**
 * What `ASTER_LOG_FORMAT`, `ASTER_LOG_LEVEL` and `ASTER_LOG_MASK` say. What is none of their words says nothing, as for
 * release 0.1.2; settings of servers and clients are stricter, and say what is wrong.
 *
 * @since 0.1.0
 */
export const settingsFromEnv: Effect.Effect<LogSettings> = Effect.gen(function* () {
  const level = yield* variable("ASTER_LOG_LEVEL", ["debug", "info", "warning", "warn", "error"])
  const unmasked = yield* variable("ASTER_LOG_MASK", ["false", "0", "no", "off"])
  return {
    format: yield* variable("ASTER_LOG_FORMAT", ["text", "json"]),
    level: level === "warn" ? "warning" : level,
    mask: unmasked === undefined
  }
})

/** `layer` with `settingsFromEnv`. @since 0.1.0 */
export const layerEnv: Layer.Layer<never> = Layer.unwrap(Effect.map(settingsFromEnv, layer))
