"""Calls a producer with the reference's clients and reports what came back.

    consumer.py ADDRESS [--scenario NAME ...] [--identity FILE] [--list]

Prints one JSON line per scenario: {"scenario", "ok": true, "result"} when the call returned, else
{"scenario", "ok": false, "error": {"code", "message", "details", "type", "partial"}}. ``code`` is the status number,
null for an exception that is no RPC error. ``partial`` holds what a stream delivered before it failed.
Scenarios run in the order given; all of them without --scenario.
"""

import argparse
import asyncio
import dataclasses
import datetime
import enum
import json
import os
import sys
import time
import warnings

import loopback
from aster import AsterClient, RpcError, SerializationMode
from aster.codec import ForyCodec
from aster.transport.iroh import IrohTransport
from kitchen_sink import (
    Blob,
    Color,
    CountRequest,
    Everything,
    FailRequest,
    HelloReply,
    HelloRequest,
    Inner,
    KitchenSession,
    KitchenSink,
    Number,
    Plain,
    SlowRequest,
    Text,
    Widths,
)
from task_runner import TaskRequest, TaskRunner

warnings.simplefilter("ignore")

MIB = 1024 * 1024
UNICODE = "Grüße, 日本語, Ωmega, 😀 and a nul \u0000."
TEXT_MIB = "zwölf 字 " * (MIB // 11 + 1)
SCENARIO_TIMEOUT = 30.0

EVERYTHING = Everything(
    flag=True,
    count=-42,
    big=-(2**63),
    ratio=-0.1,
    text=UNICODE,
    blob=bytes(range(256)),
    tags=["a", "", UNICODE],
    numbers=[0, -1, 2**31, 2**53 + 1, 2**63 - 1],
    matrix=[[1, 2], [], [3]],
    names={"x", "ü"},
    scores={"one": 1, "two": 2},
    index={1: "one", -2: "minus two"},
    note="note",
    maybe=0,
    color=Color.BLUE,
    inner=Inner(label="inner", weight=1.5),
    inners=[Inner(label="first", weight=0.25), Inner(label="", weight=float("inf"))],
    by_name={"k": Inner(label="value", weight=-0.0)},
    maybe_inner=Inner(label="maybe", weight=2.0),
    at=datetime.datetime(2024, 2, 29, 23, 59, 59, 123000, tzinfo=datetime.timezone.utc),
    day=datetime.date(2024, 2, 29),
    anything={"list": [1, "two", None, 4.5, True], "bytes": b"\x00\xff", "inner": Inner(label="any", weight=3.0)},
)

WIDTHS = [
    Widths(),
    Widths(
        int8=-(2**7),
        int16=-(2**15),
        int32=-(2**31),
        uint8=2**8 - 1,
        uint16=2**16 - 1,
        uint32=2**32 - 1,
        uint64=2**63 - 1,
        float32=-0.5,
        maybe=2**31 - 1,
        list=[0, -(2**15), 2**15 - 1],
        map={"": 0.25, "ü": float("inf")},
    ),
]

PLAIN = Plain(
    flag=True,
    count=-(2**53 - 1),
    ratio=0.1,
    text=UNICODE,
    tags=["a", "", UNICODE],
    matrix=[[1, 2], [], [3]],
    scores={"one": 1, "ü": 2},
    note="note",
    maybe=0,
    inner=Inner(label="inner", weight=1.5),
    inners=[Inner(label="first", weight=0.25), Inner()],
    maybe_inner=Inner(label="maybe", weight=2.0),
    anything={"list": [1, "two", None, 4.5, True]},
)


class Failed(Exception):
    """A stream failed after delivering ``partial``."""

    def __init__(self, cause, partial):
        super().__init__(str(cause))
        self.cause = cause
        self.partial = partial


async def each(items):
    for item in items:
        yield item


async def collect(stream):
    received = []
    try:
        async for item in stream:
            received.append(item)
    except Exception as cause:
        raise Failed(cause, received) from cause
    return received


async def converse(channel, items):
    """Sends every item and waits for its reply before the next, then closes and reads to the end."""
    received = []
    async with channel:
        for item in items:
            await channel.send(item)
            received.append(await channel.recv())
        await channel.close()
        while (item := await channel.recv()) is not None:
            received.append(item)
    return received


def same(sent, received):
    return {"equal": sent == received, "received": received}


class Scenarios:
    """Every public method is a scenario."""

    def __init__(self, client: AsterClient):
        self._client = client

    def _sink(self):
        return self._client.client(KitchenSink)

    async def _transport(self, service="KitchenSink"):
        summary = next(s for s in self._client.services if s.name == service)
        connection = await self._client._rpc_conn_for(summary.channels["rpc"])
        types = [HelloRequest, HelloReply, CountRequest, Number]
        return IrohTransport(connection, codec=ForyCodec(types=types))

    # What admission said

    async def services(self):
        return [summary.to_json_dict() for summary in self._client.services]

    async def registry_namespace(self):
        return self._client.registry_namespace

    # Fory, typed client

    async def echo(self):
        return same(EVERYTHING, await (await self._sink()).echo(EVERYTHING))

    async def echo_defaults(self):
        return same(Everything(), await (await self._sink()).echo(Everything()))

    async def echo_microseconds(self):
        at = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=datetime.timezone.utc)
        return (await (await self._sink()).echo(Everything(at=at))).at

    async def widths(self):
        sink = await self._sink()
        received = [await sink.widths_echo(widths) for widths in WIDTHS]
        return same(WIDTHS, received)

    async def say_hello(self):
        return await (await self._sink()).say_hello(HelloRequest(name="World"))

    async def say_hello_unicode(self):
        return await (await self._sink()).say_hello(HelloRequest(name=UNICODE))

    async def blob_mib(self):
        sent = Blob(data=os.urandom(MIB))
        return {"equal": sent == await (await self._sink()).blob_echo(sent), "size": len(sent.data)}

    async def text_mib(self):
        sent = Text(text=TEXT_MIB)
        return {"equal": sent == await (await self._sink()).text_echo(sent), "size": len(sent.text.encode())}

    async def count(self):
        return await collect((await self._sink()).count(CountRequest(to=5)))

    async def count_none(self):
        return await collect((await self._sink()).count(CountRequest(to=0)))

    async def count_many(self):
        received = await collect((await self._sink()).count(CountRequest(to=10_000)))
        return {"equal": received == [Number(value=n) for n in range(10_000)]}

    async def sum(self):
        return await (await self._sink()).sum(each([Number(value=n) for n in (1, 2, 39)]))

    async def sum_none(self):
        return await (await self._sink()).sum(each([]))

    async def chat(self):
        return await converse((await self._sink()).chat(), [HelloRequest(name=n) for n in ("a", "b", UNICODE)])

    async def chat_none(self):
        return await converse((await self._sink()).chat(), [])

    async def fail_not_found(self):
        return await (await self._sink()).fail(FailRequest(code=5, message="no such pan"))

    async def fail_contract_violation(self):
        return await (await self._sink()).fail(FailRequest(code=101, message="not in the contract"))

    async def fail_unicode(self):
        return await (await self._sink()).fail(FailRequest(code=3, message=UNICODE))

    async def fail_every_code(self):
        sink = await self._sink()
        seen = {}
        for code in [*range(1, 17), 101]:
            try:
                await sink.fail(FailRequest(code=code, message=f"code {code}"))
            except RpcError as error:
                seen[code] = [int(error.code), error.message, type(error).__name__]
        return seen

    async def fail_after(self):
        return await collect((await self._sink()).fail_after(CountRequest(to=3)))

    async def defect(self):
        return await (await self._sink()).defect(HelloRequest(name="World"))

    async def deadline_unary(self):
        return await (await self._sink()).slow(SlowRequest(ms=5_000), timeout=0.3)

    async def deadline_met(self):
        return await (await self._sink()).slow(SlowRequest(ms=10), timeout=10)

    async def deadline_stream(self):
        stream = (await self._sink()).endless(CountRequest(to=0), timeout=0.3)
        try:
            return await collect(stream)
        except Failed as failed:
            raise Failed(failed.cause, [f"{'some' if failed.partial else 'no'} items"]) from failed.cause

    async def deadline_expired(self):
        transport = await self._transport()
        expired = int((time.time() - 60) * 1000)
        return await transport.unary("KitchenSink", "say_hello", HelloRequest(), deadline_epoch_ms=expired)

    async def stop_early(self):
        sink = await self._sink()
        received = []
        stream = sink.endless(CountRequest(to=7))
        async for item in stream:
            received.append(item)
            if len(received) == 3:
                break
        await stream.aclose()
        return [*received, await sink.say_hello(HelloRequest(name="afterwards"))]

    async def unknown_method(self):
        return await (await self._transport()).unary("KitchenSink", "no_such_method", HelloRequest())

    async def unknown_service(self):
        return await (await self._transport()).unary("NoSuchService", "say_hello", HelloRequest())

    async def wrong_scope(self):
        return await (await self._transport()).unary("KitchenSession", "add", Number())

    async def unsupported_mode(self):
        transport = await self._transport()
        mode = SerializationMode.NATIVE.value
        return await transport.unary("KitchenSink", "say_hello", HelloRequest(), serialization_mode=mode)

    async def metadata(self):
        sink = await self._sink()
        reply = await sink.context(HelloRequest(), metadata={"trace-id": "abc", "Ключ": "値"}, timeout=60)
        return json.loads(reply.message)

    async def concurrent(self):
        sink = await self._sink()
        replies = await asyncio.gather(*(sink.say_hello(HelloRequest(name=str(n))) for n in range(200)))
        return {"equal": [reply.message for reply in replies] == [f"Hello, {n}!" for n in range(200)]}

    async def sequential(self):
        sink = await self._sink()
        replies = [await sink.say_hello(HelloRequest(name=str(n))) for n in range(500)]
        return {"equal": [reply.message for reply in replies] == [f"Hello, {n}!" for n in range(500)]}

    async def fail_many(self):
        """A client stops the stream of a call that failed, which the server may see before it has ended its half."""
        sink = await self._sink()
        calls = (sink.fail(FailRequest(code=5, message=str(n))) for n in range(500))
        failures = await asyncio.gather(*calls, return_exceptions=True)
        return [
            {"equal": [failure.message for failure in failures] == [str(n) for n in range(500)]},
            await sink.say_hello(HelloRequest(name="afterwards")),
        ]

    async def stop_many(self):
        """More streams than a connection has at a time, each given up after its first item."""
        sink = await self._sink()
        for _ in range(300):
            stream = sink.endless(CountRequest(to=7))
            async for item in stream:
                break
            await stream.aclose()
        return [item, await sink.say_hello(HelloRequest(name="afterwards"))]

    async def version_2(self):
        client = await self._client.client(TaskRunner)
        return await client.run_task(TaskRequest(task_id="t-1", payload="{}"))

    # JSON, dynamic proxy

    async def json_say_hello(self):
        return await self._client.proxy("KitchenSink").say_hello({"name": UNICODE})

    async def json_echo(self):
        sent = dataclasses.asdict(PLAIN)
        return same(sent, await self._client.proxy("KitchenJson").echo(sent))

    async def json_echo_defaults(self):
        received = await self._client.proxy("KitchenJson").echo()
        return same(dataclasses.asdict(Plain()), received)

    async def json_text_mib(self):
        sent = {"text": TEXT_MIB}
        return {"equal": sent == await self._client.proxy("KitchenSink").text_echo(sent)}

    async def json_count(self):
        return await collect(self._client.proxy("KitchenSink").count.stream({"to": 3}))

    async def json_count_none(self):
        return await collect(self._client.proxy("KitchenSink").count.stream({"to": 0}))

    async def json_sum(self):
        return await self._client.proxy("KitchenSink").sum(each([{"value": 40}, {"value": 2}]))

    async def json_chat(self):
        channel = self._client.proxy("KitchenSink").chat.bidi()
        await channel.open()
        return await converse(channel._channel, [{"name": "a"}, {"name": "b"}])

    async def json_chat_none(self):
        channel = self._client.proxy("KitchenSink").chat.bidi()
        await channel.open()
        return await converse(channel._channel, [])

    async def json_fail(self):
        return await self._client.proxy("KitchenSink").fail({"code": 7, "message": UNICODE})

    async def json_fail_after(self):
        return await collect(self._client.proxy("KitchenSink").fail_after.stream({"to": 2}))

    async def json_defect(self):
        return await self._client.proxy("KitchenSink").defect({"name": "World"})

    async def json_unknown_field(self):
        return await self._client.proxy("KitchenSink").say_hello({"name": "x", "nmae": "y"})

    async def json_unknown_nested_field(self):
        return await self._client.proxy("KitchenJson").echo({"inner": {"label": "x", "colour": "y"}})

    async def json_unknown_method(self):
        return await self._client.proxy("KitchenSink").no_such_method({})

    async def json_metadata(self):
        proxy = self._client.proxy("KitchenSink")
        await proxy._ensure_transport()
        transport = proxy._transport
        reply = await transport.unary("KitchenSink", "context", {}, metadata={"trace-id": "abc"})
        return json.loads(reply["message"])

    # Sessions

    async def session(self):
        session = await self._client.client(KitchenSession)
        received = {
            "add": [await session.add(Number(value=1)), await session.add(Number(value=2))],
            "count": await session.count(CountRequest(to=2)),
            "add_all": await session.add_all(each([Number(value=10), Number(value=20)])),
            "running": await session.running(each([Number(value=1), Number(value=1)])),
            "afterwards": await session.add(Number(value=0)),
        }
        await session.close()
        return received

    async def session_error(self):
        session = await self._client.client(KitchenSession)
        await session.add(Number(value=1))
        try:
            await session.fail(FailRequest(code=6, message="already there"))
        except RpcError as error:
            return {"code": int(error.code), "message": error.message, "alive": await session.add(Number(value=1))}

    async def sessions_are_apart(self):
        first = await self._client.client(KitchenSession)
        second = await self._client.client(KitchenSession)
        return [await first.add(Number(value=1)), await second.add(Number(value=5)), await first.add(Number(value=1))]

    async def json_session(self):
        session = await self._client.session("KitchenSession")
        received = [await session.add({"value": 1}), await session.add({"value": 2})]
        try:
            await session.fail({"code": 6, "message": "already there"})
        except RpcError as error:
            received.append({"code": int(error.code), "message": error.message})
        received.append(await session.add({"value": 3}))
        await session.close()
        return received

    async def reconnect(self):
        before = await (await self._sink()).say_hello(HelloRequest(name="before"))
        await self._client.reconnect()
        return [before, await (await self._sink()).say_hello(HelloRequest(name="after"))]


