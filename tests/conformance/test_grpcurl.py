"""What a client that was never told of csroute can do with it: reflection, health, a ticket's life, numbered errors."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Grpcurl

pytestmark = pytest.mark.conformance

ROUTING = "csroute.v1.RoutingService"
AGENTS = "csroute.v1.AgentService"
ADMIN = "csroute.v1.AdminService"
HEALTH = "grpc.health.v1.Health"


def chat(id: str, **fields: Any) -> dict[str, Any]:
    return {"ticket": {"id": id, "channel": "chat", **fields}}


def test_reflection_lists_the_services(grpcurl: Grpcurl) -> None:
    assert {ROUTING, AGENTS, ADMIN, HEALTH} <= set(grpcurl.text("list").split())
    assert f"{ROUTING}.RouteBatch" in grpcurl.text("list", ROUTING).split()


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        (ROUTING, "rpc RouteStream ( stream .csroute.v1.RouteBatchRequest )"),
        (AGENTS, "rpc Work ( stream .csroute.v1.WorkRequest )"),
        (ADMIN, "rpc Drain ( .csroute.v1.DrainRequest )"),
        ("csroute.v1.NewTicket", "int64 not_before_us = 9"),
        ("csroute.v1.RouteResult", ".google.rpc.Status rejection = 2"),
    ],
)
def test_reflection_describes(grpcurl: Grpcurl, symbol: str, says: str) -> None:
    assert says in grpcurl.text("describe", symbol)


@pytest.mark.parametrize("service", ["", ROUTING, AGENTS, ADMIN])
def test_healthy(grpcurl: Grpcurl, service: str) -> None:
    assert grpcurl.call(f"{HEALTH}/Check", {"service": service}).reply() == {"status": "SERVING"}


def test_the_life_of_a_ticket(grpcurl: Grpcurl) -> None:
    waiting = grpcurl.call(f"{ROUTING}/Route", chat("life-1", source="shop", context="aGVsbG8=")).reply()
    assert (waiting["state"], waiting["place"]) == ("TICKET_STATE_WAITING", 1)

    agent = {"id": "ana", "skills": [{"skill": "general", "level": 3}]}
    assert grpcurl.call(f"{AGENTS}/UpsertAgents", {"agents": [agent]}).reply()["results"][0]["reply"]
    grpcurl.call(f"{AGENTS}/OpenSession", {"session": "desk", "leaseMs": 60_000}).reply()
    grpcurl.call(f"{AGENTS}/Login", {"session": "desk", "agent": "ana"}).reply()

    ticket = grpcurl.call(f"{ROUTING}/GetTicket", {"id": "life-1"}).reply()
    assert (ticket["state"], ticket["agent"], ticket["attempt"]) == ("TICKET_STATE_ACTIVE", "ana", 1)
    assert ticket["context"] == "aGVsbG8="
    assert "ana" in grpcurl.call(f"{ROUTING}/Explain", {"ticket": "life-1"}).reply()["text"]

    complete = {"ticket": "life-1", "attempt": 1, "outcome": "solved"}
    assert "replayed" not in grpcurl.call(f"{AGENTS}/Complete", complete).reply()
    assert grpcurl.call(f"{AGENTS}/Complete", complete).reply()["replayed"] is True
    again = grpcurl.call(f"{ROUTING}/Route", chat("life-1", source="shop", context="aGVsbG8=")).reply()
    assert (again["state"], again["replayed"], again["outcome"]) == ("TICKET_STATE_CLOSED", True, "solved")
    grpcurl.call(f"{AGENTS}/CloseSession", {"session": "desk"}).reply()


def test_a_stream_answers_batches_in_order(grpcurl: Grpcurl) -> None:
    batches = [{"tag": tag, "tickets": [chat(f"stream-{tag}-{n}")["ticket"] for n in range(3)]} for tag in (1, 2)]
    answer = grpcurl.call(f"{ROUTING}/RouteStream", *batches)
    assert not answer.status
    assert [(reply["tag"], len(reply["results"])) for reply in answer.replies] == [("1", 3), ("2", 3)]


def test_a_batch_answers_each_item(grpcurl: Grpcurl) -> None:
    tickets = [{"id": "batch-1", "channel": "chat"}, {"id": "batch-2", "channel": "fax"}, {"channel": "chat"}]
    results = grpcurl.call(f"{ROUTING}/RouteBatch", {"tickets": tickets}).reply()["results"]
    assert [next(iter(result)) for result in results] == ["reply", "rejection", "rejection"]
    assert results[1]["rejection"]["details"][0]["reason"] == "CHANNEL_UNKNOWN"


def test_watch_resumes_from_a_sequence(grpcurl: Grpcurl) -> None:
    sequence = int(grpcurl.call(f"{ROUTING}/Route", chat("watch-0")).reply()["sequence"])
    grpcurl.call(f"{ROUTING}/Route", chat("watch-1", source="watched")).reply()
    request = {"sources": ["watched"], "afterSequence": str(sequence)}
    answer = grpcurl.call(f"{ROUTING}/Watch", request, options=("-max-time", "2"))
    events = [event for reply in answer.replies for event in reply.get("events", [])]
    assert {event["ticket"] for event in events} == {"watch-1"}
    assert "queued" in events[0]
    assert int(events[0]["sequence"]) > sequence


BAD = {
    "no id": (f"{ROUTING}/Route", {"ticket": {"channel": "chat"}}, 101, "FIELD_MISSING"),
    "no ticket": (f"{ROUTING}/Route", {}, 101, "FIELD_MISSING"),
    "huge id": (f"{ROUTING}/Route", chat("x" * 129), 102, "FIELD_TOO_LONG"),
    "long wait": (f"{ROUTING}/Route", {**chat("bad-1"), "waitMs": 60_001}, 103, "OUT_OF_RANGE"),
    "sure beyond certain": (
        f"{ROUTING}/Route",
        chat("bad-2", attributes=[{"name": "category", "value": "refund", "confidenceMilli": 1001}]),
        103,
        "OUT_OF_RANGE",
    ),
    "no such tier": (
        f"{ROUTING}/Route",
        chat("bad-3", attributes=[{"name": "tier", "value": "vpi"}]),
        104,
        "UNKNOWN_VALUE",
    ),
    "many skills": (
        f"{ROUTING}/Route",
        chat("bad-4", skills=[{"skill": f"s{n}"} for n in range(10_000)]),
        105,
        "TOO_MANY",
    ),
    "a level out of range": (
        f"{ROUTING}/Route",
        chat("bad-5", skills=[{"skill": "general", "level": 101}]),
        103,
        "OUT_OF_RANGE",
    ),
    "unknown ticket": (f"{ROUTING}/GetTicket", {"id": "nobody"}, 200, "TICKET_UNKNOWN"),
    "unknown channel": (f"{ROUTING}/Route", {"ticket": {"id": "bad-6", "channel": "fax"}}, 205, "CHANNEL_UNKNOWN"),
    "unknown session": (f"{AGENTS}/Login", {"session": "none", "agent": "none"}, 202, "SESSION_UNKNOWN"),
    "unknown presence": (f"{AGENTS}/Login", {"session": "none", "agent": "none", "presence": 99}, 104, "UNKNOWN_VALUE"),
    "stale attempt": (f"{AGENTS}/Complete", {"ticket": "batch-1", "attempt": 9}, 302, "STALE"),
    "same id, other content": (f"{ROUTING}/Route", chat("batch-1", customer="another"), 300, "CONFLICT"),
    "unknown queue": (f"{ADMIN}/Move", {"ticket": "batch-1", "queue": "none"}, 203, "QUEUE_UNKNOWN"),
    "unknown agent": (f"{ADMIN}/Assign", {"ticket": "batch-1", "agent": "none"}, 201, "AGENT_UNKNOWN"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_no_has_a_number(grpcurl: Grpcurl, name: str) -> None:
    method, request, number, reason = BAD[name]
    grpcurl.call(f"{ROUTING}/Route", chat("batch-1"))
    answer = grpcurl.call(method, request)
    assert not answer.replies
    info = answer.detail("ErrorInfo")
    assert (info["reason"], info["domain"], info["metadata"]["code"]) == (reason, "csroute", str(number))
    assert answer.status["message"], "and it says what is wrong"


def test_what_is_no_such_method_is_unimplemented(grpcurl: Grpcurl) -> None:
    assert grpcurl.run(f"{ROUTING}/Teleport").returncode != 0


def test_draining_takes_no_new_tickets(grpcurl: Grpcurl) -> None:
    grpcurl.call(f"{ROUTING}/Route", chat("batch-1"))
    grpcurl.call(f"{ADMIN}/Drain", {"on": True}).reply()
    try:
        answer = grpcurl.call(f"{ROUTING}/Route", chat("drained-1"))
        assert answer.detail("ErrorInfo")["reason"] == "DRAINING"
        retry = answer.detail("RetryInfo")  # a field's name in JSON is the door's descriptors' to say
        assert "2s" in (retry.get("retry_delay"), retry.get("retryDelay"))
        assert grpcurl.call(f"{ROUTING}/Route", chat("batch-1")).reply()["replayed"] is True, "it is no new one"
    finally:
        grpcurl.call(f"{ADMIN}/Drain", {"on": False}).reply()
    grpcurl.call(f"{ROUTING}/Route", chat("drained-1")).reply()
