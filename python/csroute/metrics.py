"""The Prometheus endpoint: the node's own figures, read when they are asked for, on a port of their own.

    csroute_queue_waiting{tenant="default",queue="logistics"} 12
    csroute_rejections_total{tenant="default",code="STALE"} 3
    csroute_end_to_end_seconds_bucket{le="0.001"} 91822

Labels are bounded: tenants by the node, clocks and codes by their nature, queues here (`QUEUES_MAX` a tenant; those
with the most arrivals keep their names, the others are summed as "(others)"). No label carries a ticket, a class or an
agent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

__all__ = ["QUEUES_MAX", "NodeCollector", "serve_metrics"]

QUEUES_MAX = 200
OTHERS = "(others)"

# (our name, the field of `GetStatsReply` or its lists, what it is). The endpoint counts in seconds: `_ms` is divided.
_QUEUE_GAUGES = (
    ("waiting", "waiting", "Tickets waiting now."),
    ("oldest_wait_seconds", "oldest_wait_ms", "How long the oldest of them waits."),
)
_QUEUE_COUNTERS = (
    ("arrived", "arrived", "Tickets that began to wait."),
    ("answered", "answered", "Tickets that an agent took."),
    ("met", "met", "Of those, in time."),
    ("abandoned", "abandoned", "Tickets whose customer left."),
    ("short_abandoned", "short_abandoned", "Of those, too soon to count."),
    ("overflowed", "overflowed", "Tickets that left for elsewhere."),
    ("completed", "completed", "Tickets whose work was done."),
    ("wait_seconds", "wait_total_ms", "Waits of the answered, summed: divided by answered, it is the ASA."),
)
_CLOCK_COUNTERS = (
    ("met", "Clocks stopped in time."),
    ("breached", "Clocks that ran out."),
    ("warned", "Warning points reached."),
)
_TICKET_STATES = ("scheduled", "waiting", "suspended", "offered", "active", "wrapping", "remembered")
_TICKET_COUNTERS = ("submitted", "assigned", "completed", "closed", "cancelled", "overflowed")
_PRESENCES = ("available", "away", "draining", "offline")
_NODE_GAUGES = (
    ("in_flight", "Calls taken and not answered yet."),
    ("parked", "Calls that wait for something to tell."),
    ("watchers", "Open Watch and Work streams."),
    ("draining", "1 while no new tickets are taken."),
    ("failed", "1 once the node has stopped on a fault of its own."),
)
_NATIVE_GAUGES = (
    ("calls", "Unary calls in flight at the native door."),
    ("streams", "Its open streams."),
    ("connections", "Its connections."),
)
_CONTROLLER = {
    "tuned": "Periods in which the controller steered.",
    "skipped": "Periods in which what it said was refused.",
    "lost": "Processes of it that were killed, or ended.",
    "running": "1 while one runs.",
}
_HISTOGRAMS = (
    ("decision", "decision_us", "Time of one command in the engine."),
    ("end_to_end", "end_to_end_us", "From a call taken to its answer; calls that were parked are left out."),
)

_JOURNAL_GAUGES = (
    ("pending_bytes", "pending_bytes", "Bytes of the journal handed to its thread and not written yet."),
    ("durable_lag_seconds", "pending_us", "How long the oldest block that is not durable waits."),
    ("disk_space", "space", "0 ample, 1 low (no new tickets), 2 full (no command at all)."),
    ("snapshot_time_seconds", "snapshot_time_us", "Unix time of the state in the newest snapshot since the start."),
    ("snapshot_bytes", "snapshot_bytes", "Its size."),
    ("snapshot_took_seconds", "snapshot_took_ms", "How long it took, beside the writer."),
)
_JOURNAL_COUNTERS = (
    ("blocks", "blocks", "Blocks written."),
    ("bytes", "bytes", "Bytes written."),
    ("disk_full", "full", "How often a block did not fit on the disk."),
    ("snapshots", "snapshots", "Snapshots made."),
    ("snapshots_failed", "snapshots_failed", "Snapshots that could not be made."),
)
_JOURNAL_HISTOGRAMS = (
    ("durable", "durable_us", "From a block handed over until it was durable."),
    ("fsync", "fsync_us", "One fsync."),
)

Figures = dict[str, Any]


class NodeCollector(Collector):
    """Turns the node's JSON (`Node.metrics`) into Prometheus families."""

    def __init__(
        self,
        metrics: Callable[[], bytes],
        native: Callable[[], bytes] = lambda: b"{}",
        controller: Callable[[], Mapping[str, int]] = dict[str, int],
    ) -> None:
        self._metrics = metrics
        self._native = native
        self._controller = controller

    def collect(self) -> Iterator[Metric]:
        """All families."""
        node: Figures = json.loads(self._metrics())
        tenants: dict[str, Figures] = node["tenants"]
        for name, about in _NODE_GAUGES:
            yield GaugeMetricFamily(f"csroute_{name}", about, float(node[name]))
        native: Figures = json.loads(self._native())
        for name, about in _NATIVE_GAUGES:
            if name in native:
                yield GaugeMetricFamily(f"csroute_native_{name}", about, float(native[name]))
        for name, count in self._controller().items():
            family = GaugeMetricFamily if name == "running" else CounterMetricFamily
            yield family(f"csroute_controller_{name}", _CONTROLLER[name], count)
        yield CounterMetricFamily(
            "csroute_clock_jumps", "Jumps of the wall clock by more than 1 s.", node["clock_jumps"]
        )
        yield _rejections(node, tenants)
        yield from _tenants(tenants)
        yield from _queues(tenants)
        yield from _clocks(tenants)
        for name, key, about in _HISTOGRAMS:
            yield _histogram(f"csroute_{name}_seconds", about, node[key])
        if node.get("journal") is not None:
            yield from _journal(node["journal"])


