"""The demo's own judgement: a lost ticket, a double one, a wrong count are noticed; time is compressed evenly."""

from __future__ import annotations

import io
from typing import Any

import pytest
from google.protobuf.message import Message
from rich.console import Console

from csroute.demo.encode import ACCEPT, COMPLETE, END_WRAP_UP, ticket_id, work_bytes
from csroute.demo.figures import Scrape, quantiles
from csroute.demo.ledger import REFUSED, Tally, compare, reconcile, settle
from csroute.demo.plan import Options, agents_of, compressed, plan_night, plan_throughput
from csroute.demo.screen import Screen
from csroute.presets.double11 import policy
from csroute.types import Stats, TicketState
from csroute.v1 import agent_pb2, policy_pb2, stats_pb2

ACTIVE, CLOSED, WAITING = TicketState.ACTIVE, TicketState.CLOSED, TicketState.WAITING


def bulk(given: list[int], done: list[int]) -> dict[str, tuple[bytearray, bytearray]]:
    return {"g0": (bytearray(given), bytearray(done))}


def stats(**figures: int) -> Stats:
    return Stats.from_wire(stats_pb2.GetStatsReply(**figures))  # type: ignore[arg-type]


def test_a_bulk_ledger_adds_up() -> None:
    tally = reconcile(bulk([5, 4, 2, 2, REFUSED], [1, 1]), {ticket_id("g0", 2): WAITING, ticket_id("g0", 3): ACTIVE})
    assert (tally.submitted, tally.completed, tally.waiting, tally.with_agents, tally.lost) == (4, 2, 1, 1, 0)
    compare(tally, stats(submitted=4, assigned=3, completed=2, waiting=1, active=1))
    assert tally.problems == []


@pytest.mark.parametrize(
    ("given", "done", "words"),
    [([5, 5], [2, 1], "completed twice"), ([5], [1, 1], "never submitted"), ([5], [0, 1], "never submitted")],
)
def test_a_double_or_strange_completion_is_a_problem(given: list[int], done: list[int], words: str) -> None:
    (problem, *_) = reconcile(bulk(given, done), {ticket_id("g0", 0): ACTIVE}).problems
    assert words in problem


def test_a_ticket_that_the_server_does_not_know_is_lost() -> None:
    assert reconcile(bulk([5, 2], [1]), {}).lost == 1
    assert settle({"a": CLOSED, "b": WAITING}, {"submitted": 2, "completed": 1}, {"a": CLOSED}).lost == 1


@pytest.mark.parametrize(
    ("ledger", "told", "words"),
    [
        ({"a": CLOSED}, {"a": WAITING}, "1 tickets are closed here, waiting there"),
        ({"a": CLOSED}, {"a": CLOSED, "b": WAITING}, "1 tickets are unknown here"),
        ({"a": CLOSED, "b": CLOSED}, {"a": CLOSED, "b": CLOSED}, "1 completions were heard of, 2 tickets ended so"),
    ],
)
def test_a_state_that_differs_is_a_problem(
    ledger: dict[str, TicketState], told: dict[str, TicketState], words: str
) -> None:
    assert words in settle(ledger, {"submitted": len(ledger), "completed": 1}, told).problems


def test_an_open_ticket_may_have_gone_on_since() -> None:
    assert settle({"a": WAITING}, {"submitted": 1}, {"a": TicketState.CANCELLED}).problems == []


@pytest.mark.parametrize("name", ["submitted", "assigned", "completed", "cancelled", "overflowed"])
def test_a_count_that_differs_is_a_problem(name: str) -> None:
    tally = Tally()
    compare(tally, stats(**{name: 3}))
    assert tally.problems == [f"{name}: 0 by the clients' ledgers, 3 by the server"]


