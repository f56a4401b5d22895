"""The constants that `csroute.journal.plan` reckons with, measured on this machine."""

from __future__ import annotations

import json
import os
import select
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from csroute import _csroute
from csroute.errors import JournalError
from csroute.journal.plan import Measured
from csroute.journal.read import segments
from csroute.policy import Attr, Attributes, Channel, Layer, Otherwise, Policy, Rule, Skill, Skills
from csroute.v1 import agent_pb2, policy_pb2, ticket_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["measure"]

BATCH = 256
TENANT, CALLER, SESSION = "default", "plan", "desk"
NOW_US = 1_000_000
_NUMBERS = {path.rsplit("/", 1)[1]: number for number, path, _ in _csroute.methods()}


class _Facts(Attributes):
    channel: Attr[Literal["chat"]]
    category: Attr[Literal["order", "logistics"]]


class _Skills(Skills):
    order: Skill
    logistics: Skill


class _Who(Layer):
    logistics = Rule(_Facts.category.is_("logistics"), needs=_Skills.logistics)
    order = Otherwise(needs=_Skills.order)


def measure(tickets: int = 100_000) -> Measured:
    """Takes some seconds and some 100 MB for 100,000 tickets."""
    own, crew = _own_bytes(0), max(tickets // 20, 1000)
    before = _resident()
    closed = _core(crew)
    agents = (_resident() - before) / crew
    routes = list(_batches(tickets))
    # A state of waiting tickets: nobody is there.
    waiting = _core(agents=0)
    before = _resident()
    _call_all(waiting, "RouteBatch", routes)
    memory = (_resident() - before) / tickets - own
    image = waiting.snapshot(TENANT)
    began = time.perf_counter()
    _csroute.Core().restore(TENANT, image)
    load_s = time.perf_counter() - began
    # The same tickets, ended.
    completes = list(_completes(tickets))
    before = _resident()
    for route, complete in zip(routes, completes, strict=True):
        _call_all(closed, "RouteBatch", [route])
        _call_all(closed, "Act", [complete])
    ended = (_resident() - before) / tickets - own
    ended_image = closed.snapshot(TENANT)
    journal, replay = _journal(routes, completes, tickets)
    return Measured(
        journal_lifecycle_bytes=journal - own - len(_id(0)),
        waiting_memory_bytes=memory,
        closed_memory_bytes=ended,
        agent_memory_bytes=agents,
        waiting_snapshot_bytes=len(image) / tickets - own,
        closed_snapshot_bytes=len(ended_image) / tickets - own,
        replay_lifecycles_per_s=replay,
        load_tickets_per_s=tickets / load_s,
    )


def _id(number: int) -> str:
    return f"ticket-{number:08}"


def _ticket(number: int) -> ticket_pb2.NewTicket:
    category = ("order", "logistics")[number % 2]
    attributes = [ticket_pb2.Attribute(name="category", value=category)]
    return ticket_pb2.NewTicket(id=_id(number), channel="chat", customer=f"customer-{number:08}", attributes=attributes)


def _own_bytes(number: int) -> int:
    ticket = _ticket(number)
    named = sum(len(one.name) + len(one.value) for one in ticket.attributes)
    return len(ticket.id) + len(ticket.customer) + named


def _batches(tickets: int) -> Iterator[bytes]:
    for first in range(0, tickets, BATCH):
        batch = [_ticket(number) for number in range(first, min(first + BATCH, tickets))]
        yield ticket_pb2.RouteBatchRequest(tickets=batch).SerializeToString()


def _completes(tickets: int) -> Iterator[bytes]:
    for first in range(0, tickets, BATCH):
        names = map(_id, range(first, min(first + BATCH, tickets)))
        actions = [agent_pb2.AgentAction(complete=agent_pb2.CompleteRequest(ticket=name, attempt=1)) for name in names]
        yield agent_pb2.ActRequest(actions=actions).SerializeToString()


def _opening(agents: int) -> Iterator[tuple[str, bytes]]:
    chat = {"chat": Channel(cost=1, limit=100)}
    policy = Policy("plan", attributes=_Facts, skills=_Skills, layers=[_Who], channels=chat)
    install = policy_pb2.InstallPolicyRequest(policy=policy.compile())
    yield "InstallPolicy", install.SerializeToString()
    if not agents:
        return
    yield "OpenSession", agent_pb2.OpenSessionRequest(session=SESSION, lease_ms=3_600_000).SerializeToString()
    skills = [ticket_pb2.SkillLevel(skill=name, level=1) for name in ("order", "logistics")]
    for first in range(0, agents, BATCH):
        names = [f"agent-{number:06}" for number in range(first, min(first + BATCH, agents))]
        specs = [agent_pb2.AgentSpec(id=name, skills=skills) for name in names]
        yield "UpsertAgents", agent_pb2.UpsertAgentsRequest(agents=specs).SerializeToString()
        logins = [agent_pb2.LoginRequest(session=SESSION, agent=name) for name in names]
        actions = [agent_pb2.AgentAction(login=login) for login in logins]
        yield "Act", agent_pb2.ActRequest(actions=actions).SerializeToString()


def _core(agents: int) -> _csroute.Core:
    core = _csroute.Core(ring_events_max=1)
    for method, request in _opening(agents):
        _call_all(core, method, [request])
    return core


def _call_all(core: _csroute.Core, method: str, requests: list[bytes]) -> None:
    for request in requests:
        core.call(_NUMBERS[method], TENANT, CALLER, request, NOW_US)


def _journal(routes: list[bytes], completes: list[bytes], tickets: int) -> tuple[float, float]:
    """Bytes of journal a lifecycle, and lifecycles replayed a second."""
    with tempfile.TemporaryDirectory() as folder:
        node = _csroute.Node(
            data_dir=folder, durability="none", snapshot_every_s=0, snapshot_bytes=0, snapshot_at_stop=False
        )
        while json.loads(node.state())["stage"] == "recovering":
            time.sleep(0.001)
        for method, request in _opening(agents=1000):
            _ask(node, method, request)
        before = _written(folder)
        for route, complete in zip(routes, completes, strict=True):
            _ask(node, "RouteBatch", route)
            _ask(node, "Act", complete)
        node.stop()
        each = (_written(folder) - before) / tickets
        began, source, ended = time.perf_counter(), _csroute.Replay(folder), False
        while not ended:
            *_, ended, _heard = source.step(1 << 24)
        return each, tickets / (time.perf_counter() - began)


def _ask(node: _csroute.Node, method: str, request: bytes) -> None:
    node.submit(_NUMBERS[method], TENANT, CALLER, request, 0, 0)
    while not (answers := node.completions()):
        select.select([node.fileno()], [], [], 10)
    for _, code, reply in answers:
        if code:
            raise JournalError(f"measuring: the node said no to {method}: {reply!r}")


def _written(folder: str) -> int:
    return sum((Path(folder) / segment.name).stat().st_size for segment in segments(folder))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
