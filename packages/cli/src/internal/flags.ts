import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Lifetime from "../Lifetime.ts"

const path = <A>(flag: Flag.Flag<A>): Flag.Flag<A> => Flag.withMetavar(flag, "path")

/** `--root-key PATH`, or `--key-file PATH`: the root private key's file. */
export const rootKey: Flag.Flag<Option.Option<string>> = Flag.String("root-key").pipe(
  Flag.withAlias("key-file"),
  path,
  Flag.withDescription("Root private key file, mode 0600 (default: the OS keyring, then ~/.aster/root.key)"),
  Flag.optional
)

/** `--profile NAME`, `-p NAME`. */
export const profile: Flag.Flag<Option.Option<string>> = Flag.String("profile").pipe(
  Flag.withAlias("p"),
  Flag.withMetavar("name"),
  Flag.withDescription("Operator profile (default: ASTER_PROFILE, then the active one)"),
  Flag.optional
)

/** `--out PATH`, with a default. */
export const out = (file: string, description: string): Flag.Flag<string> =>
  Flag.String("out").pipe(
    Flag.withAlias("o"),
    path,
    Flag.withDescription(`${description} (default: ${file})`),
    Flag.withDefault(file)
  )

/** `--attributes`, `-a`. */
export const attributes: Flag.Flag<Option.Option<string>> = Flag.String("attributes").pipe(
  Flag.withAlias("a"),
  Flag.withMetavar("pairs"),
  Flag.withDescription('Signed attributes: key=value,key=value or a JSON object {"key":"value"}'),
  Flag.optional
)

/** `--capabilities`, `-c`. */
export const capabilities: Flag.Flag<Option.Option<string>> = Flag.String("capabilities").pipe(
  Flag.withAlias("c"),
  Flag.withMetavar("names"),
  Flag.withDescription("Capabilities as a comma list, for example ops.status,ops.logs; sets the attribute aster.role"),
  Flag.optional
)

/** `--expires`, `-e`. */
export const expires: Flag.Flag<string> = Flag.String("expires").pipe(
  Flag.withAlias("e"),
  Flag.withMetavar("when"),
  Flag.withDescription("Lifetime such as 30d, 12h, 1h30m, or an ISO 8601 time, UTC without a zone (default: 30d)"),
  Flag.withDefault("30d")
)

/** `--type`, `-t`. */
export const type: Flag.Flag<"policy" | "ott"> = Flag.Literals("type", ["policy", "ott"]).pipe(
  Flag.withAlias("t"),
  Flag.withDescription("policy: good until it expires; ott: a one-time token (default: policy)"),
  Flag.withDefault("policy")
)

/** `--rcan PATH`. */
export const rcan: Flag.Flag<Option.Option<string>> = Flag.String("rcan").pipe(
  path,
  Flag.withDescription("Credential to present: a token, or a file made by aster enroll node"),
  Flag.optional
)

/** `--timeout DURATION`, in seconds; default 30. */
export const timeout = (description: string): Flag.Flag<number> =>
  Flag.String("timeout").pipe(
    Flag.withMetavar("duration"),
    Flag.withDescription(`${description}: seconds, or a duration like 90s, 2m, 1h (default: 30s)`),
    Flag.withDefault("30s"),
    Flag.mapEffect((text) =>
      Effect.fromResult(
        Result.mapError(
          Lifetime.parseTimeout(text),
          () =>
            new CliError.InvalidValue({
              option: "timeout",
              value: text,
              expected: "seconds, or a duration like 90s, 2m, 1h",
              kind: "flag"
            })
        )
      )
    )
  )

/** `--json`. */
export const json: Flag.Flag<boolean> = Flag.Boolean("json").pipe(
  Flag.withDescription("Print one JSON document"),
  Flag.withDefault(false)
)
