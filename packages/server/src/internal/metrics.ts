import * as ConsumerAdmission from "@aster-effect/admission/ConsumerAdmission"
import * as ProducerAdmission from "@aster-effect/admission/ProducerAdmission"
import * as Dispatcher from "@aster-effect/core/call/Dispatcher"
import * as BlobsProtocol from "@aster-effect/iroh-blobs/BlobsProtocol"
import * as IrohChannel from "@aster-effect/transport/IrohChannel"
import * as RpcConnection from "@aster-effect/transport/RpcConnection"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

const counters = [
  Dispatcher.startedCalls,
  Dispatcher.succeededCalls,
  Dispatcher.failedCalls,
  RpcConnection.connections.total,
  RpcConnection.streams.total,
  IrohChannel.bytes.server.received,
  IrohChannel.bytes.server.sent,
  BlobsProtocol.sentBytes
]

const gauges = [Dispatcher.runningCalls, RpcConnection.connections.active, RpcConnection.streams.active]

/** A metric is there once it was updated. What has not happened on a server counts as zero rather than as unknown. */
export const touch: Effect.Effect<void> = Effect.all(
  [
    ...counters.map((counter) => Metric.update(counter, 0)),
    ...gauges.map((gauge) => Metric.modify(gauge, 0)),
    ConsumerAdmission.metrics.touch,
    ProducerAdmission.metrics.touch
  ],
  { discard: true }
)
