"""A service whose annotations stay text: a response counts only if it is also reachable from a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import AsyncIterator, List

from aster import rpc, server_stream, service, wire_type


@wire_type("contracts/Question")
@dataclass
class Question:
    text: str = ""
    tags: List[str] = field(default_factory=list)


@wire_type("contracts/Answer")
@dataclass
class Answer:
    question: Question = field(default_factory=Question)


@service(name="PostponedService", version=1)
class PostponedService:
    @rpc
    async def ask(self, req: Question) -> Answer: ...

    @rpc
    async def rephrase(self, req: Question) -> Question: ...

    @server_stream
    async def suggest(self, req: Question) -> AsyncIterator[Question]:
        yield


SERVICES = [PostponedService]
