"""Starts the reference's ``aster mcp ADDRESS`` as an agent does, lists its tools and calls one; prints both as JSON.

    mcp_tools.py ADDRESS TOOL JSON PATTERN...

Only tools that a pattern allows are offered: 0.1.2 cannot offer a method whose request has a field without default behind
one that has one.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    address, tool, request, *patterns = sys.argv[1:]
    cli = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cli.py")
    allow = [word for pattern in patterns for word in ("--allow", pattern)]
    command = StdioServerParameters(command=sys.executable, args=["-B", cli, "mcp", address, *allow], env=dict(os.environ))
    with open(os.devnull, "w") as errors:
        async with stdio_client(command, errlog=errors) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            tools = await session.list_tools()
            result = await session.call_tool(tool, json.loads(request))
            out = {
                "tools": [offered.model_dump(exclude_none=True) for offered in tools.tools],
                "result": [item.model_dump(exclude_none=True) for item in result.content],
            }
            print(json.dumps(out))


if __name__ == "__main__":
    asyncio.run(main())
