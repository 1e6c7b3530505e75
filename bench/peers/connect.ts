/** `@connectrpc/connect-node`: the Connect protocol, binary messages, HTTP/2 without TLS, compression off. */
import { once } from "node:events"
import { createServer } from "node:http2"
import type { AddressInfo } from "node:net"
import { create, type Message, toBinary } from "@bufbuild/protobuf"
import { fileDesc, type GenMessage, serviceDesc } from "@bufbuild/protobuf/codegenv2"
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema
} from "@bufbuild/protobuf/wkt"
import { type ConnectRouter, createClient } from "@connectrpc/connect"
import { connectNodeAdapter, createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node"
import type { Peer } from "../Peer.ts"

type Payload = GenMessage<Message<"bench.Payload"> & { data: Uint8Array }>
type StreamRequest = GenMessage<Message<"bench.StreamRequest"> & { count: number; size: number }>

const field = (name: string, number: number, type: FieldDescriptorProto_Type) => ({
  name,
  number,
  type,
  label: FieldDescriptorProto_Label.OPTIONAL,
  jsonName: name
})
// bench.proto as a descriptor, and below it what the code generator would have written: no protoc needed.
const file = fileDesc(
  Buffer.from(
    toBinary(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        name: "bench.proto",
        package: "bench",
        syntax: "proto3",
        messageType: [
          { name: "Payload", field: [field("data", 1, FieldDescriptorProto_Type.BYTES)] },
          {
            name: "StreamRequest",
            field: [
              field("count", 1, FieldDescriptorProto_Type.UINT32),
              field("size", 2, FieldDescriptorProto_Type.UINT32)
            ]
          }
        ],
        service: [
          {
            name: "Bench",
            method: [
              { name: "Echo", inputType: ".bench.Payload", outputType: ".bench.Payload" },
              {
                name: "Stream",
                inputType: ".bench.StreamRequest",
                outputType: ".bench.Payload",
                serverStreaming: true
              }
            ]
          }
        ]
      })
    )
  ).toString("base64")
)
const Bench = serviceDesc<{
  echo: { methodKind: "unary"; input: Payload; output: Payload }
  stream: { methodKind: "server_streaming"; input: StreamRequest; output: Payload }
}>(file, 0)

const routes = (router: ConnectRouter) =>
  router.service(Bench, {
    echo: ({ data }) => ({ data }),
    async *stream({ count, size }) {
      const data = new Uint8Array(size).fill(7)
      for (let i = 0; i < count; i++) yield { data }
    }
  })

/** Connect over HTTP/2, plaintext. */
export const connect: Peer = {
  server: async () => {
    const server = createServer(connectNodeAdapter({ routes, acceptCompression: [] })).listen(0, "127.0.0.1")
    await once(server, "listening")
    return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  },
  client: async ({ address }) => ({
    connect: async () => {
      const sessionManager = new Http2SessionManager(address)
      const transport = createConnectTransport({
        baseUrl: address,
        httpVersion: "2",
        useBinaryFormat: true,
        acceptCompression: [],
        sessionManager
      })
      const client = createClient(Bench, transport)
      return {
        echo: async (data) => (await client.echo({ data })).data,
        stream: async (count, size) => {
          let received = 0
          for await (const _ of client.stream({ count, size })) received++
          return received
        },
        close: async () => sessionManager.abort()
      }
    }
  })
}
