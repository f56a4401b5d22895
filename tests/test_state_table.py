"""DESIGN.md §5, cell by cell, and its paragraphs one transcript each: on the oracle, and on the engine.

A transcript says who does what, and which events that raises; `desk.at` is the time in seconds.
"""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format

from csroute.v1 import admin_pb2, agent_pb2, policy_pb2, ticket_pb2
from tests.oracle import Oracle, OracleRejection

START_US = 1_700_000_000_000_000
SECOND_US = 1_000_000

# "bill" has agents; "rare" has none: its tickets wait, and overflow after 100 s.
POLICY = """
format: 1 name: "table"
attributes { name: "kind" values: ["bill", "rare", "odd"] required: true }
channels { name: "chat" cost: 1 limit: 3 }
clocks { name: "reply" starts: "arrival" stops: "first_reply" }
clocks { name: "pay" starts: "asked" stops: "paid" }
layers {
  name: "who"
  rules { name: "bill" when { test { attribute: "kind" op: OP_IN values: "bill" } } effects {
    needs { groups { any_of { skill: "bill" level: 1 } } }
    offer { ttl_ms: 10000 } wrap_up_ms: 5000
    affinity { hold_ms: 0 transfer_hold_ms: 7000 }
  } }
  rules { name: "odd" when { test { attribute: "kind" op: OP_IN values: "odd" } } effects {
    needs { groups { any_of { skill: "rare" level: 1 } } }
    offer { ttl_ms: 10000 } wrap_up_ms: 5000
  } }
  rules { name: "rare" effects {
    needs { groups { any_of { skill: "rare" level: 1 } } }
    offer { ttl_ms: 10000 } wrap_up_ms: 5000
    steps { age_ms: 100000 overflow_to: "partner" }
  } }
}
defaults {
  clocks { clock: "reply" mode: MODE_WITHIN target_ms: 60000 warnings_ms: 30000 }
  clocks { clock: "pay" mode: MODE_WITHIN target_ms: 60000 }
}
limits { closed_keep_ms: 1000000 }
lost_grace_ms: 20000 suspend_ms: 50000
"""


def compiled(text: str) -> bytes:
    return text_format.Parse(text, policy_pb2.CompiledPolicy()).SerializeToString(deterministic=True)


