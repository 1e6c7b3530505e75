"""What the reference's health server answers, for a server that runs and for one that was never started.

Prints one JSON line: for "running" and "stopped" a map of paths to status, content type and text.
"""

import asyncio
import http.client
import json
import socket
import warnings

import loopback
from aster import AsterServer
from aster.health import HealthServer
from aster.interceptors import MetricsInterceptor
from task_runner import TaskRunner

warnings.simplefilter("ignore")

PATHS = ["/healthz", "/readyz", "/metrics", "/metrics/prometheus", "/nowhere"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port: int, path: str) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    return {"status": response.status, "type": response.getheader("content-type"), "text": response.read().decode()}


async def answers(server: AsterServer) -> dict:
    port = free_port()
    health = HealthServer(server, port=port)
    await health.start()
    try:
        return {path: await asyncio.to_thread(get, port, path) for path in PATHS}
    finally:
        await health.stop()


async def main() -> None:
    interceptors = [MetricsInterceptor()]
    stopped = await answers(AsterServer([TaskRunner()], config=loopback.config(), allow_all_consumers=True))
    async with AsterServer(
        [TaskRunner()], config=loopback.config(), allow_all_consumers=True, interceptors=interceptors
    ) as server:
        running = await answers(server)
    print(json.dumps({"running": running, "stopped": stopped}))


if __name__ == "__main__":
    asyncio.run(main())
