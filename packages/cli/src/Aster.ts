/**
 * The `aster` command as a value: its tree, and `run`, which turns arguments into output and an exit code.
 *
 * @since 0.1.0
 */
import * as Logging from "@aster-effect/observability/Logging"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { CliFailure } from "./CliFailure.ts"
import * as Authorize from "./commands/Authorize.ts"
import * as Blobs from "./commands/Blobs.ts"
import * as Call from "./commands/Call.ts"
import * as Config from "./commands/Config.ts"
import * as Contract from "./commands/Contract.ts"
import * as Credential from "./commands/Credential.ts"
import * as Docs from "./commands/Docs.ts"
import * as Enroll from "./commands/Enroll.ts"
import * as Keygen from "./commands/Keygen.ts"
import * as Gossip from "./commands/Gossip.ts"
import * as Mesh from "./commands/Mesh.ts"
import * as Profile from "./commands/Profile.ts"
import * as Services from "./commands/Services.ts"
import * as Shell from "./commands/Shell.ts"
import * as Ticket from "./commands/Ticket.ts"
import { printable } from "./internal/printable.ts"
import * as versions from "./internal/versions.ts"
import type { Keyring } from "./Keyring.ts"

/** The whole tree. @since 0.1.0 */
export const command = Command.make("aster").pipe(
  Command.withDescription(
    "Keys, enrolment, contracts, calls, blobs, documents, gossip and meshes for Aster, typed peer-to-peer RPC"
  ),
  Command.withSubcommands([
    Keygen.command,
    Profile.command,
    Enroll.command,
    Authorize.command,
    Credential.command,
    Config.command,
    Contract.command,
    Call.command,
    Services.command,
    Shell.command,
    Blobs.command,
    Docs.command,
    Gossip.command,
    Mesh.command,
    Ticket.command
  ])
)

/** 0 success, 1 refusal or failure (a missing subcommand too), 2 usage. @since 0.1.0 */
export type ExitCode = 0 | 1 | 2

const indented = (text: string): string => text.replaceAll("\n", "\n  ")

/** Help that was asked for goes to standard output; anything about a mistake goes to standard error. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag === "Version") return Console.log(versions.versionText(event.name))
    if (event._tag === "Help" && event.reason === "Requested") return CliOutput.defaultPresenter.present(event)
    if (event._tag === "Help") {
      return Effect.flatMap(helpText(event), (text) => Console.error(text))
    }
    const help = `Run ${event.commandPath.join(" ")} --help for its usage.`
    const problems = event.errors.map(({ message }) => `Error: ${printable(indented(message))}`)
    return Console.error([...problems, help].join("\n"))
  }
}

const helpText = ({ helpDoc }: CliOutput.Presenter.Help) =>
  Effect.map(CliOutput.Formatter, (formatter) => formatter.formatHelpDoc(helpDoc))

/** What is logged is for the user: one line each, on standard error. */
const logger = Logger.withConsoleError(
  Logger.make(({ cause, logLevel, message }) => {
    const parts = [...(Array.isArray(message) ? message : [message]), ...(cause.reasons.length === 0 ? [] : [cause])]
    const text = parts.map((part) => (Cause.isCause(part) ? Cause.pretty(part) : String(part))).join(" ")
    return `${labels[logLevel] ?? logLevel}: ${printable(indented(text))}`
  })
)

const labels: { readonly [level: string]: string } = { Warn: "Warning" }

/** Users hear of warnings, in sentences; `ASTER_LOG_LEVEL` and `ASTER_LOG_FORMAT=json` are for who looks closer. */
const logging = Layer.unwrap(
  Effect.map(Logging.settingsFromEnv, (settings) =>
    Layer.merge(
      Logger.layer([settings.format === "json" ? Logging.logger(settings) : logger]),
      Layer.succeed(References.MinimumLogLevel, Logging.minimumLevel(settings) ?? "Warn")
    )
  )
)

const surroundings = Layer.mergeAll(
  logging,
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({ builtIns: GlobalFlag.BuiltIns.filter((flag) => flag !== GlobalFlag.Wizard) })
)

/** Any error that reaches the top has a message for the user. */
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const report = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>): Effect.fn.Return<ExitCode> {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure === undefined) {
    yield* Console.error(`Error: this is a bug in aster: ${printable(indented(Cause.pretty(cause)))}`)
    return 1
  }
  const { error } = failure
  if (CliError.isCliError(error) && error._tag === "ShowHelp") return error.errors.length === 0 ? 1 : 2
  yield* Console.error(`Error: ${printable(indented(messageOf(error)))}`)
  return error instanceof CliFailure && error.reason === "Misused" ? 2 : 1
})

/**
 * Runs the command with arguments as a shell passes them, the program's name left out. Whatever happens is printed and
 * answered as an exit code; only an interruption is passed on.
 *
 * @since 0.1.0
 */
export const run = (args: ReadonlyArray<string>): Effect.Effect<ExitCode, never, Command.Environment | Keyring> =>
  Command.runWith(command, { version: versions.own })(args).pipe(
    Effect.as<ExitCode>(0),
    Effect.catchCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.interrupt : report(cause))),
    Effect.provide(surroundings)
  )
