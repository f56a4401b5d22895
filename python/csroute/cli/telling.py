"""A ticket's story, and records, as a person reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from rich.table import Table
from rich.text import Text

from csroute.journal.when import clock
from csroute.types import Presence, QueueCause

if TYPE_CHECKING:
    from collections.abc import Callable

    from csroute.journal.read import Record
    from csroute.journal.replay import Heard, Story
    from csroute.v1 import event_pb2

__all__ = ["heard_dict", "record_line", "story_dict", "story_table"]

_WHY_QUEUED = {
    QueueCause.ARRIVED: "it arrived",
    QueueCause.DECLINED: "declined",
    QueueCause.EXPIRED: "the offer expired",
    QueueCause.AGENT_LEFT: "the agent left with the offer open",
    QueueCause.AGENT_LOST: "the agent was lost",
    QueueCause.TRANSFERRED: "transferred",
}


def story_table(story: Story) -> Table:
    """One row an event: when, how long after the first, what and why, by whom."""
    table = Table(
        "at",
        "after",
        "what",
        "why, and how",
        "by",
        title=f"{story.ticket} · tenant {story.tenant}",
        title_justify="left",
    )
    began = story.events[0].wire.at_us if story.events else 0
    day = ""
    for one in story.events:
        event = one.wire
        at = clock(event.at_us)
        shown = at[11:23] if at[:10] == day else at[:23]
        day = at[:10]
        kind = event.WhichOneof("kind") or "something this version does not know"
        by = f"{one.caller or 'somebody'}: {one.method}" if one.kind == "write" else f"the node: {one.kind}"
        table.add_row(
            shown,
            f"{(event.at_us - began) / 1e6:.3f} s",
            kind.replace("_", " "),
            Text(_why(event, kind)),
            Text(by, style="dim"),
        )
    return table


def _why(event: event_pb2.Event, kind: str) -> str:
    detail = getattr(event, kind, None)
    tell = _TELL.get(kind)
    said = tell(event, detail) if tell else _fields(detail)
    at = f"{event.agent}, attempt {event.attempt}" if event.agent and event.attempt else event.agent
    return "; ".join(part for part in (at, said) if part)


def _fields(detail: Any) -> str:  # noqa: ANN401 (any kind's message)
    if detail is None:
        return ""
    return ", ".join(
        f"{field.name.replace('_', ' ')} {value}" for field, value in detail.ListFields() if field.message_type is None
    )


def _match(detail: Any) -> str:  # noqa: ANN401
    if not detail.HasField("reason"):
        return "the offer was accepted"
    reason = detail.reason
    if reason.supervisor:
        return "a supervisor's choice"
    among = "its preferred agent" if reason.preferred else f"first of {reason.candidates} who could take it"
    waited = f"{reason.slope_milli / 1000:g} × {reason.seniority_us / 1e6:.3f} s waited"
    terms = f"urgency {reason.urgency_milli_us / 1e9:.3f} s = {waited}"
    boost = f" (boost {reason.boost_ms / 1000:g} s in it)" if reason.boost_ms else ""
    head = f" + head start {reason.head_start_ms / 1000:g} s" if reason.head_start_ms else ""
    fit = f" + fit {reason.fit_ms / 1000:g} s" if reason.fit_ms else ""
    return f"{among}; {terms}{boost}{head}{fit}; step {reason.step or 'none'}"


def _queued(event: event_pb2.Event, detail: Any) -> str:  # noqa: ANN401
    why = _WHY_QUEUED.get(detail.cause, f"cause {detail.cause}")
    words = f" ({detail.reason})" if detail.reason else ""
    return f"in queue {event.queue or '-'}, class {event.ticket_class}: {why}{words}"


def _classified(event: event_pb2.Event, detail: Any) -> str:  # noqa: ANN401
    why = {1: "it was updated", 2: "a step moved it", 3: "a supervisor moved it", 4: "a policy was installed"}
    return f"class {event.ticket_class}, queue {event.queue}: {why.get(detail.cause, detail.cause)}"


def _transferred(_: event_pb2.Event, detail: Any) -> str:  # noqa: ANN401
    if detail.agent or detail.queue:
        return f"to {'agent' if detail.agent else 'queue'} {detail.agent or detail.queue}"
    return "to a requirement of its own"


_TELL: dict[str, Callable[[event_pb2.Event, Any], str]] = {
    "queued": _queued,
    "classified": _classified,
    "scheduled": lambda _, detail: f"not before {clock(detail.not_before_us)}",
    "step_taken": lambda _, detail: f"step {detail.step}" + (f", alerting {detail.alert}" if detail.alert else ""),
    "offered": lambda _, detail: f"{_match(detail)}; open until {clock(detail.expires_us)[11:23]}",
    "assigned": lambda _, detail: f"{_match(detail)}; waited {detail.waited_ms / 1000:.3f} s since it arrived",
    "completed": lambda _, detail: (
        f"outcome {detail.outcome}"
        + (f", wrap-up until {clock(detail.wrap_up_until_us)[11:23]}" if detail.wrap_up_until_us else "")
    ),
    "overflowed": lambda _, detail: f"to {detail.to}",
    "suspended": lambda _, detail: f"its customer is gone; cancelled at {clock(detail.until_us)[11:23]} unless back",
    "transferred": _transferred,
    "clock_stopped": lambda _, detail: (
        f"{detail.clock}: {'met' if detail.met else 'missed'} after {detail.elapsed_ms / 1000:.3f} s"
    ),
    "presence_changed": lambda _, detail: Presence(detail.presence).name.lower(),
}


def heard_dict(one: Heard) -> dict[str, Any]:
    """An event and what raised it, for JSON."""
    event = json_format.MessageToDict(one.wire, preserving_proto_field_name=True)
    return {"block": one.block, "by": {"kind": one.kind, "caller": one.caller, "method": one.method}, "event": event}


def story_dict(story: Story) -> dict[str, Any]:
    """The story, for JSON."""
    return {
        "ticket": story.ticket,
        "tenant": story.tenant,
        "from_block": story.replayed.began,
        "events": [heard_dict(one) for one in story.events],
        "now": None if story.now is None else {"state": story.now.ticket.state.name, "text": story.now.text},
    }


def record_line(record: Record) -> str:
    """A record in one line."""
    who = record.caller or "-"
    if record.kind != "write":
        what = {"advance": "timers until then", "resume": f"the node came back, grace {record.value} ms"}.get(
            record.kind, record.kind
        )
        if record.kind == "drain":
            what = "takes no new tickets" if record.value else "takes new tickets again"
        return (
            f"{record.block:>9}.{record.index:<4} {clock(record.now_us)}  {record.tenant}  {who}  {record.kind}: {what}"
        )
    said = record.to_dict()["request"]
    if "policy" in said and isinstance(said["policy"], str):
        said["policy"] = _policy(record)
    shown = json.dumps(said, ensure_ascii=False)
    shown = shown if len(shown) <= 400 else f"{shown[:400]}… ({len(record.request)} bytes)"
    return (
        f"{record.block:>9}.{record.index:<4} {clock(record.now_us)}  {record.tenant}  {who}  {record.method}: {shown}"
    )


def _policy(record: Record) -> str:
    from csroute.v1 import policy_pb2  # noqa: PLC0415

    message = policy_pb2.InstallPolicyRequest.FromString(record.request)
    return f"{policy_pb2.CompiledPolicy.FromString(message.policy).name} ({len(message.policy)} bytes)"
