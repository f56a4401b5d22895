"""Clients of a csroute server: `Client` blocks, `AsyncClient` awaits; both have every call of the wire, typed.

    from csroute import Client, Ticket

    with Client("127.0.0.1:7700", caller="gateway-7") as client:
        answer = client.route(Ticket("t1", "chat", attributes={"tier": "vip"}))
        print(answer.state.name, answer.agent or answer.place)

Calls that fail for a passing reason are sent again with the same ids (`Retry`). Streams that break are resumed. What
is refused for good raises a `csroute.errors.RejectedError`.
"""

from csroute.client.aio import AsyncClient, AsyncSession
from csroute.client.batching import Batching
from csroute.client.retry import Retry
from csroute.client.sync import Client, Session
from csroute.client.work import Assignment, Offer, WorkItem

__all__ = ["Assignment", "AsyncClient", "AsyncSession", "Batching", "Client", "Offer", "Retry", "Session", "WorkItem"]
