"""The same inputs in other people's simulators, and the same commands in another engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ciw
import numpy as np
import pytest

from csroute import Router, _csroute, simulate, types
from csroute.policy import version
from csroute.simulate import Class, Conduct, Exponential, Fixed, LogNormal, Model, Never
from csroute.simulate.arrays import ROW, Records
from csroute.simulate.presets import double11, double11_roster
from csroute.simulate.setup import forgetful, setup_json
from csroute.v1 import event_pb2
from tests.simulate.naive import Ticket, Urgency, play


def recorded(model: Model, seed: int, tickets: int, kinds: int = 1) -> tuple[Model, Records]:
    """The model with its arrivals, patience and work fixed in advance."""
    policy, workload, roster = model
    random = np.random.default_rng(seed)
    rate = workload.curve[0][1]
    at = np.cumsum(random.exponential(1e6 / rate, tickets)).astype(np.int64)
    work = random.exponential(60e6, tickets).astype(np.int64)
    patience = random.exponential(150e6, tickets).astype(np.int64)
    block = simulate.arrivals(at, random.integers(0, kinds, tickets), patience_us=patience, work_us=work)
    fixed = replace(workload, curve=(), recorded=block, length_s=float(at[-1] / 1e6 + 1))
    return (policy, fixed, roster), block


URGENCIES: dict[str, tuple[dict[str, Class], Urgency]] = {
    "first come, first served": (
        {name: Class(0.08, Exponential(60.0), ["all"]) for name in "abc"},
        lambda _, waited: waited,
    ),
    "earliest deadline": (
        {
            name: Class(0.08, Exponential(60.0), ["all"], target_s=20.0 + 40.0 * place)
            for place, name in enumerate("abc")
        },
        lambda ticket, waited: waited - (20.0 + 40.0 * ticket.kind) * 1e6,
    ),
    "ageing": (
        {name: Class(0.08, Exponential(60.0), ["all"], slope=1.0 + place) for place, name in enumerate("abc")},
        lambda ticket, waited: waited * (1.0 + ticket.kind),
    ),
    "ageing with head starts": (
        {
            name: Class(0.08, Exponential(60.0), ["all"], slope=1.0 + place, head_start_s=30.0 * (2 - place))
            for place, name in enumerate("abc")
        },
        lambda ticket, waited: waited * (1.0 + ticket.kind) + 30e6 * (2 - ticket.kind),
    ),
}


@pytest.mark.parametrize("order", URGENCIES)
def test_orders_are_those_of_a_naive_simulator(order: str) -> None:
    classes, urgency = URGENCIES[order]
    model, block = recorded(simulate.network(classes, {"all": 12}), 17, 6_000, kinds=3)
    rows = simulate.run(*model, seed=1).rows
    tickets = [
        Ticket(number, int(row["at_us"]), int(row["kind"]), int(row["patience_us"]), int(row["work_us"]))
        for number, row in enumerate(block)
    ]
    naive = play(tickets, 12, urgency)
    assert len(rows) == len(tickets)
    ours = {int(row["ticket"]): (int(row["wait_us"]), bool(row["answered"])) for row in rows}
    assert ours == naive
    assert 100 < sum(not answered for _, answered in naive.values()) < 3_000


class Replay(ciw.dists.Distribution):  # type: ignore[misc] # without types
    """Gives recorded values in turn."""

    def __init__(self, values: list[float]) -> None:
        self.values = iter(values)

    def sample(self, t: float | None = None, ind: Any = None) -> float:  # noqa: ARG002 (Ciw passes them)
        return next(self.values, float("inf"))


def test_single_skill_waits_are_those_of_ciw() -> None:
    model, block = recorded(simulate.queue(arrivals_per_s=0.15, handle_s=60.0, agents=10), 4, 5_000)
    block["patience_us"] = 10**15
    rows = simulate.run(*model, seed=1).rows
    at, work = block["at_us"] / 1e6, block["work_us"] / 1e6
    network = ciw.create_network(
        arrival_distributions=[Replay(np.diff(at, prepend=0.0).tolist())],
        service_distributions=[Replay(work.tolist())],
        number_of_servers=[10],
    )
    other = ciw.Simulation(network)
    other.simulate_until_max_time(float(at[-1]) + 10_000.0)
    records = sorted(other.get_all_records(), key=lambda record: record.arrival_date)
    assert len(records) == len(rows)
    theirs = np.array([record.waiting_time for record in records])
    # Ciw starts services in order of arrival, and so in ours: each wait is the same but for µs that add up.
    assert np.allclose(rows["wait_us"] / 1e6, theirs, atol=1e-2)
    assert (theirs > 1.0).mean() > 0.3


def test_the_router_gives_the_same_events_for_the_same_commands() -> None:
    """What the simulator told its engine, told to the node that gRPC serves: the same events, the same state."""
    scale = 0.002
    people = double11_roster(scale)
    clumsy = Conduct(answer=Exponential(4.0), decline=0.1, miss=0.1, wrap_up=Fixed(8.0))
    people = replace(
        people, agents=[replace(agent, conduct=clumsy, breaks=[(900.0, 1200.0)]) for agent in people.agents]
    )
    workload = replace(double11(scale), length_s=1800.0)
    policy = forgetful(simulate.policy_bytes("double11"))
    core = _csroute.Simulation(policy, setup_json(workload, people, seed=9, end_s=1800.0, trace=True))
    for block in workload.blocks(9):
        core.feed(block.tobytes())
    core.run(1_800_000_000)
    commands = core.traced()
    start = datetime.fromtimestamp(commands[0][0] / 1e6, UTC)
    router = Router(policy, clock="virtual", start=start)
    agents = {agent.id: agent for agent in people.agents}
    for at_us, verb, name, other, customer, number in commands:
        if at_us > router.now_us:
            router.advance(to=at_us)
        match verb:
            case "upsert":
                spec = types.AgentSpec(
                    name, dict(agents[name].skills), agents[name].capacity, dict(agents[name].channels)
                )
                router.upsert_agents([spec])
            case "open_session":
                router.open_session(name, number)
            case "renew_lease":
                router.renew_lease(name)
            case "login":
                router.login(other, name, types.Presence(number))
            case "set_presence":
                router.set_presence(other, name, types.Presence(number))
            case "submit":
                kind = workload.kinds[number]
                router.route(types.Ticket(name, kind.channel, customer, attributes=dict(kind.attributes)))
            case "cancel":
                router.cancel(name, other)
            case "accept" | "decline" | "end_wrap_up" | "complete":
                getattr(router, verb)(name, number)
            case "mark":
                router.mark(name, number, other)
            case _:
                assert verb == "other", verb  # the policy's install: done at the start
    router.advance(to=commands[0][0] + 1_800_000_000)
    ours = event_pb2.WatchReply.FromString(core.traced_events()).events
    theirs = [event.to_wire() if hasattr(event, "to_wire") else event for event in router.events()]
    assert len(ours) == len(theirs) > 2_000
    assert [types.Event.from_wire(event) for event in ours] == router.events()
    assert router.state_hash == core.state_hash()
    assert {verb for _, verb, *_ in commands} >= {"accept", "decline", "complete", "end_wrap_up", "mark", "cancel"}


def test_the_same_seed_gives_the_same_bytes() -> None:
    def rows(seed: int) -> bytes:
        workload = replace(double11(0.002), length_s=3600.0)
        return simulate.run("double11", workload, double11_roster(0.002), seed=seed).rows.tobytes()

    assert rows(1) == rows(1) != rows(2)


def test_policies_meet_the_same_customers() -> None:
    def rows(**more: Any) -> Records:
        classes = {
            "a": Class(0.1, LogNormal(60.0, 0.8), ["all"], Exponential(100.0), **more),
            "b": Class(0.1, LogNormal(60.0, 0.8), ["all"], Exponential(100.0)),
        }
        found: Records = simulate.run(*simulate.network(classes, {"all": 10}, hours=20.0), seed=6).rows
        return found

    plain, ahead = rows(), rows(head_start_s=60.0)
    assert np.array_equal(plain["arrival_us"], ahead["arrival_us"])
    assert np.array_equal(plain["kind"], ahead["kind"])
    assert not np.array_equal(plain["wait_us"], ahead["wait_us"])
    both = plain["answered"] & ahead["answered"]
    assert np.array_equal(plain["handle_us"][both], ahead["handle_us"][both])
    neither = ~plain["answered"] & ~ahead["answered"]
    assert neither.any()
    assert np.array_equal(plain["wait_us"][neither], ahead["wait_us"][neither])  # their patience


def test_a_record_is_what_the_core_writes() -> None:
    assert ROW.itemsize == 72
    assert Never().mean_s == float("inf")
    assert version(simulate.policy_bytes("double11"))
