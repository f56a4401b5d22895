"""Policies that change in the middle of random commands, by PolicyService: the engine's events are the oracle's.

What the service says it installed, its tables and when those of before return, is installed in the oracle in one go;
from there on both agree, an override's end included. A twin from a snapshot comes to the same state.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from csroute.v1 import policy_pb2
from csroute.v1 import version_pb2 as pb
from tests.oracle import OracleRejection
from tests.random_commands import START_US, Command
from tests.random_walk import told
from tests.real_engine import REPLIES
from tests.test_state_machine import EngineBesideOracle

SLICE = 512
REPLIES.update(
    dict.fromkeys(["Apply", "Rollback", "Override"], pb.InstallReply),
    List=pb.ListVersionsReply,
    Get=pb.GetVersionReply,
)


class PoliciesInTheMiddle(EngineBesideOracle):
    """The same two, and operators."""

    @precondition(lambda self: self.oracle.policy is not None)
    @rule(seed=st.integers(0, 1 << 16), reclassify=st.booleans())
    def change(self, seed: int, reclassify: bool) -> None:
        rng = Random(seed)
        now_us = max(self.oracle.now_us, START_US) + rng.choice([0, 1, 1_000_000])
        self.step(Command(now_us, "advance", 1000))
        listed = self.engine.call("List", pb.ListVersionsRequest(), now_us)
        before = self.tables(now_us)
        method, request, later = self.wish(rng, listed, before, now_us)
        request.reclassify = reclassify
        heard, expected = len(self.engine.events), len(self.oracle.events)
        try:
            done = self.engine.call(method, request, now_us)
        except OracleRejection:
            assert len(self.engine.events) == heard, "what is refused does nothing"
            return
        assert done.replayed or done.version.number == listed.current + 1
        if not done.replayed:
            asked = policy_pb2.InstallPolicyRequest(policy=self.tables(now_us), reclassify=reclassify, slice=SLICE)
            for at_us in later:
                asked.later.add(at_us=at_us, policy=before, reclassify=reclassify)
            self.oracle.call("InstallPolicy", asked, now_us)
        events = self.engine.events[heard:]
        assert [told(event) for event in events] == [told(event) for event in self.oracle.events[expected:]]
        for event in events:
            self.audit.hear(event)
        if self.twin:
            self.twin.call(method, request, now_us)
            assert self.twin.state_hash() == self.engine.state_hash(), "I7: the twin's state differs"
            assert self.twin.call("List", pb.ListVersionsRequest(), now_us) == self.engine.call(
                "List", pb.ListVersionsRequest(), now_us
            )
        self.last = None
        self.look()

    def tables(self, now_us: int) -> bytes:
        """Those in force."""
        tables: bytes = self.engine.call("Get", pb.GetVersionRequest(), now_us).policy
        return tables

    def wish(self, rng: Random, listed: Any, before: bytes, now_us: int) -> tuple[str, Any, list[int]]:
        """What is asked, and when the tables of before come back by themselves."""
        kind = rng.randrange(4)
        if kind == 0:
            return "Apply", pb.ApplyRequest(policy=rng.choice(self.policies)), []
        if kind == 1 or (listed.planned and not listed.overrides):
            return "Rollback", pb.RollbackRequest(number=rng.randint(1, listed.current)), []
        if listed.overrides:
            return "Override", pb.OverrideRequest(undo=listed.overrides[0].number), []
        layer = policy_pb2.CompiledPolicy.FromString(before).layers[0].name
        head_start = pb.OverrideChange.HeadStart(rule=layer, head_start_ms=rng.choice([500, 2000]), relative=True)
        duration_ms = rng.choice([1000, 2500, 60_000])
        until_us = -(-(now_us + duration_ms * 1000) // 1000) * 1000
        changes = [pb.OverrideChange(head_start=head_start)]
        return "Override", pb.OverrideRequest(changes=changes, duration_ms=duration_ms), [until_us]


TestPoliciesInTheMiddle = PoliciesInTheMiddle.TestCase
# Most of what it does, test_state_machine.py does too.
TestPoliciesInTheMiddle.settings = settings(max_examples=40)
