"""A service declared the way most Python services are: postponed annotations, bare dicts and lists in its messages.

    events.py ADDRESS

calls one with the reference's clients and prints what came back as one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import AsyncIterator, Optional

from aster import rpc, server_stream, service, wire_type


@wire_type("events/Event")
@dataclass
class Event:
    """Something that happened."""

    name: str = ""
    attributes: dict = field(default_factory=dict)
    tags: list = field(default_factory=list)
    context: Optional[dict] = None


@wire_type("events/Receipt")
@dataclass
class Receipt:
    count: int = 0
    seen: dict = field(default_factory=dict)


@service(name="Events", version=1)
class Events:
    @rpc
    async def echo(self, req: Event) -> Event:
        return req

    @rpc
    async def record(self, req: Event) -> Receipt:
        return Receipt(count=len(req.attributes) + len(req.tags), seen={k: type(v).__name__ for k, v in req.attributes.items()})

    @server_stream
    async def replay(self, req: Event) -> AsyncIterator[Event]:
        for _ in range(2):
            yield req


SERVICES = [Events]


async def main(address: str) -> None:
    import loopback
    from aster import AsterClient

    attributes = {"text": "ü", "int": 2**53 + 1, "float": -0.0, "list": [1, None, {"deep": True}], "none": None}
    event = Event(name="e", attributes=attributes, tags=["a", 1, 1.5], context={"k": []})
    result = {}
    async with AsterClient(address=address, config=loopback.config()) as aster:
        client = await aster.client(Events)
        back = await client.echo(event)
        result["echo"] = back == event
        result["replay"] = [item == event async for item in client.replay(event)]
        receipt = await client.record(event)
        result["record"] = [receipt.count, receipt.seen]
        proxy = aster.proxy("Events")
        result["json"] = await proxy.echo({"name": "e", "attributes": attributes, "tags": ["a", 1, 1.5]})
        result["contract_id"] = [s.contract_id for s in aster.services if s.name == "Events"][0]
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
