/** What a member says about itself, signed. */
import type { EndpointId } from "@aster-effect/iroh/EndpointId"
import * as NodeAddr from "@aster-effect/iroh/NodeAddr"
import type { EnrollmentCredential } from "@aster-effect/trust/Credential"
import type { MeshLease, OwnLease, PublishedContract } from "../Member.ts"
import * as MeshMessage from "../MeshMessage.ts"

/** What of it changes; what is left out stays. */
export interface OwnState {
  readonly services?: ReadonlyArray<OwnLease> | undefined
  readonly contracts?: ReadonlyArray<PublishedContract> | undefined
  readonly health?: MeshMessage.Health | undefined
}

export interface SpeakerOptions {
  readonly me: EndpointId
  /** Makes signatures of `me`. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
  /** What shows that this member belongs here; without one it is never introduced. */
  readonly credential: EnrollmentCredential | undefined
  readonly send: (message: MeshMessage.MeshMessage) => void
}

export class Speaker {
  readonly #options: SpeakerOptions
  #services: ReadonlyArray<OwnLease> = []
  #contracts: ReadonlyArray<PublishedContract> = []
  #address: NodeAddr.NodeAddr | undefined
  #health: MeshMessage.Health = "ready"
  /** Nothing is said: this member's clock is wrong, or it has said goodbye. */
  silent = false
  #departed = false

  constructor(options: SpeakerOptions) {
    this.#options = options
  }

  get contracts(): ReadonlyArray<PublishedContract> {
    return this.#contracts
  }

  get leases(): ReadonlyArray<MeshLease> {
    return this.#services.map((service) => ({ ...service, health: this.#health, address: this.#address }))
  }

  /** Where this member can be reached, to be said with the next lease. */
  at(address: NodeAddr.NodeAddr): void {
    this.#address = address
  }

  set({ contracts, health, services }: OwnState): void {
    this.#services = services ?? this.#services
    this.#contracts = contracts ?? this.#contracts
    this.#health = health ?? this.#health
  }

  /** @param asks whether others are to say the same of themselves */
  introduceSelf(wall: number, asks: boolean): void {
    const { credential } = this.#options
    if (credential !== undefined) this.say(wall, { _tag: "Credential", credential, asks })
  }

  sayContracts(wall: number): void {
    for (const contract of this.#contracts) this.say(wall, { _tag: "ContractPublished", ...contract })
  }

  sayLeases(wall: number): void {
    const addressing = this.#address === undefined ? {} : { address: NodeAddr.toBase64(this.#address) }
    const health = this.#health
    for (const service of this.#services) this.say(wall, { _tag: "LeaseUpdate", ...service, health, addressing })
  }

  /** Says goodbye for good. */
  depart(wall: number, reason: string): void {
    this.say(wall, { _tag: "Depart", reason })
    this.#departed = true
  }

  /** @param wall milliseconds since the Unix epoch */
  say(wall: number, body: MeshMessage.Body): void {
    if (this.silent || this.#departed) return
    const { me, send, sign } = this.#options
    try {
      send(MeshMessage.make(body, me, wall, sign))
    } catch (error) {
      // What is ours is checked where it is given; a name that is too long after all is not worth the mesh.
      if (!(error instanceof MeshMessage.PayloadTooLarge)) throw error
    }
  }
}
