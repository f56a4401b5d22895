"""The Python server: grpc.aio in front of the node. Bytes in, bytes out; Python makes no object per ticket.

    from csroute.config import load_config
    from csroute.server import run

    run(load_config("csroute.toml"))        # until SIGTERM or SIGINT; drains

`pump` joins the node's thread and asyncio, `door` has the handlers, `service` the server's life.
"""

from csroute.server.service import Server, run, serve

__all__ = ["Server", "run", "serve"]