class Desk:
    """Short words for commands; each gives back what came of it: event kinds, or `replay`, or the code."""

    def __init__(self, router: Any, policy: str = POLICY) -> None:
        self.router, self.at = router, 0.0
        self.reply: Any = None
        self.do_install(compiled(policy), reclassify=False)
        self.do("OpenSession", agent_pb2.OpenSessionRequest(session="desk", lease_ms=3_600_000))
        # bob could take what ann cannot, but is away: so nothing has been declined by all.
        self.agent("bob", presence=agent_pb2.PRESENCE_AWAY)
        self.agent("ann")

    @property
    def now_us(self) -> int:
        return START_US + round(self.at * SECOND_US)

    def do(self, method: str, request: Any) -> str:
        before = len(self.router.events)
        try:
            self.reply = self.router.call(method, request, self.now_us)
        except OracleRejection as rejection:
            assert len(self.router.events) == before, "a rejection raises no event"
            return rejection.code
        kinds = " ".join(self.kinds(before))
        return kinds or ("replay" if self.reply.replayed else "nothing")

    def do_install(self, policy: bytes, *, reclassify: bool) -> str:
        before = len(self.router.events)
        request = policy_pb2.InstallPolicyRequest(policy=policy, reclassify=reclassify)
        self.reply = self.router.call("InstallPolicy", request, self.now_us)
        return " ".join(self.kinds(before))

    def kinds(self, since: int = 0) -> list[str]:
        return [event.WhichOneof("kind") for event in self.router.events[since:]]

    def to(self, seconds: float) -> str:
        """Lets time pass until then."""
        before, self.at = len(self.router.events), seconds
        while not self.router.advance(self.now_us, 1)[1]:
            pass
        return " ".join(self.kinds(before)) or "nothing"

    def agent(self, id: str, skill: str = "bill", presence: Any = agent_pb2.PRESENCE_AVAILABLE) -> None:
        spec = agent_pb2.AgentSpec(id=id, capacity=2, skills=[ticket_pb2.SkillLevel(skill=skill, level=1)])
        before = len(self.router.events)
        self.router.call("UpsertAgents", agent_pb2.UpsertAgentsRequest(agents=[spec]), self.now_us)
        self.login(id, presence)
        assert self.kinds(before)[:2] == ["agent_upserted", "presence_changed"]

    def login(self, id: str, presence: Any = agent_pb2.PRESENCE_AVAILABLE, session: str = "desk") -> str:
        return self.do("Login", agent_pb2.LoginRequest(session=session, agent=id, presence=presence))

    def presence(self, id: str, presence: Any, session: str = "desk") -> str:
        return self.do("SetPresence", agent_pb2.SetPresenceRequest(session=session, agent=id, presence=presence))

    def submit(self, kind: str = "bill", ahead: float = 0, **fields: Any) -> str:
        attributes = [ticket_pb2.Attribute(name="kind", value=kind)]
        ticket = ticket_pb2.NewTicket(**{"id": "t", "channel": "chat", "attributes": attributes, **fields})
        ticket.not_before_us = START_US + round(ahead * SECOND_US) if ahead else 0
        return self.do("Route", ticket_pb2.RouteRequest(ticket=ticket))

    def verb(self, name: str, attempt: int = 1, **fields: Any) -> str:
        request = {
            "Accept": agent_pb2.AcceptRequest,
            "Decline": agent_pb2.DeclineRequest,
            "Complete": agent_pb2.CompleteRequest,
            "Transfer": agent_pb2.TransferRequest,
            "Mark": agent_pb2.MarkRequest,
            "EndWrapUp": agent_pb2.EndWrapUpRequest,
        }[name]
        return self.do(name, request(ticket="t", attempt=attempt, **fields))

    def put(self, state: str) -> None:
        """A ticket t in this state, nothing else being due soon."""
        if state in ("offered", "active", "wrapping", "closed"):
            assert self.submit("bill") == "queued offered"
        if state in ("active", "wrapping", "closed"):
            assert self.verb("Accept") == "assigned"
        if state in ("wrapping", "closed"):
            assert self.verb("Complete") == "completed"
        if state == "closed":
            assert self.verb("EndWrapUp") == "closed"
        if state in ("waiting", "suspended", "cancelled", "overflowed"):
            assert self.submit("rare") == "queued"
        if state == "scheduled":
            assert self.submit("rare", ahead=40) == "scheduled"
        if state == "suspended":
            assert self.do("Suspend", ticket_pb2.SuspendRequest(id="t")) == "suspended"
        if state == "cancelled":
            assert self.do("Cancel", ticket_pb2.CancelRequest(id="t", reason="left")) == "cancelled"
        if state == "overflowed":
            assert self.to(100) == "clock_warned clock_breached step_taken overflowed"


@pytest.fixture(params=["oracle", "engine"])
def router(request: pytest.FixtureRequest) -> Any:
    if request.param == "oracle":
        return Oracle()
    from tests.real_engine import RealEngine

    return RealEngine()


@pytest.fixture
def desk(router: Any) -> Desk:
    return Desk(router)


