/** What a server says on a terminal when it has started (Aster configuration, terminal banner). */
import type { Resolved } from "@aster-effect/config/AsterConfig"
import type { ServiceSummary } from "@aster-effect/core/contract/ServiceSummary"
import type { IrohNode } from "@aster-effect/iroh/IrohNode"
import type { GateState } from "@aster-effect/trust/GatePolicy"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

export interface Banner {
  readonly services: ReadonlyArray<ServiceSummary>
  readonly node: Pick<IrohNode["Service"], "endpointId" | "boundSockets" | "binding">
  /** The ticket that consumers dial. */
  readonly address: string
  readonly consumers: GateState
  readonly producers: GateState
  readonly registry: boolean
  /** Where probes are answered. */
  readonly health: string | undefined
  readonly log: Pick<Resolved, "logFormat" | "logLevel">
}

const art = ["▄▀█ █▀ ▀█▀ █▀▀ █▀█", "█▀█ ▄█  █  ██▄ █▀▄"]

const codes = { bold: 1, dim: 2, green: 32, yellow: 33, cyan: 36 } as const

/** The lines, with colours or without. */
export const render = (
  { address, consumers, health, log, node, producers, registry, services }: Banner,
  color: boolean
): string => {
  const paint = (code: keyof typeof codes, text: string): string =>
    color ? `\u001b[${codes[code]}m${text}\u001b[0m` : text
  const gate = (who: string, state: GateState): string =>
    state === "open" ? paint("yellow", `${who} open`) : paint("green", `${who} closed`)
  const widest = Math.max(0, ...services.map(({ name }) => name.length))
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["node id", node.endpointId],
    ["address", address],
    ["sockets", node.boundSockets.join(" ")],
    ["gates", `${gate("consumers", consumers)}, ${gate("producers", producers)}`],
    ["registry", registry ? "published" : "none"],
    ["health", health ?? "none (ASTER_HEALTH_PORT)"],
    ["log", `${log.logFormat}, ${log.logLevel} (ASTER_LOG_FORMAT, ASTER_LOG_LEVEL)`],
    ["runtime", `Node.js ${process.versions.node}, iroh binding ${node.binding ?? "in memory"}`]
  ]
  return [
    "",
    ...art.map((line) => `  ${paint("cyan", line)}`),
    "",
    ...services.map(
      ({ contractId, name, version }) =>
        `  ${paint("green", "●")} ${paint("bold", name.padEnd(widest))}  v${version}  ${paint("dim", contractId)}`
    ),
    "",
    ...rows.map(([name, value]) => `  ${paint("dim", `${name}:`.padEnd(10))}${value}`),
    ""
  ].join("\n")
}

/** On standard error, where that is a terminal. */
export const print = (banner: Banner): Effect.Effect<void> =>
  Effect.suspend(() =>
    process.stderr.isTTY ? Console.error(render(banner, process.env["NO_COLOR"] === undefined)) : Effect.void
  )
