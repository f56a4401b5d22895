"""A client in Python, from the stubs alone: does what every client of the suite does, prints what it saw.

python client.py ADDRESS PREFIX
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from csroute.v1 import admin_pb2, agent_pb2, event_pb2, ticket_pb2
from csroute.v1.admin_service_pb2_grpc import AdminServiceStub
from csroute.v1.agent_service_pb2_grpc import AgentServiceStub
from csroute.v1.routing_service_pb2_grpc import RoutingServiceStub

WITHIN_S = 20.0


class Client:
    """What each client does, in the same order."""

    def __init__(self, channel: grpc.Channel, prefix: str) -> None:
        self.prefix = prefix
        self.routing: Any = RoutingServiceStub(channel)
        self.agents: Any = AgentServiceStub(channel)
        self.admin: Any = AdminServiceStub(channel)

    def ticket(self, name: str, **more: Any) -> ticket_pb2.NewTicket:
        return ticket_pb2.NewTicket(**{"id": self.prefix + name, "channel": "chat", "source": self.prefix, **more})

    def life(self) -> list[Any]:
        request = ticket_pb2.RouteRequest(ticket=self.ticket("life"))
        waiting = self.routing.Route(request)
        skills = [ticket_pb2.SkillLevel(skill="general", level=3)]
        agent = agent_pb2.AgentSpec(id=f"{self.prefix}ana", skills=skills)
        self.agents.UpsertAgents(agent_pb2.UpsertAgentsRequest(agents=[agent]))
        self.agents.OpenSession(agent_pb2.OpenSessionRequest(session=self.prefix, lease_ms=60_000))
        self.agents.Login(agent_pb2.LoginRequest(session=self.prefix, agent=agent.id))
        taken = self.routing.GetTicket(ticket_pb2.GetTicketRequest(id=f"{self.prefix}life"))
        return [state(waiting), state(taken), taken.agent == agent.id, self.routing.Route(request).replayed]

    def work(self) -> list[Any]:
        complete = agent_pb2.CompleteRequest(ticket=f"{self.prefix}life", attempt=1, outcome="solved")
        stale = agent_pb2.AcceptRequest(ticket=f"{self.prefix}life", attempt=9)
        actions = [agent_pb2.AgentAction(complete=complete, tag=11), agent_pb2.AgentAction(accept=stale, tag=12)]
        said: queue.SimpleQueue[agent_pb2.WorkRequest | None] = queue.SimpleQueue()
        work = self.agents.Work(iter(said.get, None), timeout=WITHIN_S)
        said.put(agent_pb2.WorkRequest(session=self.prefix))
        opening = next(work).opening
        said.put(agent_pb2.WorkRequest(actions=actions))
        results: list[Any] = []
        kinds = set[str]()
        while len(results) < 2 or "closed" not in kinds:
            reply = next(work)
            results += [[result.tag, result.HasField("reply")] for result in reply.results]
            kinds |= {event.WhichOneof("kind") for event in reply.events}
        said.put(None)
        list(work)  # it ends, and well
        return [len(opening.agents), len(opening.work), results, "completed" in kinds, True]

    def batch(self) -> list[Any]:
        tickets = [self.ticket("batch"), self.ticket("fax", channel="fax"), ticket_pb2.NewTicket(channel="chat")]
        reply = self.routing.RouteBatch(ticket_pb2.RouteBatchRequest(tickets=tickets, tag=7))
        return [reply.tag, *(result.HasField("reply") for result in reply.results)]

    def stream(self) -> list[Any]:
        batches = (ticket_pb2.RouteBatchRequest(tickets=[self.ticket(f"stream-{n}")], tag=n) for n in range(20))
        tags = [reply.tag for reply in self.routing.RouteStream(batches, timeout=WITHIN_S)]
        return [len(tags), tags == list(range(20)), True]

    def watch(self) -> list[Any]:
        source = f"{self.prefix}watched"
        watch = self.routing.Watch(event_pb2.WatchRequest(sources=[source]), timeout=WITHIN_S)
        watch.initial_metadata()  # it stands
        self.routing.Route(ticket_pb2.RouteRequest(ticket=self.ticket("watched", source=source)))
        self.routing.Cancel(ticket_pb2.CancelRequest(id=f"{self.prefix}watched", reason="left"))
        kinds: list[str] = []
        while "cancelled" not in kinds:
            kinds += [event.WhichOneof("kind") for event in next(watch).events]
        watch.cancel()
        return kinds

    def refusals(self) -> list[Any]:
        other = (("csroute-tenant", f"{self.prefix}other"), ("csroute-caller", "conformance"))
        batch = ticket_pb2.GetTicketRequest(id=f"{self.prefix}batch")
        complete = agent_pb2.CompleteRequest(ticket=f"{self.prefix}batch", attempt=9)
        seen = [
            refusal(self.routing.Route, ticket_pb2.RouteRequest()),
            refusal(self.routing.GetTicket, ticket_pb2.GetTicketRequest(id="nobody")),
            refusal(self.agents.Complete, complete),
            refusal(self.routing.GetTicket, batch, metadata=other),
        ]
        self.admin.Drain(admin_pb2.DrainRequest(on=True))
        seen.append(refusal(self.routing.Route, ticket_pb2.RouteRequest(ticket=self.ticket("drained"))))
        self.admin.Drain(admin_pb2.DrainRequest(on=False))
        return seen


def state(of: Any) -> str:
    return ticket_pb2.TicketState.Name(of.state).removeprefix("TICKET_STATE_")


def refusal(call: Any, request: Any, **more: Any) -> list[Any]:
    """What a call was refused with: gRPC's code, the reason, its number, the retry hint in ms."""
    try:
        call(request, **more)
    except grpc.RpcError as error:
        failed: Any = error  # it is its call too
        no: Any = rpc_status.from_call(failed)
        seen = [no.code]
        for detail in no.details:
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                seen += [info.reason, info.metadata["code"]]
            elif detail.Unpack(retry):
                seen.append(retry.retry_delay.ToMilliseconds())
        return seen
    return ["not refused"]


def main(address: str, prefix: str) -> None:
    with grpc.insecure_channel(address) as channel:
        client = Client(channel, prefix)
        seen = [client.life(), client.work()]
        client.agents.CloseSession(agent_pb2.CloseSessionRequest(session=prefix))
        seen += [client.batch(), client.stream(), client.watch(), client.refusals()]
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