STATES = [
    "scheduled",
    "waiting",
    "suspended",
    "offered",
    "active",
    "wrapping",
    "closed",
    "cancelled",
    "overflowed",
    "unknown",
]
WRONG, GONE = "WRONG_STATE", "TICKET_UNKNOWN"
AGAIN = dict.fromkeys(STATES[:-1], "replay")
OPEN_ENDS = dict.fromkeys(["closed", "cancelled", "overflowed"], WRONG)
# A verb on a ticket without an attempt is STALE; with one, in the wrong state, it is WRONG_STATE unless answered.
NO_ATTEMPT = dict.fromkeys(["scheduled", "waiting", "suspended", "cancelled", "overflowed"], "STALE")
VERB = {**NO_ATTEMPT, **dict.fromkeys(["offered", "active", "wrapping", "closed"], WRONG), "unknown": GONE}
ALL_WRONG = {**dict.fromkeys(STATES, WRONG), "unknown": GONE}
TABLE: dict[str, dict[str, str]] = {
    "submit other": {**dict.fromkeys(STATES[:-1], "CONFLICT"), "unknown": "queued"},
    "update": {
        "scheduled": "updated classified", "waiting": "updated classified", "suspended": "updated classified",
        "offered": "updated", "active": "updated", "wrapping": WRONG, **OPEN_ENDS, "unknown": GONE,
    },
    "cancel": {
        **AGAIN, **dict.fromkeys(["scheduled", "waiting", "suspended", "offered"], "cancelled"),
        "active": "completed", "unknown": GONE,
    },
    "suspend": {**ALL_WRONG, "waiting": "suspended", "suspended": "replay"},
    "resume": {**ALL_WRONG, "waiting": "replay", "suspended": "resumed"},
    "accept": {**VERB, "offered": "assigned", "active": "replay", "wrapping": "replay", "closed": "replay"},
    "decline": {**VERB, "offered": "queued"},
    "complete": {**VERB, "active": "completed", "wrapping": "replay", "closed": "replay"},
    "transfer": {**VERB, "active": "transferred queued"},
    "mark": {**VERB, "active": "marked clock_stopped"},
    "end_wrap_up": {**VERB, "wrapping": "closed", "closed": "replay"},
    "pause_clock": {
        **dict.fromkeys(["waiting", "suspended", "offered", "active"], "clock_paused"),
        "scheduled": "replay", "wrapping": "replay", **OPEN_ENDS, "unknown": GONE,
    },
    "resume_clock": {
        **dict.fromkeys(["scheduled", "waiting", "suspended", "offered", "active", "wrapping"], "replay"),
        **OPEN_ENDS, "unknown": GONE,
    },
    "assign": {**ALL_WRONG, "waiting": "offered"},
    "move": {**ALL_WRONG, **dict.fromkeys(["scheduled", "waiting", "suspended"], "classified")},
}  # fmt: skip
COMMANDS: dict[str, Any] = {
    "submit other": lambda desk: desk.submit("rare", customer="another"),
    "update": lambda desk: desk.do("Update", ticket_pb2.UpdateRequest(
        id="t", revision=1, attributes=[ticket_pb2.Attribute(name="kind", value="odd")])),
    "cancel": lambda desk: desk.do("Cancel", ticket_pb2.CancelRequest(id="t")),
    "suspend": lambda desk: desk.do("Suspend", ticket_pb2.SuspendRequest(id="t")),
    "resume": lambda desk: desk.do("Resume", ticket_pb2.ResumeRequest(id="t")),
    "accept": lambda desk: desk.verb("Accept"),
    "decline": lambda desk: desk.verb("Decline"),
    "complete": lambda desk: desk.verb("Complete"),
    "transfer": lambda desk: desk.verb("Transfer", agent="bob"),
    "mark": lambda desk: desk.verb("Mark", moment="first_reply"),
    "end_wrap_up": lambda desk: desk.verb("EndWrapUp"),
    "pause_clock": lambda desk: desk.do("PauseClock", agent_pb2.PauseClockRequest(ticket="t", clock="reply")),
    "resume_clock": lambda desk: desk.do("ResumeClock", agent_pb2.ResumeClockRequest(ticket="t", clock="reply")),
    "assign": lambda desk: desk.do("Assign", admin_pb2.AssignRequest(ticket="t", agent="bob")),
    "move": lambda desk: desk.do("Move", admin_pb2.MoveRequest(ticket="t", queue="odd")),
}  # fmt: skip


@pytest.mark.parametrize(("command", "state"), [(command, state) for command in TABLE for state in STATES])
def test_cell(desk: Desk, command: str, state: str) -> None:
    desk.put(state)
    assert COMMANDS[command](desk) == TABLE[command][state]


@pytest.mark.parametrize("state", STATES)
def test_submitting_the_same_again_is_a_replay(desk: Desk, state: str) -> None:
    desk.put(state)
    kind = "bill" if state in ("offered", "active", "wrapping", "closed") else "rare"
    again = desk.submit(kind, ahead=40 if state == "scheduled" else 0)
    assert again == ("queued" if state == "unknown" else "replay")


@pytest.mark.parametrize("state", ["scheduled", "waiting", "suspended", "offered", "active"])
def test_an_old_revision_is_a_replay(desk: Desk, state: str) -> None:
    desk.put(state)
    COMMANDS["update"](desk)
    assert COMMANDS["update"](desk) == "replay"


