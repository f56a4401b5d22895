"""The engine beside the oracle, under Hypothesis: the same commands, the same answers and events (DESIGN.md §6).

After every command: the answer and every event are equal (I5 and most else), and the audit of the events holds (I1, I6,
I9). Now and then: the views agree with the events (I1), no match passes an agent's units (I2), nothing is eligible in a
settled state (I4, by the engine's own explanation), a snapshot goes on as a twin with equal events and hash (I7), which
cuts `advance` up differently, and a repeated command changes nothing (I8). Policies are installed in mid-stream (I10).
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from csroute.v1 import agent_pb2, event_pb2, explain_pb2, policy_pb2, ticket_pb2
from tests.audit import Audit
from tests.oracle import Oracle
from tests.random_commands import CROWD, START_US, Command, Draw, random_command
from tests.random_walk import answers_of, compare, random_policies, walk
from tests.real_engine import RealEngine
from tests.sample_policies import SAMPLES

# Not to be repeated for nothing: a batch may say different things of one name, an install raises its event again, and
# a step may have moved a ticket on from where a supervisor moved it to.
ONCE = {"RouteBatch", "UpsertAgents", "RemoveAgents", "Act", "InstallPolicy", "Move", "Reclassify", "advance", "resume"}
WAITING = ticket_pb2.TICKET_STATE_WAITING


class EngineBesideOracle(RuleBasedStateMachine):
    """Drives both, and sometimes a twin of the engine."""

    def __init__(self) -> None:
        super().__init__()
        self.oracle, self.engine, self.audit = Oracle(), RealEngine(), Audit()
        self.twin: RealEngine | None = None
        self.last: Command | None = None
        self.policies: list[bytes] = []

    @initialize(picked=st.sets(st.integers(0, len(SAMPLES) - 1), min_size=1), seed=st.integers(0, 1 << 16))
    def begin(self, picked: set[int], seed: int) -> None:
        samples = [SAMPLES[index].SerializeToString(deterministic=True) for index in sorted(picked)]
        self.policies = [*samples, *random_policies(seed, 1)]
        request = policy_pb2.InstallPolicyRequest(policy=self.policies[0])
        self.step(Command(START_US, "InstallPolicy", request))

    def step(self, command: Command) -> list[str]:
        """Does it everywhere; all must say the same."""
        heard = len(self.oracle.events)
        expected = answers_of(self.oracle, command)
        assert answers_of(self.engine, command) == expected, f"the engine differs from the oracle at: {command}"
        for event in self.engine.events[heard:]:
            self.audit.hear(event)
        if self.twin:
            cut_up = Command(command.at_us, command.method, 1) if command.method == "advance" else command
            assert answers_of(self.twin, cut_up) == expected, f"I7: the restored twin differs at: {command}"
            assert self.twin.state_hash() == self.engine.state_hash(), f"I7: the twin's state differs after: {command}"
        self.last = command
        return expected

    @rule(rng=st.randoms(use_true_random=False))
    def command(self, rng: Random) -> None:
        self.step(random_command(Draw(rng, self.oracle), self.policies))

    @rule(rng=st.randoms(use_true_random=False))
    def several(self, rng: Random) -> None:
        for _ in range(5):
            self.step(random_command(Draw(rng, self.oracle), self.policies))

    @rule(seed=st.integers(0, 1 << 16), reclassify=st.booleans())
    def install(self, seed: int, reclassify: bool) -> None:
        policy = self.policies[seed % len(self.policies)]
        request = policy_pb2.InstallPolicyRequest(policy=policy, reclassify=reclassify, slice=seed % 4)
        self.step(Command(max(self.oracle.now_us, START_US), "InstallPolicy", request))
        self.look()

    @precondition(lambda self: self.last is not None and self.last.method not in ONCE)
    @rule()
    def again(self) -> None:
        assert self.last is not None
        again = self.last
        # Timers that came up with it at its own time are none of its repetition's doing.
        self.step(Command(again.at_us, "advance", 1000))
        before = self.engine.state_hash(), len(self.engine.events)
        answers_of(self.engine, again)
        assert (self.engine.state_hash(), len(self.engine.events)) == before, f"I8: {again}"

    @rule()
    def restart(self) -> None:
        self.twin = RealEngine(self.engine.snapshot(), events=self.engine.events)
        assert self.twin.state_hash() == self.engine.state_hash(), "I7: restored to another state"

    @rule()
    def look(self) -> None:
        now_us = max(self.oracle.now_us, START_US)
        before = self.engine.state_hash()
        tickets = self.engine.call("ListTickets", ticket_pb2.ListTicketsRequest(page_size=1000), now_us).tickets
        agents = self.engine.call("ListAgents", agent_pb2.ListAgentsRequest(page_size=1000), now_us).agents
        self.audit.look([each for each in tickets if each.state < ticket_pb2.TICKET_STATE_CLOSED], agents)
        for ticket in tickets:
            known = self.oracle.tickets[ticket.id]
            assert (ticket.queue, ticket.ticket_sequence) == (known.ticket_class.queue, known.sequence)
            assert ticket.step == max((index + 1 for index in known.taken), default=0)
            if ticket.state == WAITING:
                self.explains(ticket, now_us)
        for agent in agents:
            known_agent = self.oracle.agents[agent.spec.id]
            assert (agent.presence, agent.used) == (known_agent.presence, self.oracle.used(known_agent))
            assert (agent.idle_since_us, agent.agent_sequence) == (known_agent.idle_since_us, known_agent.sequence)
        assert self.engine.state_hash() == before, "reading changes nothing"

    def explains(self, ticket: ticket_pb2.Ticket, now_us: int) -> None:
        explained = self.engine.call("Explain", explain_pb2.ExplainRequest(ticket=ticket.id), now_us)
        assert explained.eligible_count == 0, f"I4: {explained.eligible_count} eligible agents beside {ticket.id}"
        no = explained.not_eligible
        reasons = [getattr(no, field.name) for field in no.DESCRIPTOR.fields]
        logged_in = sum(agent.logged_in for agent in self.oracle.agents.values())
        assert sum(reasons) == logged_in, f"each agent logged in is not eligible for one reason: {no}"


TestEngineBesideOracle = EngineBesideOracle.TestCase


@pytest.mark.parametrize("seed", range(20))
def test_random_walk(seed: int) -> None:
    """The same without Hypothesis; a failure is told best by `python tests/random_walk.py --seed N`."""
    difference = compare(walk(seed, 300, random_policies(seed, 3)), RealEngine)
    assert difference is None, f"python tests/random_walk.py --seed {seed} --commands 300\n{difference}"


@pytest.mark.parametrize("seed", range(4))
def test_random_walk_in_a_crowd(seed: int) -> None:
    """Long lines, many agents to choose from."""
    difference = compare(walk(seed, 400, random_policies(seed, 1), 1, CROWD), RealEngine)
    assert difference is None, f"python tests/random_walk.py --crowd --policies 1 --seed {seed}\n{difference}"


@pytest.mark.parametrize("timers_max", [1, 2, 7])
def test_advance_cut_up_differently(timers_max: int) -> None:
    """I7: one long night, advanced at once and in pieces."""
    commands = walk(3, 300, [SAMPLES[0].SerializeToString(), SAMPLES[3].SerializeToString()])
    whole, pieces = RealEngine(), RealEngine()
    end_us = commands[-1].at_us + 3_600_000_000
    for command in commands:
        assert answers_of(whole, command) == answers_of(pieces, command)
    assert whole.advance(end_us, 1 << 20)[1]
    while not pieces.advance(end_us, timers_max)[1]:
        pass
    assert whole.events == pieces.events
    assert whole.state_hash() == pieces.state_hash()


def test_the_audit_hears_what_cannot_be() -> None:
    """The audit is no rubber stamp: without the arrival, nothing that a ticket does afterwards can be."""
    oracle = Oracle()
    for command in walk(5, 200, [SAMPLES[0].SerializeToString()]):
        answers_of(oracle, command)
    arrivals = [event for event in oracle.events if event.queued.cause == event_pb2.QUEUE_CAUSE_ARRIVED]
    assert len(arrivals) > 3
    for missing in arrivals[:-3]:
        with pytest.raises(AssertionError):
            hear(event for event in oracle.events if event is not missing)


def hear(events: Iterable[event_pb2.Event]) -> None:
    """Numbers the events anew, so that only what they tell is wrong."""
    audit = Audit()
    for sequence, event in enumerate(events, start=1):
        told = event_pb2.Event()
        told.CopyFrom(event)
        told.sequence = sequence
        audit.hear(told)
