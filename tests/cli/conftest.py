"""The clients' real server, for the command too."""

from tests.client.conftest import server

__all__ = ["server"]