@pytest.mark.parametrize(
    ("state", "seconds", "kinds"),
    [
        ("scheduled", 40, "queued"),
        ("suspended", 50, "clock_warned cancelled"),
        ("offered", 10, "queued"),
        ("wrapping", 5, "closed"),
        ("waiting", 100, "clock_warned clock_breached step_taken overflowed"),
        ("active", 60, "clock_warned clock_breached"),
    ],
)
def test_timer(desk: Desk, state: str, seconds: float, kinds: str) -> None:
    desk.put(state)
    early = desk.to(seconds - 0.001)
    last = desk.to(seconds)
    assert early in kinds.removesuffix(last) or early == "nothing"
    assert f"{early} {last}".removeprefix("nothing ") == kinds
    assert last == kinds.rsplit(maxsplit=1)[-1] or state == "waiting"


def test_a_verb_names_the_newest_attempt(desk: Desk) -> None:
    desk.put("offered")
    assert desk.verb("Accept", attempt=2) == "STALE"
    assert desk.verb("Decline") == "queued"
    assert desk.verb("Decline") == "replay"
    assert desk.verb("Accept") == "WRONG_STATE"
    assert desk.presence("bob", agent_pb2.PRESENCE_AVAILABLE) == "presence_changed offered"
    assert desk.verb("Decline") == "STALE"
    assert desk.verb("Accept", attempt=2) == "assigned"


def test_when_all_have_declined_they_are_asked_again(desk: Desk) -> None:
    desk.put("offered")
    desk.presence("bob", agent_pb2.PRESENCE_OFFLINE)
    assert desk.verb("Decline") == "queued all_declined offered"


def test_a_decline_ends_by_itself(desk: Desk) -> None:
    desk.put("offered")
    desk.verb("Decline")
    assert desk.to(59.9) == "clock_warned"
    assert desk.to(60) == "exclusion_ended offered clock_breached"


def test_a_transfer_to_an_agent_waits_for_that_agent_then_for_everyone(desk: Desk) -> None:
    desk.put("active")
    desk.presence("bob", agent_pb2.PRESENCE_AVAILABLE)
    for name in ("u", "v"):
        desk.do("Route", ticket_pb2.RouteRequest(ticket=ticket_pb2.NewTicket(
            id=name, channel="chat", attributes=[ticket_pb2.Attribute(name="kind", value="bill")],
            excluded_agents=["ann"])))  # fmt: skip
    desk.agent("cat")
    assert desk.verb("Transfer", agent="bob") == "transferred queued"
    assert desk.to(6.999) == "nothing"
    assert desk.to(7) == "hold_ended offered"
    assert desk.router.events[-1].agent == "cat"


def test_an_agent_who_leaves_gives_offers_back_and_after_a_grace_the_rest(desk: Desk) -> None:
    desk.put("active")
    assert desk.presence("ann", agent_pb2.PRESENCE_OFFLINE) == "presence_changed"
    assert desk.to(19.999) == "nothing"
    assert desk.to(20) == "queued"
    assert desk.verb("Complete") == "WRONG_STATE"


def test_an_agent_who_is_back_in_time_keeps_the_work(desk: Desk) -> None:
    desk.put("active")
    desk.presence("ann", agent_pb2.PRESENCE_OFFLINE)
    desk.at = 19
    desk.do("OpenSession", agent_pb2.OpenSessionRequest(session="other"))
    assert desk.login("ann", session="other") == "presence_changed"
    assert desk.to(25) == "nothing"
    assert desk.verb("Complete") == "completed"


def test_the_newest_session_has_the_agent(desk: Desk) -> None:
    desk.do("OpenSession", agent_pb2.OpenSessionRequest(session="other", lease_ms=5000))
    assert desk.login("ann", session="other") == "agent_superseded"
    assert desk.login("ann") == "SUPERSEDED"
    assert desk.presence("ann", agent_pb2.PRESENCE_AWAY) == "SUPERSEDED"
    assert desk.to(5) == "session_ended presence_changed"
    assert desk.router.events[-1].presence_changed.cause == 2
    assert desk.login("ann") == "presence_changed"


