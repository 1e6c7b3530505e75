"""The services both sides of the interop tests speak, written with the reference's decorators.

Annotations are evaluated (no ``from __future__ import annotations``): postponed ones change contract ids.
"""

import asyncio
import datetime
import enum
import json
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Dict, List, Optional, Set

import pyfory
from aster import CallContext, Interceptor, RpcError, StatusCode, bidi_stream, client_stream, rpc, server_stream
from aster import service, wire_type

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


@wire_type("kitchen/Color")
class Color(enum.Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


@wire_type("kitchen/Inner")
@dataclass
class Inner:
    label: str = ""
    weight: float = 0.0


@wire_type("kitchen/Everything")
@dataclass
class Everything:
    flag: bool = False
    count: int = 0
    big: int = 0
    ratio: float = 0.0
    text: str = ""
    blob: bytes = b""
    tags: List[str] = field(default_factory=list)
    numbers: List[int] = field(default_factory=list)
    matrix: List[List[int]] = field(default_factory=list)
    names: Set[str] = field(default_factory=set)
    scores: Dict[str, int] = field(default_factory=dict)
    index: Dict[int, str] = field(default_factory=dict)
    note: Optional[str] = None
    maybe: Optional[int] = None
    color: Color = Color.RED
    inner: Inner = field(default_factory=Inner)
    inners: List[Inner] = field(default_factory=list)
    by_name: Dict[str, Inner] = field(default_factory=dict)
    maybe_inner: Optional[Inner] = None
    at: datetime.datetime = EPOCH
    day: datetime.date = EPOCH.date()
    anything: Any = None


@wire_type("kitchen/Widths")
@dataclass
class Widths:
    int8: pyfory.int8 = 0
    int16: pyfory.int16 = 0
    int32: pyfory.int32 = 0
    uint8: pyfory.uint8 = 0
    uint16: pyfory.uint16 = 0
    uint32: pyfory.uint32 = 0
    uint64: pyfory.uint64 = 0
    float32: pyfory.float32 = 0.0
    maybe: Optional[pyfory.int32] = None
    list: List[pyfory.int16] = field(default_factory=list)
    map: Dict[str, pyfory.float32] = field(default_factory=dict)


@wire_type("kitchen/HelloRequest")
@dataclass
class HelloRequest:
    name: str = ""


@wire_type("kitchen/HelloReply")
@dataclass
class HelloReply:
    message: str = ""


@wire_type("kitchen/Blob")
@dataclass
class Blob:
    data: bytes = b""


@wire_type("kitchen/Text")
@dataclass
class Text:
    text: str = ""


@wire_type("kitchen/CountRequest")
@dataclass
class CountRequest:
    to: int = 0


@wire_type("kitchen/Number")
@dataclass
class Number:
    value: int = 0


@wire_type("kitchen/FailRequest")
@dataclass
class FailRequest:
    code: int = 0
    message: str = ""


@wire_type("kitchen/SlowRequest")
@dataclass
class SlowRequest:
    ms: int = 0


@wire_type("kitchen/Plain")
@dataclass
class Plain:
    """The part of ``Everything`` that has a JSON form."""

    flag: bool = False
    count: int = 0
    ratio: float = 0.0
    text: str = ""
    tags: List[str] = field(default_factory=list)
    matrix: List[List[int]] = field(default_factory=list)
    scores: Dict[str, int] = field(default_factory=dict)
    note: Optional[str] = None
    maybe: Optional[int] = None
    inner: Inner = field(default_factory=Inner)
    inners: List[Inner] = field(default_factory=list)
    maybe_inner: Optional[Inner] = None
    anything: Any = None


# Handlers are not given the call's context; an interceptor runs in the handler's task and can leave it here.
_context: ContextVar[CallContext] = ContextVar("context")


class RememberContext(Interceptor):
    async def on_request(self, ctx: CallContext, request: object) -> object:
        _context.set(ctx)
        return request


@service(name="KitchenSink", version=1, interceptors=[RememberContext])
class KitchenSink:
    @rpc
    async def echo(self, req: Everything) -> Everything:
        return req

    @rpc
    async def say_hello(self, req: HelloRequest) -> HelloReply:
        return HelloReply(message=f"Hello, {req.name}!")

    @rpc
    async def blob_echo(self, req: Blob) -> Blob:
        return req

    @rpc
    async def text_echo(self, req: Text) -> Text:
        return req

    @rpc
    async def widths_echo(self, req: Widths) -> Widths:
        return req

    @server_stream
    async def count(self, req: CountRequest) -> AsyncIterator[Number]:
        for value in range(req.to):
            yield Number(value=value)

    @client_stream
    async def sum(self, numbers: AsyncIterator[Number]) -> Number:
        total = 0
        async for number in numbers:
            total += number.value
        return Number(value=total)

    @bidi_stream
    async def chat(self, requests: AsyncIterator[HelloRequest]) -> AsyncIterator[HelloReply]:
        async for request in requests:
            yield HelloReply(message=f"Hello, {request.name}!")

    @rpc
    async def fail(self, req: FailRequest) -> HelloReply:
        raise RpcError(StatusCode(req.code), req.message)

    @rpc
    async def defect(self, req: HelloRequest) -> HelloReply:
        raise ValueError(f"a defect for {req.name}")

    @rpc
    async def slow(self, req: SlowRequest) -> HelloReply:
        await asyncio.sleep(req.ms / 1000)
        return HelloReply(message=f"slept {req.ms} ms")

    @server_stream
    async def endless(self, req: CountRequest) -> AsyncIterator[Number]:
        value = req.to
        while True:
            yield Number(value=value)
            value += 1
            await asyncio.sleep(0.001)

    @server_stream
    async def fail_after(self, req: CountRequest) -> AsyncIterator[Number]:
        for value in range(req.to):
            yield Number(value=value)
        raise RpcError(StatusCode.FAILED_PRECONDITION, f"failed after {req.to}")

    @rpc
    async def context(self, req: HelloRequest) -> HelloReply:
        ctx = _context.get()
        return HelloReply(
            message=json.dumps(
                {
                    "service": ctx.service,
                    "method": ctx.method,
                    "peer": ctx.peer,
                    "metadata": ctx.metadata,
                    "attributes": ctx.attributes,
                    "remaining_ms": None if ctx.remaining_seconds is None else int(ctx.remaining_seconds * 1000),
                    "pattern": ctx.pattern,
                }
            )
        )


@service(name="KitchenJson", version=1)
class KitchenJson:
    @rpc
    async def echo(self, req: Plain) -> Plain:
        return req

    @rpc
    async def say_hello(self, req: HelloRequest) -> HelloReply:
        return HelloReply(message=f"Hello, {req.name}!")


@service(name="KitchenSession", version=1, scoped="session")
class KitchenSession:
    """One instance per session: ``add`` sees what earlier calls of the same session left behind."""

    def __init__(self, peer: Optional[str] = None):
        self.total = 0
        self.peer = peer

    @rpc
    async def add(self, req: Number) -> Number:
        self.total += req.value
        return Number(value=self.total)

    @server_stream
    async def count(self, req: CountRequest) -> AsyncIterator[Number]:
        for value in range(req.to):
            yield Number(value=self.total + value)

    @client_stream
    async def add_all(self, numbers: AsyncIterator[Number]) -> Number:
        async for number in numbers:
            self.total += number.value
        return Number(value=self.total)

    @bidi_stream
    async def running(self, numbers: AsyncIterator[Number]) -> AsyncIterator[Number]:
        async for number in numbers:
            self.total += number.value
            yield Number(value=self.total)

    @rpc
    async def fail(self, req: FailRequest) -> Number:
        raise RpcError(StatusCode(req.code), req.message)

    @rpc
    async def slow(self, req: SlowRequest) -> HelloReply:
        await asyncio.sleep(req.ms / 1000)
        return HelloReply(message=f"slept {req.ms} ms")


SERVICES = [KitchenSink, KitchenJson, KitchenSession]
