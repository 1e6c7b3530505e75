"""Serves the kitchen services with the reference until stdin closes or SIGTERM arrives.

Prints one JSON line when listening: address, endpoint_addr_b64, endpoint_id, root_pubkey, services.

    producer.py [--root-pubkey HEX] [--secret-key HEX] [--port PORT] [--events]

Without a root key every consumer is admitted; with one, only holders of a credential signed by it. With --events the
service of ``events.py`` is served instead.
"""

import argparse
import asyncio
import json
import signal
import sys
import warnings

import loopback
from aster import AsterServer
from events import Events
from kitchen_sink import KitchenJson, KitchenSession, KitchenSink
from task_runner import TaskRunner

warnings.simplefilter("ignore")


async def until_stopped() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)

    async def stdin_closed() -> None:
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
        stopped.set()

    watcher = asyncio.create_task(stdin_closed())
    await stopped.wait()
    watcher.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root-pubkey", type=bytes.fromhex)
    parser.add_argument("--secret-key", type=bytes.fromhex)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--events", action="store_true")
    args = parser.parse_args()
    services = [Events()] if args.events else [KitchenSink(), KitchenJson(), KitchenSession, TaskRunner()]
    config = loopback.config(port=args.port, secret_key=args.secret_key)
    open_gate = args.root_pubkey is None
    async with AsterServer(
        services, config=config, root_pubkey=args.root_pubkey, allow_all_consumers=open_gate
    ) as server:
        line = {
            "address": server.address,
            "endpoint_addr_b64": server.endpoint_addr_b64,
            "endpoint_id": server.endpoint_id,
            "root_pubkey": server.root_pubkey.hex() if server.root_pubkey else None,
            "services": [summary.to_json_dict() for summary in server.services],
        }
        print(json.dumps(line), flush=True)
        await until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
