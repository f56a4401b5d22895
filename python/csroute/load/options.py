"""What a run is to be."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from csroute.errors import ConfigError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["LATE_P99_MS_MAX", "Desks", "How", "Loop", "Options"]

How = Literal["unary", "stream", "batch"]
Loop = Literal["closed", "constant", "poisson", "recorded"]
Desks = Literal["work", "act", "none"]

LATE_P99_MS_MAX: Final = 1.0
"""A generator later than this says nothing about the server."""
_BATCH: Final = {"unary": 1, "stream": 1, "batch": 256}
_IN_FLIGHT_OPEN: Final = 65_536
_IN_FLIGHT_CLOSED: Final = 256


@dataclass(frozen=True)
class Options:
    """A run against one server.

    Args:
        server: where gateways call, host:port: either door. `desk_server`: where desks do; empty: there too.
        how: a Route each, messages of a stream, or a RouteBatch each. `batch`: tickets in a message; 0: 256 in a batch,
            else 1.
        loop: closed, constant, poisson, or as recorded in the journal. `rate_per_min`: tickets a minute, all processes
            together, in an open loop. `speed`: a recorded loop so many times faster.
        in_flight: calls under way in each process: so many in a closed loop (0: 256), at most so many in an open one.
        processes, connections, streams: client processes, and what each of them has.
        warm_up_s, seconds: not measured, and measured.
        patience_ms: an answer after more than this is none.
        desks: work: agents hear of tickets by a Work stream; act: whoever sent a ticket completes it as soon as the
            answer names an agent; none. `hold_ms`: how long an agent keeps a ticket. `settle_s`: how long they may take
            afterwards.
        agents_scale: of the workload's people.
        token, tenant: for every call.
        server_pid: a process of this machine whose memory and CPU time are noted too; 0: none.
        name: the run's, in the ids of its tickets; empty: one by the time.
    """

    server: str = "127.0.0.1:7701"
    desk_server: str = ""
    how: How = "unary"
    batch: int = 0
    loop: Loop = "poisson"
    rate_per_min: float = 60_000
    speed: float = 1.0
    in_flight: int = 0
    processes: int = 1
    connections: int = 4
    streams: int = 4
    warm_up_s: float = 2.0
    seconds: float = 10.0
    patience_ms: int = 10_000
    desks: Desks = "work"
    hold_ms: int = 0
    settle_s: float = 30.0
    agents_scale: float = 1.0
    seed: int = 11
    token: str = ""
    tenant: str = ""
    server_pid: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        """Raises ConfigError for what cannot be."""
        wrong = {
            "batch: 0..4096": not 0 <= self.batch <= 4096,
            "a Route has one ticket: leave batch out, or choose batch or stream": self.how == "unary"
            and self.batch > 1,
            "act: not with a stream in a closed loop, whose agents would run full; choose work": (
                self.desks == "act" and self.how == "stream" and not self.is_open
            ),
            "rate: more than 0": self.loop in ("constant", "poisson") and self.rate_per_min <= 0,
            "processes: 1..64": not 1 <= self.processes <= 64,
            "connections and streams: 1..256": not (1 <= self.connections <= 256 and 1 <= self.streams <= 256),
            "seconds: more than 0": self.seconds <= 0 or self.warm_up_s < 0,
            "in flight: 0..1000000": not 0 <= self.in_flight <= 1_000_000,
            "patience: at least 1 ms": self.patience_ms < 1,
            "speed: more than 0": self.speed <= 0,
            "a run's name: at most 24 letters": len(self.name.encode()) > 24,
        }
        for what, is_wrong in wrong.items():
            if is_wrong:
                raise ConfigError(f"load: {what}")

    @property
    def is_open(self) -> bool:
        """Whether calls come whatever the server does."""
        return self.loop != "closed"

    @property
    def tickets_a_call(self) -> int:
        """Tickets in a message."""
        return self.batch or _BATCH[self.how]

    def named(self, name: str) -> Self:
        """The same, under a name if it has none."""
        return self if self.name else replace(self, name=name)

    def to_dict(self) -> dict[str, Any]:
        """For a report; a credential is no part of it."""
        return {name: value for name, value in asdict(self).items() if name != "token"}

    def settings(self, process: int) -> dict[str, Any]:
        """What `csroute_load::Settings` wants, for one of the processes."""
        metadata = [("csroute-caller", f"load-{process}")]
        if self.tenant:
            metadata.append(("csroute-tenant", self.tenant))
        if self.token:
            metadata.append(("authorization", f"Bearer {self.token}"))
        return {
            "address": self.server,
            "desk_address": self.desk_server,
            "metadata": metadata,
            "run": self.name,
            "process": process,
            "how": self.how,
            "batch": self.tickets_a_call,
            "connections": self.connections,
            "streams": self.streams,
            "loop": self.loop,
            "rate_per_s": self.rate_per_min / 60 / self.processes,
            "in_flight_max": self.in_flight or (_IN_FLIGHT_OPEN if self.is_open else _IN_FLIGHT_CLOSED),
            "warm_up_s": self.warm_up_s,
            "seconds": self.seconds,
            "patience_ms": self.patience_ms,
            "seed": self.seed,
            "desk": self.desks,
            "session": self.session(process),
            "hold_ms": self.hold_ms,
        }

    def session(self, process: int) -> str:
        """The session of a process's desk."""
        return f"{self.name}-{process}"