def serve_metrics(collector: Collector, host: str, port: int) -> tuple[WSGIServer, Thread]:
    """Serves `/metrics` on a thread of its own. Raises OSError if the port is taken."""
    registry = CollectorRegistry()
    registry.register(collector)
    return start_http_server(port, host, registry)


def _journal(figures: Figures) -> Iterator[Metric]:
    for name, field, about in _JOURNAL_GAUGES:
        yield GaugeMetricFamily(f"csroute_journal_{name}", about, _in_seconds(field, figures[field]))
    for name, field, about in _JOURNAL_COUNTERS:
        yield CounterMetricFamily(f"csroute_journal_{name}", about, figures[field])
    for name, key, about in _JOURNAL_HISTOGRAMS:
        yield _histogram(f"csroute_journal_{name}_seconds", about, figures[key])


def _rejections(node: Figures, tenants: dict[str, Figures]) -> Metric:
    family = CounterMetricFamily("csroute_rejections", "Calls and items refused, by code.", labels=["tenant", "code"])
    for tenant, counts in (
        ("", node["rejections"]),
        *((name, figures["rejections"]) for name, figures in tenants.items()),
    ):
        for code, count in counts.items():
            family.add_metric([tenant, code], count)
    return family


def _tenants(tenants: dict[str, Figures]) -> Iterator[Metric]:
    yield _gauges("csroute_tickets", "Tickets now, by state.", "state", tenants, {s: s for s in _TICKET_STATES})
    yield _gauges(
        "csroute_agents", "Agents now, by presence.", "presence", tenants, {p: f"agents_{p}" for p in _PRESENCES}
    )
    yield _gauges(
        "csroute_units", "Units of logged-in agents.", "of", tenants, {"used": "units_used", "all": "units_total"}
    )
    for name in _TICKET_COUNTERS:
        family = CounterMetricFamily(f"csroute_tickets_{name}", f"Tickets {name} since start.", labels=["tenant"])
        for tenant, figures in tenants.items():
            family.add_metric([tenant], figures[name])
        yield family
    occupancy = GaugeMetricFamily(
        "csroute_occupancy_ratio", "Units used ÷ units of logged-in agents.", labels=["tenant"]
    )
    level = GaugeMetricFamily("csroute_service_level_ratio", "Answered in time ÷ all that count.", labels=["tenant"])
    for tenant, figures in tenants.items():
        occupancy.add_metric([tenant], figures["units_used"] / max(figures["units_total"], 1))
        level.add_metric([tenant], figures["service_level_milli"] / 1000)
    yield occupancy
    yield level


def _gauges(name: str, about: str, label: str, tenants: dict[str, Figures], fields: dict[str, str]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["tenant", label])
    for tenant, figures in tenants.items():
        for value, field in fields.items():
            family.add_metric([tenant, value], figures[field])
    return family


def _queues(tenants: dict[str, Figures]) -> Iterator[Metric]:
    queues = {tenant: _bounded(figures["queues"]) for tenant, figures in tenants.items()}
    kinds = ((GaugeMetricFamily, _QUEUE_GAUGES), (CounterMetricFamily, _QUEUE_COUNTERS))
    for family_type, fields in kinds:
        for name, field, about in fields:
            family = family_type(f"csroute_queue_{name}", about, labels=["tenant", "queue"])
            for tenant, figures in queues.items():
                for queue in figures:
                    family.add_metric([tenant, queue["queue"]], _in_seconds(field, queue[field]))
            yield family
    level = GaugeMetricFamily("csroute_queue_service_level_ratio", "As above, of a queue.", labels=["tenant", "queue"])
    for tenant, figures in queues.items():
        for queue in figures:
            level.add_metric([tenant, queue["queue"]], _service_level(queue))
    yield level


def _bounded(queues: list[Figures]) -> list[Figures]:
    """The busiest by name, the others as one: their oldest wait is the oldest, all else is summed."""
    if len(queues) <= QUEUES_MAX:
        return queues
    ranked = sorted(queues, key=lambda queue: (-queue["arrived"], queue["queue"]))
    others: Figures = {"queue": OTHERS}
    for queue in ranked[QUEUES_MAX:]:
        for field, value in queue.items():
            if field != "queue":
                others[field] = (max if field == "oldest_wait_ms" else int.__add__)(others.get(field, 0), value)
    return [*ranked[:QUEUES_MAX], others]


def _service_level(queue: Figures) -> float:
    """The definition of `GetStatsReply.service_level_milli`; 1 when nothing counts."""
    counted = queue["answered"] + queue["abandoned"] + queue["overflowed"] - queue["short_abandoned"]
    return queue["met"] / counted if counted else 1.0


def _clocks(tenants: dict[str, Figures]) -> Iterator[Metric]:
    for name, about in _CLOCK_COUNTERS:
        family = CounterMetricFamily(f"csroute_clocks_{name}", about, labels=["tenant", "clock"])
        for tenant, figures in tenants.items():
            for clock in figures["clocks"]:
                family.add_metric([tenant, clock["clock"]], clock[name])
        yield family


def _histogram(name: str, about: str, figures: Figures) -> Metric:
    family = HistogramMetricFamily(name, about)
    total, buckets = 0, []
    for bound_us, count in zip([*figures["bounds"], None], figures["counts"], strict=True):
        total += count
        buckets.append(("+Inf" if bound_us is None else repr(bound_us / 1e6), total))
    family.add_metric([], buckets, figures["sum"] / 1e6)
    return family


def _in_seconds(field: str, value: int) -> float:
    divisor = {"_ms": 1000, "_us": 1_000_000}.get(field[-3:])
    return value / divisor if divisor else value
