"""The node in process: every command, time, events, snapshots, and what notebooks print."""

from __future__ import annotations

import inspect
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from csroute import _csroute
from csroute.errors import ConfigError, ConflictError, NotFoundError, RejectedError, StateError
from csroute.policy import PolicyError, load, seconds
from csroute.router import Router, policy_bytes
from csroute.types import (
    Accept,
    AgentSpec,
    Assigned,
    Complete,
    Offered,
    Presence,
    Queued,
    Requirement,
    Ticket,
    TicketState,
)

DESK = Path(__file__).parent.parent / "scenarios" / "desk.py"


def bill(id: str, **fields: Any) -> Ticket:
    return Ticket(id, **{"channel": "chat", "attributes": {"kind": "bill"}, **fields})


@pytest.fixture
def router() -> Router:
    router = Router(DESK, clock="virtual")
    router.open_session("desk", lease_ms=3_600_000)
    for result in router.upsert_agents([AgentSpec("ann", {"bill": 3}), AgentSpec("bob", {"bill": 1}, capacity=50)]):
        assert not isinstance(result, RejectedError)
    router.login("desk", "ann")
    return router


def test_every_rpc_has_a_method() -> None:
    snake = {re.sub(r"(?<!^)(?=[A-Z])", "_", path.rsplit("/", 1)[1]).lower() for _, path, _ in _csroute.methods()}
    streams = {"route_stream", "watch", "work"}  # in process: route_batch, events, act
    named = {
        "install_policy": "install",
        "get_stats": "stats",
        "list": "versions",
        "get": "version",
        "activate_scene": "activate_scenes",
        "get_live": "live",
        "canary": "start_canary",
        "get_canary": "canary",
    }
    internal = {name for name in snake if re.match("(watch|work)_|reclassify", name)}
    for name in snake - streams - internal:
        assert inspect.getdoc(getattr(Router, named.get(name, name))), name


def test_a_tickets_life(router: Router) -> None:
    offered = router.route(bill("t", context=b"hi"))
    assert (offered.state, offered.agent, offered.deadlines) == (
        TicketState.OFFERED,
        "ann",
        {"reply": router.now_us + 60_000_000},
    )
    assert router.accept("t", 1, b"from ann").state == TicketState.ACTIVE
    assert router.get_ticket("t").agent_context == b"from ann"
    assert router.pause_clock("t", "reply").replayed is False
    assert router.resume_clock("t", "reply").replayed is False
    assert router.mark("t", 1, "first_reply").state == TicketState.ACTIVE
    assert router.update("t", 1, {"tone": "loud"}).state == TicketState.ACTIVE
    assert router.complete("t", 1, "solved").state == TicketState.WRAPPING
    assert router.end_wrap_up("t", 1).state == TicketState.CLOSED
    assert router.route(bill("t", context=b"hi")).outcome == "solved"


def test_commands_of_the_waiting(router: Router) -> None:
    router.set_presence("desk", "ann", Presence.AWAY, "lunch")
    router.route(bill("t", source="gateway"))
    assert router.suspend("t").state == TicketState.SUSPENDED
    assert router.resume("t").state == TicketState.WAITING
    assert router.move("t", "rare").replayed is False
    assert [position.place for position in router.get_positions(source="gateway")] == [1]
    assert router.assign("t", "ann").state == TicketState.OFFERED
    assert router.decline("t", 1, "no").replayed is False
    assert router.cancel("t", "left").state == TicketState.CANCELLED


def test_agents_come_and_go(router: Router) -> None:
    router.login("desk", "bob", Presence.DRAINING)
    assert [agent.spec.id for agent in router.list_agents([Presence.AVAILABLE])] == ["ann"]
    assert [agent.spec.id for agent in router.list_agents(skill="bill", session="desk")] == ["ann", "bob"]
    assert router.renew_lease("desk").replayed is False
    [no] = router.remove_agents(["nobody"])
    assert isinstance(no, NotFoundError)
    [done] = router.remove_agents(["bob"])
    assert not isinstance(done, RejectedError)
    router.close_session("desk")
    assert router.stats().agents_offline == 1


def test_transfers(router: Router) -> None:
    router.login("desk", "bob")
    router.route(bill("t"))
    router.accept("t", 1)
    router.transfer("t", 1, agent="bob")
    assert router.get_ticket("t").agent == "bob"
    router.accept("t", 2)
    router.transfer("t", 2, requirement=Requirement(({"bill": 3},)))
    assert router.get_ticket("t").agent == "ann"


def test_batches_answer_each_item_by_itself(router: Router) -> None:
    first, again, other = router.route_batch([bill("t"), bill("t"), bill("t", customer="c")])
    assert not isinstance(first, RejectedError)
    assert not isinstance(again, RejectedError)
    assert (first.replayed, again.replayed) == (False, True)
    assert isinstance(other, ConflictError)
    done, stale = router.act([Accept("t", 1), Complete("t", 5)])
    assert not isinstance(done, RejectedError)
    assert isinstance(stale, StateError)
    assert (stale.name, stale.code) == ("STALE", 302)


def test_lists_come_whole_however_long(router: Router) -> None:
    router.route_batch([bill(f"t{number:04}") for number in range(2500)])
    assert [ticket.id for ticket in router.list_tickets()] == [f"t{number:04}" for number in range(2500)]
    assert len(router.list_tickets([TicketState.OFFERED], agent="ann")) == 2
    assert len(router.events()) > 2500


