import {
  type Attributes,
  type ConsumerEnrollmentCredential,
  type Credential,
  type EnrollmentCredential,
  type MalformedCredential,
  parseConsumer,
  parseProducer,
  toJson
} from "@aster-effect/trust/Credential"
import * as RootKey from "@aster-effect/trust/RootKey"
import * as Clock from "effect/Clock"
import { secureBytes } from "@aster-effect/iroh/SecureBytes"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as AttributeText from "../AttributeText.ts"
import { type CliFailure, refused } from "../CliFailure.ts"
import * as Lifetime from "../Lifetime.ts"

/** The flags that say what a credential is to contain. */
export interface Flags {
  readonly attributes: Option.Option<string>
  readonly capabilities: Option.Option<string>
  readonly expires: string
}

const orRefuse = <A>(flag: string, result: Result.Result<A, string>): Effect.Effect<A, CliFailure> =>
  Effect.fromResult(Result.mapError(result, (problem) => refused(`${flag}: ${problem}`)))

/** The attributes given, with `aster.role` from the capabilities or, when nothing sets it, `role`. */
const attributesOf = Effect.fnUntraced(function* (
  flags: Flags,
  role: string | undefined
): Effect.fn.Return<Attributes, CliFailure> {
  const attributes = new Map(
    Option.isNone(flags.attributes) ? [] : yield* orRefuse("--attributes", AttributeText.parse(flags.attributes.value))
  )
  if (Option.isSome(flags.capabilities)) {
    const roles = yield* orRefuse("--capabilities", AttributeText.parseCapabilities(flags.capabilities.value))
    attributes.set("aster.role", roles)
  } else if (role !== undefined && !attributes.has("aster.role")) {
    attributes.set("aster.role", role)
  }
  return attributes
})

const termsOf = Effect.fnUntraced(function* (flags: Flags, role: string | undefined) {
  const expiresAt = yield* orRefuse("--expires", Lifetime.parseExpiry(flags.expires, yield* Clock.currentTimeMillis))
  return { expiresAt: BigInt(expiresAt), attributes: yield* attributesOf(flags, role) }
})

/** What no server would read must not be issued: the limits on attributes hold here too. */
const readable = <C extends Credential>(credential: C): Effect.Effect<C, CliFailure> => {
  const read: Result.Result<Credential, MalformedCredential> = (
    credential.kind === "producer" ? parseProducer : parseConsumer
  )(toJson(credential, "wire"))
  return Result.isSuccess(read)
    ? Effect.succeed(credential)
    : Effect.fail(refused(`no server would accept this credential: ${read.failure.field}: ${read.failure.expected}`))
}

/** A producer's credential for one node. */
export const producer = Effect.fnUntraced(function* (
  key: RootKey.RootKey,
  endpointId: string,
  flags: Flags,
  role?: string
): Effect.fn.Return<EnrollmentCredential, CliFailure> {
  const terms = yield* termsOf(flags, role)
  return yield* readable(RootKey.signProducer(key, { endpointId, ...terms }))
})

/** A consumer's credential; an `ott` gets a fresh nonce. Without an endpoint id any node may present it. */
export const consumer = Effect.fnUntraced(function* (
  key: RootKey.RootKey,
  { endpointId, type }: { readonly endpointId: string | undefined; readonly type: "policy" | "ott" },
  flags: Flags,
  role?: string
): Effect.fn.Return<ConsumerEnrollmentCredential, CliFailure> {
  const terms = yield* termsOf(flags, role)
  const nonce = type === "ott" ? Hex.encode(yield* secureBytes(32)) : undefined
  return yield* readable(RootKey.signConsumer(key, { type, endpointId, nonce, ...terms }))
})
