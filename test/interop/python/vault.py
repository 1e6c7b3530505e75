"""Services that ask roles of their callers, as ``Vault.ts`` has them."""

import json
from contextvars import ContextVar
from dataclasses import dataclass
from typing import AsyncIterator

from aster import CallContext, Interceptor, bidi_stream, client_stream, rpc, server_stream, service, wire_type
from aster.capabilities import all_of, any_of


@wire_type("trust/Note")
@dataclass
class Note:
    text: str = ""


_context: ContextVar[CallContext] = ContextVar("context")


class RememberContext(Interceptor):
    async def on_request(self, ctx: CallContext, request: object) -> object:
        _context.set(ctx)
        return request


@service(name="Vault", version=1, interceptors=[RememberContext])
class Vault:
    @rpc
    async def whoami(self, req: Note) -> Note:
        return Note(text=json.dumps(dict(_context.get().attributes), sort_keys=True, separators=(",", ":")))

    @rpc(requires="vault.open")
    async def unlock(self, req: Note) -> Note:
        return Note(text="open")

    @server_stream(requires=any_of("vault.read", "vault.open"))
    async def watch(self, req: Note) -> AsyncIterator[Note]:
        yield Note(text="seen")

    @client_stream(requires=all_of("vault.read", "vault.write"))
    async def fill(self, reqs: AsyncIterator[Note]) -> Note:
        return Note(text="".join([req.text async for req in reqs]))

    @bidi_stream(requires="vault.write")
    async def mend(self, reqs: AsyncIterator[Note]) -> AsyncIterator[Note]:
        async for req in reqs:
            yield req


@service(name="Cellar", version=1, requires="cellar")
class Cellar:
    @rpc
    async def enter(self, req: Note) -> Note:
        return Note(text="inside")

    @rpc(requires="vault.open")
    async def unlock(self, req: Note) -> Note:
        return Note(text="open")