def test_a_lease_is_renewed_never_shortened(desk: Desk) -> None:
    desk.do("OpenSession", agent_pb2.OpenSessionRequest(session="other", lease_ms=5000))
    desk.at = 1
    assert desk.do("OpenSession", agent_pb2.OpenSessionRequest(session="other", lease_ms=1000)) == "replay"
    assert desk.to(4.999) == "nothing"
    assert desk.to(5) == "session_ended"


def test_coming_back_ends_no_offer_before_the_grace(desk: Desk) -> None:
    desk.put("offered")
    desk.router.resume(START_US + 30 * SECOND_US, 4000)
    assert desk.kinds()[-2:] == ["clock_warned", "node_resumed"]
    assert desk.to(33.999) == "nothing"
    assert desk.to(34) == "queued"


def test_time_never_goes_back(desk: Desk) -> None:
    desk.to(5)
    desk.at = 4.999999
    assert desk.submit() == "TIME_BACKWARD"


def test_an_ended_ticket_is_forgotten_after_a_while(desk: Desk) -> None:
    desk.put("cancelled")
    assert desk.to(999.999) == "nothing"
    assert desk.submit("rare", customer="another") == "CONFLICT"
    desk.to(1000)
    assert desk.submit("rare", customer="another") == "queued"


def test_a_clock_that_is_paused_waits(desk: Desk) -> None:
    desk.put("waiting")
    desk.at = 10
    assert COMMANDS["pause_clock"](desk) == "clock_paused"
    assert desk.to(50) == "nothing"
    assert COMMANDS["resume_clock"](desk) == "clock_resumed"
    assert desk.to(69.999) == "nothing"
    assert desk.to(70) == "clock_warned"


def test_moments_are_the_policys(desk: Desk) -> None:
    desk.put("active")
    assert desk.verb("Mark", moment="assignment") == "MOMENT_UNKNOWN"
    assert desk.verb("Mark", moment="birthday") == "MOMENT_UNKNOWN"
    assert desk.verb("Mark", moment="asked") == "marked"
    assert desk.verb("Mark", moment="asked") == "replay"
    desk.at = 1.5
    assert desk.verb("Mark", moment="paid") == "marked clock_stopped"
    stopped = desk.router.events[-1].clock_stopped
    assert (stopped.clock, stopped.elapsed_ms, stopped.met) == ("pay", 1500, True)


def test_a_policy_in_mid_stream(desk: Desk) -> None:
    desk.put("waiting")
    other = compiled(POLICY.replace('"partner"', '"elsewhere"'))
    assert desk.do_install(other, reclassify=False) == "policy_installed"
    assert desk.do_install(other, reclassify=True) == "policy_installed classified"
    assert desk.reply is not None
    assert desk.reply.reclassified == 1
    assert desk.to(100) == "clock_warned clock_breached step_taken overflowed"
    assert desk.router.events[-1].overflowed.to == "elsewhere"


def test_removing_an_agent_loses_no_ticket(desk: Desk) -> None:
    desk.put("active")
    before = len(desk.router.events)
    desk.router.call("RemoveAgents", agent_pb2.RemoveAgentsRequest(ids=["ann"]), desk.now_us)
    assert desk.kinds(before) == ["presence_changed", "queued", "agent_removed"]
    assert desk.do("Assign", admin_pb2.AssignRequest(ticket="t", agent="ann")) == "AGENT_UNKNOWN"


def test_a_supervisor_is_bound_by_capacity_alone(desk: Desk) -> None:
    desk.put("waiting")
    assert desk.do("Assign", admin_pb2.AssignRequest(ticket="t", agent="nobody")) == "AGENT_UNKNOWN"
    for name in ("u", "v"):
        assert desk.submit("bill", id=name) == "queued offered"
    assert desk.do("Assign", admin_pb2.AssignRequest(ticket="t", agent="ann")) == "NO_CAPACITY"
    desk.presence("bob", agent_pb2.PRESENCE_OFFLINE)
    assert desk.do("Assign", admin_pb2.AssignRequest(ticket="t", agent="bob")) == "NOT_LOGGED_IN"


def test_supervisors_move_to_the_present_queue_is_a_replay(desk: Desk) -> None:
    desk.put("waiting")
    assert desk.do("Move", admin_pb2.MoveRequest(ticket="t", queue="nowhere")) == "QUEUE_UNKNOWN"
    assert desk.do("Move", admin_pb2.MoveRequest(ticket="t", queue="rare")) == "replay"
