"""The service that `examples/effect-rpc/Notes.ts` makes of a group, written by hand, and its consumer.

    notes.py ADDRESS

Prints one JSON object: the contract id, and what the calls gave.
"""

import asyncio
import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import AsyncIterator

import loopback
from aster import AsterClient, RpcError, rpc, server_stream, service, wire_type
from aster.contract.identity import contract_id_from_service


@wire_type("notes/Note")
@dataclass
class Note:
    id: int = 0
    text: str = ""


@wire_type("Notes/AddRequest")
@dataclass
class AddRequest:
    text: str = ""


@wire_type("Notes/GetRequest")
@dataclass
class GetRequest:
    id: int = 0


@wire_type("Notes/ListRequest")
@dataclass
class ListRequest:
    pass


@wire_type("Notes/ClearRequest")
@dataclass
class ClearRequest:
    pass


@wire_type("Notes/ClearResponse")
@dataclass
class ClearResponse:
    pass


@service(name="Notes", version=1)
class Notes:
    @rpc()
    async def add(self, req: AddRequest) -> Note: ...

    @rpc(idempotent=True)
    async def get(self, req: GetRequest) -> Note: ...

    @server_stream()
    async def list(self, req: ListRequest) -> AsyncIterator[Note]:
        yield Note()

    @rpc()
    async def clear(self, req: ClearRequest) -> ClearResponse: ...


async def failure(call):
    try:
        return {"answered": await call}
    except RpcError as error:
        return {"code": int(error.code), "message": error.message, "details": error.details}


async def main(address):
    plain = dataclasses.asdict
    async with AsterClient(config=loopback.config(allow_all_consumers=True), address=address) as client:
        notes = await client.client(Notes)
        proxy = client.proxy("Notes")
        result = {
            "contract_id": contract_id_from_service(Notes),
            "offered": next(s.contract_id for s in client.services if s.name == "Notes"),
            "added": plain(await notes.add(AddRequest(text="from Python"))),
            "added_json": await proxy.add({"text": "from JSON"}),
            "got": plain(await notes.get(GetRequest(id=1))),
            "missing": await failure(notes.get(GetRequest(id=9))),
            "listed": [plain(note) async for note in notes.list(ListRequest())],
            "listed_json": [note async for note in proxy.list.stream({})],
            "cleared": plain(await notes.clear(ClearRequest())),
            "cleared_json": await proxy.clear({}),
            "left": [plain(note) async for note in notes.list(ListRequest())],
        }
    print(json.dumps(result))


asyncio.run(main(sys.argv[1]))