NAMES = [name for name in vars(Scenarios) if not name.startswith("_")]


def plain(value):
    """A JSON-able picture of a result; floats JSON lacks become text, integers above 2**53 too."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set):
        return sorted(plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, int) and abs(value) > 2**53:
        return str(value)
    return value


def failure(error, partial=None):
    if isinstance(error, Failed):
        return failure(error.cause, error.partial)
    rpc = isinstance(error, RpcError)
    return {
        "code": int(error.code) if rpc else None,
        "message": error.message if rpc else str(error),
        "details": error.details if rpc else {},
        "type": type(error).__name__,
        "partial": plain(partial or []),
    }


async def run(scenarios, name):
    try:
        result = await asyncio.wait_for(getattr(scenarios, name)(), SCENARIO_TIMEOUT)
        return {"scenario": name, "ok": True, "result": plain(result)}
    except Exception as error:
        return {"scenario": name, "ok": False, "error": failure(error)}


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address", nargs="?")
    parser.add_argument("--scenario", action="append", choices=NAMES)
    parser.add_argument("--identity", type=os.path.abspath)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print(json.dumps(NAMES))
        return
    config = loopback.config(allow_all_consumers=True, allow_all_producers=True)
    try:
        async with AsterClient(config=config, identity=args.identity, address=args.address) as client:
            scenarios = Scenarios(client)
            for name in args.scenario or NAMES:
                print(json.dumps(await run(scenarios, name)), flush=True)
    except Exception as error:
        print(json.dumps({"scenario": "connect", "ok": False, "error": failure(error)}), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
