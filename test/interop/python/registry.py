"""The reference's registry client at a document that others share.

Usage: registry.py ADDRESS DOCUMENT SERVICE VERSION

Prints one JSON line: the lease that the client resolves, with all that it has read.
"""

import asyncio
import dataclasses
import json
import sys

import loopback
from aster import AsterClient, IrohError, docs_client
from aster.registry.client import RegistryClient
from aster.runtime import _coerce_node_addr


async def main(address: str, document: str, service: str, version: int) -> None:
    # A consumer, as the reference's tools are: its node knows the address of whom it was admitted by.
    async with AsterClient(config=loopback.config(), address=address) as consumer:
        node = consumer._node
        host = _coerce_node_addr(address).endpoint_id
        joined, _ = await docs_client(node).join_and_subscribe_namespace(document, host)
        client = RegistryClient(joined)
        while True:
            try:
                lease = await client.resolve(service, version=version)
                break
            except (LookupError, IrohError):  # Entries come before their contents.
                await asyncio.sleep(0.1)
        print(json.dumps(dataclasses.asdict(lease)), flush=True)


asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
