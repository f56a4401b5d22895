"""The server that `test_wire.py` measures: the product's own, with one handler more, an echo.

python benches/wire_server.py       # prints its address; ends when stdin does
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop

from csroute.config import load_config
from csroute.logs import configure_logs
from csroute.server import Server


async def _echo(request: bytes, _: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return request


async def _serve() -> None:
    handlers = grpc.method_handlers_generic_handler("bench.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(_echo)})
    server = Server(
        load_config(environ={}, listen="127.0.0.1:0", native_listen="off", metrics_listen="off", policy="double11"),
        handlers=[handlers],
    )
    await server.start()
    print(f"127.0.0.1:{server.port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(grace_s=0)


if __name__ == "__main__":
    configure_logs("error")
    uvloop.run(_serve())
