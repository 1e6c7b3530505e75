/** `@grpc/grpc-js` with `@grpc/proto-loader`, default options; the calls are those its generated clients make. */
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import {
  Client,
  credentials,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type MethodDefinition,
  type ServerUnaryCall,
  type ServerWritableStream
} from "@grpc/grpc-js"
import { loadSync } from "@grpc/proto-loader"
import type { Listening, Peer } from "../Peer.ts"
import { selfSigned } from "../SelfSigned.ts"

interface Payload {
  readonly data: Uint8Array
}
interface StreamRequest {
  readonly count: number
  readonly size: number
}
interface Bench {
  readonly Echo: MethodDefinition<Payload, Payload>
  readonly Stream: MethodDefinition<StreamRequest, Payload>
}

const bench = loadSync(fileURLToPath(new URL("../bench.proto", import.meta.url)))["bench.Bench"] as unknown as Bench

const implementation = {
  Echo: (call: ServerUnaryCall<Payload, Payload>, answer: sendUnaryData<Payload>) =>
    answer(null, { data: call.request.data }),
  Stream: async (call: ServerWritableStream<StreamRequest, Payload>) => {
    const message = { data: new Uint8Array(call.request.size).fill(7) }
    for (let i = 0; i < call.request.count; i++) {
      if (!call.write(message)) await once(call, "drain")
    }
    call.end()
  }
}

const listen = (server: Server, security: ServerCredentials) =>
  new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", security, (error, port) => (error === null ? resolve(port) : reject(error)))
  })

// Without a pool of its own a second client would share the first one's connection.
const options = { "grpc.use_local_subchannel_pool": 1 }

const dial = ({ address, certificate }: Listening) =>
  certificate === undefined
    ? new Client(address, credentials.createInsecure(), options)
    : new Client(address, credentials.createSsl(Buffer.from(certificate)), {
        ...options,
        // An IP address is no TLS server name.
        "grpc.ssl_target_name_override": "localhost",
        "grpc.default_authority": "localhost"
      })

/** gRPC over HTTP/2, plaintext or TLS. */
export const grpc = ({ tls }: { readonly tls: boolean }): Peer => ({
  server: async () => {
    const pem = tls ? selfSigned() : undefined
    const server = new Server()
    server.addService({ Echo: bench.Echo, Stream: bench.Stream }, implementation)
    const port = await listen(
      server,
      pem === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [
            { private_key: Buffer.from(pem.key), cert_chain: Buffer.from(pem.certificate) }
          ])
    )
    return { address: `127.0.0.1:${port}`, certificate: pem?.certificate }
  },
  client: async (listening) => ({
    connect: async () => {
      const client = dial(listening)
      const { Echo, Stream } = bench
      return {
        echo: (data) =>
          new Promise((resolve, reject) => {
            client.makeUnaryRequest(
              Echo.path,
              Echo.requestSerialize,
              Echo.responseDeserialize,
              { data },
              (error, answer) => (answer === undefined ? reject(error) : resolve(answer.data))
            )
          }),
        stream: (count, size) =>
          new Promise((resolve, reject) => {
            let received = 0
            client
              .makeServerStreamRequest(Stream.path, Stream.requestSerialize, Stream.responseDeserialize, {
                count,
                size
              })
              .on("data", () => received++)
              .on("end", () => resolve(received))
              .on("error", reject)
          }),
        close: async () => client.close()
      }
    }
  })
})