def test_virtual_time_stands_until_it_is_told(router: Router) -> None:
    start_us = router.now_us
    router.route(bill("t"))
    assert start_us < (router.next_due_us or 0) <= start_us + 20_000_000
    assert router.advance(seconds(19)) == 0
    assert router.advance(timedelta(seconds=1)) == 1
    assert router.advance(500) == 0
    assert router.now_us == start_us + 20_500_000
    router.advance(to=start_us + 21_000_000)
    router.advance(to=datetime.fromtimestamp(start_us / 1e6 + 22, UTC))
    assert router.now_us == start_us + 22_000_000
    with pytest.raises(StateError, match="TIME_BACKWARD"):
        router.advance(to=start_us)
    with pytest.raises(ValueError, match="exactly one"):
        router.advance()
    with pytest.raises(ValueError, match="no time zone"):
        router.advance(to=datetime(2030, 1, 1))  # noqa: DTZ001


def test_real_time_runs_by_itself(tmp_path: Path) -> None:
    short = tmp_path / "short.py"
    short.write_text(DESK.read_text().replace("Offer(seconds(20))", "Offer(seconds(0.05))"))
    router = Router(short)
    router.open_session("desk")
    router.upsert_agents([AgentSpec("ann", {"bill": 3})])
    router.login("desk", "ann")
    router.route(bill("t"))
    time.sleep(0.1)
    assert router.get_ticket("t").state == TicketState.WAITING
    with pytest.raises(ValueError, match="by itself"):
        router.advance(seconds(1))


def test_events_since(router: Router) -> None:
    seen = router.events()[-1].sequence
    router.route(bill("t"))
    router.accept("t", 1)
    kinds = [type(event.kind) for event in router.events(seen)]
    assert kinds == [Queued, Offered, Assigned]
    assert router.events(router.events()[-1].sequence) == []


def test_a_snapshot_has_the_same_hash_and_the_same_future(router: Router) -> None:
    router.route_batch([bill(f"t{number}") for number in range(10)])
    other = Router(clock="virtual")
    other.restore(router.snapshot())
    assert (other.state_hash, other.now_us) == (router.state_hash, router.now_us)
    assert other.stats(with_state_hash=True).state_hash == router.state_hash != 0 == router.stats().state_hash
    seen = router.events()[-1].sequence
    for each in (router, other):
        each.accept("t0", 1)
        each.advance(seconds(100))
    assert other.state_hash == router.state_hash
    assert other.events(seen) == router.events(seen)
    with pytest.raises(RejectedError, match="snapshot"):
        other.restore(router.snapshot()[:-9])


def test_coming_back_gives_a_grace(router: Router) -> None:
    router.route(bill("t"))
    router.resume_node(60_000)
    router.advance(seconds(59))
    assert router.get_ticket("t").state == TicketState.OFFERED
    router.advance(seconds(1))
    assert router.get_ticket("t").state == TicketState.WAITING


def test_another_policy(router: Router) -> None:
    router.set_presence("desk", "ann", Presence.AWAY)
    router.route(bill("t"))
    before = router.stats().policy_version
    version = router.install("double11")
    assert version == router.stats().policy_version != before
    assert router.get_ticket("t").policy_version == before


def test_refused_commands_change_nothing(router: Router) -> None:
    router.route(bill("t"))
    before = router.state_hash
    for refused in (
        lambda: router.route(bill("t", customer="other")),
        lambda: router.route(bill("u", channel="telex")),
        lambda: router.complete("t", 9),
        lambda: router.login("nowhere", "ann"),
        lambda: router.install(b"\xff\xff"),
        lambda: router.open_session("", 5),
    ):
        with pytest.raises(RejectedError):
            refused()
    assert router.state_hash == before


def test_drain_takes_no_new_tickets(router: Router) -> None:
    router.route(bill("t"))
    assert router.drain() == 1
    with pytest.raises(RejectedError, match="DRAINING"):
        router.route(bill("u"))
    assert router.accept("t", 1).state == TicketState.ACTIVE
    assert router.drain(on=False) == 1
    router.route(bill("u"))


def test_a_policy_comes_in_four_ways(tmp_path: Path) -> None:
    compiled = load(DESK).compile()
    file = tmp_path / "desk.bin"
    file.write_bytes(compiled)
    assert policy_bytes(DESK) == policy_bytes(str(DESK)) == policy_bytes(load(DESK)) == compiled
    assert policy_bytes(compiled) == policy_bytes(file) == compiled
    assert policy_bytes("double11") != compiled


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("nothing", ConfigError, "no such file, and no such preset"),
        ("nothing.bin", ConfigError, "No such file"),
        ("nothing.py", PolicyError, "there is no such file"),
    ],
)
def test_a_policy_that_cannot_be_read(source: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Router(source)


def test_without_a_policy_nothing_is_routed() -> None:
    router = Router(clock="virtual", start=datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(StateError, match="NO_POLICY"):
        router.route(bill("t"))
    assert repr(router) == "<Router without a policy: 0 waiting, 0 active, 2030-01-01 00:00:00.000+00:00>"


def test_an_explanation_is_prose(router: Router) -> None:
    router.route_batch([bill(f"t{number}", preferred_agent="ann") for number in range(3)])
    why = router.explain("t2")
    assert (why.place, why.able_count, why.not_eligible.channel_limit, why.needs) == (1, 1, 1, ("bill",))
    assert str(why) == why.text != ""