def durations(message: Message, path: str = "") -> dict[str, Any]:
    """Every duration of a policy, by where it stands."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        at = f"{path}.{field.name}"
        if field.message_type is not None:
            for number, inner in enumerate(value if field.is_repeated else (value,)):
                found |= durations(inner, f"{at}{number}")
        elif field.name.endswith("_ms"):
            found[at] = list(value) if field.is_repeated else [value]
    return found


def test_every_duration_of_the_policy_is_compressed_and_nothing_else() -> None:
    whole = policy_pb2.CompiledPolicy.FromString(policy.compile())
    faster = policy_pb2.CompiledPolicy.FromString(compressed(policy.compile(), 60))
    before, after = durations(whole), durations(faster)
    assert before.keys() == after.keys()
    assert len(before) > 30
    for path, values in before.items():
        factor = 1 if path.endswith("closed_keep_ms") else 60
        assert after[path] == pytest.approx([value / factor for value in values], abs=0.5), path
    assert compressed(policy.compile(), 1) == whole.SerializeToString(deterministic=True)


def test_a_short_demo_plays_less_of_the_night_and_a_long_one_plays_it_slower() -> None:
    for seconds in (0.5, 5, 15, 60):
        plan = plan_night(seconds)
        assert plan.compression <= 60
        assert plan.window_s == pytest.approx(min(900, seconds * 60))
        assert plan.load > 1  # midnight overloads the people present
    assert plan_throughput(Options()).load < 1


def test_the_desktops_share_the_roster() -> None:
    shares = [{agent.id for agent in agents_of(0.05, part, 3)} for part in range(3)]
    assert set.union(*shares) == {agent.id for agent in agents_of(0.05)}
    assert sum(map(len, shares)) == len(agents_of(0.05))


def test_work_bytes_are_the_messages() -> None:
    actions = agent_pb2.WorkRequest.FromString(
        work_bytes([(ACCEPT, "g0-00000001", 1), (COMPLETE, "g0-00000002", 300), (END_WRAP_UP, "x" * 60, 2**31)])
    ).actions
    assert actions[0].accept == agent_pb2.AcceptRequest(ticket="g0-00000001", attempt=1)
    assert actions[1].complete == agent_pb2.CompleteRequest(ticket="g0-00000002", attempt=300)
    assert actions[2].end_wrap_up == agent_pb2.EndWrapUpRequest(ticket="x" * 60, attempt=2**31)


def test_quantiles_are_by_nearest_rank() -> None:
    assert quantiles([float(n) for n in range(1, 1001)]) == {"p50": 500, "p99": 990, "p99_9": 999}
    assert quantiles([]) == {}


def test_a_scrape_tells_samples_by_label() -> None:
    seen = Scrape.read('# HELP x\na{queue="one \\"quoted\\"",tenant="t"} 3\na{queue="two"} 4\nb 5e-3\n')
    assert seen.by("a", "queue") == {'one \\"quoted\\"': 3.0, "two": 4.0}
    assert (seen.value("a", queue="two"), seen.value("b"), seen.value("c")) == (4.0, 0.005, 0.0)


def half(**figures: Any) -> dict[str, Any]:
    latency = {"p50": 1.0, "p99": 2.0, "p99_9": 3.0}
    common = {"offered_load_over_capacity": 3.5, "agents": 279, "occupancy": 0.9, "problems": []}
    return {**common, "decision_latency_us": latency, "end_to_end_latency_us": latency, **figures}


def shown(lost: int, problems: list[str]) -> str:
    tier = {
        "answered": 5,
        "left": 1,
        "left_soon": 1,
        "clocks": {"response": {"met": 1, "missed": 2, "left": 1, "level": 0.25}},
    }
    report = {
        "submitted": 9, "completed": 5, "cancelled": 1, "overflowed": 0, "waiting": 3, "lost": lost,
        "ledgers_agree": not problems,
        "throughput": half(tickets_per_minute=2_000_000, seconds=10.0, batch=256, batch_round_trip_ms={"p99": 4.0},
                           problems=problems),
        "service_level": half(compression=60.0, error_s=0.3, transport_ms={"p99": 5.0},
                              service_level={"overall": 0.4, "by_tier": {"vip": tier}}),
    }  # fmt: skip
    console = Console(file=io.StringIO(), width=200)
    Screen(console).summary(report)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_summary_says_it_all() -> None:
    text = shown(0, [])
    for words in (
        "2,000,000 tickets/min",
        "± 0.30 s of the night",
        "0 lost of 9",
        "ledgers and the server's agree",
        "25.0% of 4",
    ):
        assert words in text


def test_the_summary_names_what_is_wrong() -> None:
    text = shown(2, ["completed: 5 by the clients' ledgers, 6 by the server"])
    assert "2 lost of 9" in text
    assert "ledgers disagree" in text
    assert "throughput: completed: 5 by the clients' ledgers, 6 by the server" in text
