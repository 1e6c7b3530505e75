/**
 * Which gates a server closes, as a table without IO.
 *
 * An open gate lets every peer in; a closed one asks for a credential signed by the root key.
 *
 * @since 0.1.0
 */
import type { Anchor } from "@aster-effect/config/RootPublicKey"
import * as Result from "effect/Result"

/** What the decision depends on. Flags keep "not given" apart from `false`. @since 0.1.0 */
export interface GateInputs {
  /** The root key given in code. */
  readonly inline?: Anchor | undefined
  /** The root key of the selected identity entry. */
  readonly identity?: Anchor | undefined
  /** The root key of the configuration: `root_pubkey`, or the content of `root_pubkey_file`. */
  readonly configured?: Anchor | undefined
  /** Whether an identity file was found at all. */
  readonly identityFile: boolean
  /** The strongest `allow_all_consumers` given anywhere. */
  readonly allowAllConsumers?: boolean | undefined
  /** The strongest `allow_all_producers` given anywhere. */
  readonly allowAllProducers?: boolean | undefined
}

/** Whether peers of one kind need a credential. @since 0.1.0 */
export type GateState = "open" | "closed"

/**
 * The root key in force: a pinned anchor; a pair made for this process alone; or none, and then a presented credential
 * must be refused, since nothing can verify it.
 *
 * @since 0.1.0
 */
export type Root = { readonly _tag: "Pinned"; readonly anchor: Anchor } | { readonly _tag: "Ephemeral" | "None" }

/** @since 0.1.0 */
export type GateWarning = "DevMode" | "EphemeralRoot"

/** Which gates are closed, and by which root key credentials are verified. @since 0.1.0 */
export interface GatePolicy {
  readonly consumers: GateState
  readonly producers: GateState
  readonly root: Root
  readonly warnings: ReadonlyArray<GateWarning>
}

/** Two places name different root keys. @since 0.1.0 */
export interface AnchorConflict {
  readonly identity: Anchor
  readonly configured: Anchor
}

const stateOf = (open: boolean): GateState => (open ? "open" : "closed")

/**
 * The rule:
 *
 * 1. The anchor is the inline root, else the identity's, else the configured one. An identity's root that differs from
 *    the inline or configured one is a conflict, never a choice.
 * 2. A consumer flag given anywhere is final.
 * 3. Without one, consumers are refused as soon as there is an anchor or an identity file; with neither, this is dev
 *    mode: open, with a warning.
 * 4. Producers are let in unless a flag says otherwise.
 * 5. A closed gate without an anchor gets an ephemeral root, and so does dev mode; a server opened by flag without an
 *    anchor has none.
 *
 * @since 0.1.0
 */
export const decide = (inputs: GateInputs): Result.Result<GatePolicy, AnchorConflict> => {
  const configured = inputs.inline ?? inputs.configured
  const { identity } = inputs
  if (identity !== undefined && configured !== undefined && identity.key !== configured.key) {
    return Result.fail({ identity, configured })
  }
  const anchor = inputs.inline ?? identity ?? inputs.configured
  const devMode = inputs.allowAllConsumers === undefined && anchor === undefined && !inputs.identityFile
  const consumers = stateOf(inputs.allowAllConsumers ?? devMode)
  const producers = stateOf(inputs.allowAllProducers ?? true)
  const closed = consumers === "closed" || producers === "closed"
  const root: Root =
    anchor !== undefined ? { _tag: "Pinned", anchor } : { _tag: closed || devMode ? "Ephemeral" : "None" }
  return Result.succeed({
    consumers,
    producers,
    root,
    warnings: [
      ...(devMode ? (["DevMode"] as const) : []),
      ...(closed && root._tag === "Ephemeral" ? (["EphemeralRoot"] as const) : [])
    ]
  })
}
