"""Load and retention in, memory and disk out: from constants that are measured, and can be measured again here.

>>> need = plan(Load(per_day=5_000_000, peak_per_min=60_000, waiting=100_000, agents=2_000, ticket_bytes=150))
>>> round(need.journal_bytes_per_s / 1e6, 2) == round(60_000 / 60 * need.journal_bytes_per_lifecycle / 1e6, 2)
True
>>> need.disk_bytes == need.segments_bytes + need.snapshots_bytes + need.reserve_bytes
True
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MEASURED", "Load", "Measured", "Need", "plan"]

CLOSED_KEEP_S = 300
"""An ended ticket is remembered so long, unless the policy says otherwise."""


BETWEEN = 8
"""Snapshots that retention keeps within the history, besides the newest."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What `csroute plan --measure` found. Bytes are beyond a ticket's id, customer and attributes.

    Lifecycles: routed in batches of 256, assigned at once, completed in batches of 256.
    """

    journal_lifecycle_bytes: float
    waiting_memory_bytes: float
    closed_memory_bytes: float
    agent_memory_bytes: float
    waiting_snapshot_bytes: float
    closed_snapshot_bytes: float
    replay_lifecycles_per_s: float
    load_tickets_per_s: float


MEASURED = Measured(
    journal_lifecycle_bytes=29,
    waiting_memory_bytes=240,
    closed_memory_bytes=103,
    agent_memory_bytes=672,
    waiting_snapshot_bytes=40,
    closed_snapshot_bytes=37,
    replay_lifecycles_per_s=500_000,
    load_tickets_per_s=1_000_000,
)
"""By `csroute plan --measure` on 2 cores of a virtual machine, release build; other machines differ in the last two."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be carried, and kept."""

    per_day: int
    peak_per_min: int
    waiting: int
    agents: int
    ticket_bytes: int
    """Id, customer and attributes of a ticket."""
    id_bytes: int = 16
    """The id alone: a completion names it again."""
    history_s: int = 0
    snapshot_every_s: int = 600
    snapshots_kept: int = 3
    segment_bytes: int = 268_435_456
    reserve_bytes: int = 67_108_864
    ring_events_max: int = 262_144
    tenants: int = 1


@dataclass(frozen=True, slots=True)
class Need:
    """What it takes."""

    journal_bytes_per_lifecycle: float
    journal_bytes_per_s: float
    """At the peak."""
    journal_bytes_per_day: float
    segments_bytes: float
    snapshot_bytes: float
    """One of them, at the peak."""
    snapshots_bytes: float
    reserve_bytes: float
    disk_bytes: float
    state_bytes: float
    """The node's, at the peak."""
    ring_bytes: float
    memory_bytes: float
    """With the second state that making a snapshot takes."""
    recovery_s: float
    """After a crash at the peak, just before the next snapshot."""


RING_EVENT_BYTES = 400
"""An event in the ring, generously: its fixed part is under 256 bytes, its names are shared or short."""


def plan(load: Load, measured: Measured = MEASURED) -> Need:
    """What this load needs, at its worst."""
    lifecycle = measured.journal_lifecycle_bytes + load.ticket_bytes + load.id_bytes
    peak_per_s = load.peak_per_min / 60
    per_s, per_day = peak_per_s * lifecycle, load.per_day * lifecycle
    closed = peak_per_s * CLOSED_KEEP_S
    state = (
        load.waiting * (measured.waiting_memory_bytes + load.ticket_bytes)
        + closed * (measured.closed_memory_bytes + load.ticket_bytes)
        + load.agents * measured.agent_memory_bytes
    )
    snapshot = load.waiting * (measured.waiting_snapshot_bytes + load.ticket_bytes) + closed * (
        measured.closed_snapshot_bytes + load.ticket_bytes
    )
    # The journal since the oldest snapshot kept, or for the history; a segment goes as a whole.
    kept_s = max(load.history_s, load.snapshot_every_s * load.snapshots_kept)
    segments = min(per_s * kept_s, per_day * max(kept_s / 86_400, 1)) + load.segment_bytes
    within = load.history_s > load.snapshot_every_s * load.snapshots_kept
    kept = load.snapshots_kept + (BETWEEN + 1 if within else 0)
    snapshots = snapshot * (kept + 1)  # the next is written before the oldest goes
    ring = load.ring_events_max * load.tenants * RING_EVENT_BYTES
    replay_s = peak_per_s * load.snapshot_every_s / measured.replay_lifecycles_per_s
    return Need(
        journal_bytes_per_lifecycle=lifecycle,
        journal_bytes_per_s=per_s,
        journal_bytes_per_day=per_day,
        segments_bytes=segments,
        snapshot_bytes=snapshot,
        snapshots_bytes=snapshots,
        reserve_bytes=load.reserve_bytes,
        disk_bytes=segments + snapshots + load.reserve_bytes,
        state_bytes=state,
        ring_bytes=ring,
        memory_bytes=2 * state + ring,
        recovery_s=(load.waiting + closed) / measured.load_tickets_per_s + replay_s,
    )
