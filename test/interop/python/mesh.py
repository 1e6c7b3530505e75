"""A producer of the reference on the topic of its mesh.

Released processes never join that topic. This brings what they lack around the library: it subscribes, hands what comes to
the library's handler, and lets the hook admit the producers that are accepted.
"""

import asyncio
import json
import time

from aster import gossip_client
from aster.trust import gossip
from aster.trust.mesh import ClockDriftConfig, ProducerMessage


class PublicKeys:
    """The key of a producer is its endpoint id."""

    @staticmethod
    def get(sender):
        return bytes.fromhex(sender)


class Member:
    def __init__(self, server, seed: bytes):
        self._server = server
        self._seed = seed
        self._state = server._mesh_state
        self._heard = []
        self._neighbors = 0
        hook = server._hook
        admits = hook.should_allow
        hook.should_allow = lambda peer, alpn: peer in self._state.accepted_producers or admits(peer, alpn)

    def subscribe(self, bootstrap=()):
        self._reading = asyncio.create_task(self._read(bootstrap))

    async def _read(self, bootstrap):
        # Waits for a first neighbour.
        self._topic = await gossip_client(self._server._node).subscribe(list(self._state.topic_id), list(bootstrap))
        while True:
            kind, content = await self._topic.recv()
            if kind.lower().replace("_", "") == "neighborup":
                self._neighbors += 1
            if kind.lower() != "received" or content is None:
                continue
            wire = json.loads(bytes(content))
            message = ProducerMessage(
                wire["type"],
                bytes.fromhex(wire["payload"]),
                wire["sender"],
                wire["epoch_ms"],
                bytes.fromhex(wire["signature"]),
            )
            self._heard.append(
                {
                    "type": message.type,
                    "verified": gossip.verify_producer_message(message, PublicKeys.get(message.sender)),
                }
            )
            await gossip.handle_producer_message(
                message, self._state, ClockDriftConfig(), PublicKeys, registry_callback=self._register
            )

    def _register(self, kind, payload):
        self._heard.append({"event": kind, **vars(payload)})

    async def say(self, type: int, payload: bytes):
        message = gossip.sign_producer_message(
            type, payload, self._server.endpoint_id, int(time.time() * 1000), self._seed
        )
        wire = {
            "type": message.type,
            "payload": message.payload.hex(),
            "sender": message.sender,
            "epoch_ms": message.epoch_ms,
            "signature": message.signature.hex(),
        }
        await self._topic.broadcast(json.dumps(wire, separators=(",", ":")).encode())

    def report(self) -> dict:
        return {
            "topic": self._state.topic_id.hex(),
            "neighbors": self._neighbors,
            "accepted": sorted(self._state.accepted_producers),
            "heard": self._heard,
        }


PAYLOADS = {
    1: lambda grant: gossip.encode_introduce_payload(grant.encode()),
    2: gossip.encode_depart_payload,
    3: gossip.encode_contract_published_payload,
    4: gossip.encode_lease_update_payload,
    # Not of the library: a credential as it travels in the admission handshake.
    128: lambda credential: credential.encode(),
}
