/** A service whose calls take as long as they are told to, and say which process answered. */
import * as Wire from "@aster-effect/core/message/Wire"
import * as Rpc from "@aster-effect/core/service/Rpc"
import * as Service from "@aster-effect/core/service/Service"

export class WaitRequest extends Wire.Class<WaitRequest>("waiting/WaitRequest")({ ms: Wire.Int }) {}
export class WaitResponse extends Wire.Class<WaitResponse>("waiting/WaitResponse")({ pid: Wire.Int }) {}

export const Waiting = Service.make("Waiting", { public: true }).add(
  Rpc.unary("wait", { request: WaitRequest, response: WaitResponse, idempotent: true })
)

/** What `restartedServer.ts` is told. */
export interface RestartedOptions {
  readonly bindAddress: string
  /** 64 hex digits. */
  readonly secretKey: string
  /** 0: none. */
  readonly healthPort: number
}
