"""Where tickets and agents come from: the Double-11 workload, or a journal that a node wrote.

>>> source = double11(seed=11, agents_scale=0.01)
>>> len(source.samples), source.recorded_ns
(4096, [])
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Final

from csroute.demo.plan import agents_of, new_ticket
from csroute.errors import ConfigError
from csroute.presets.double11_workload import tickets
from csroute.types import AgentSpec
from csroute.v1 import agent_pb2, ticket_pb2

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Source", "double11", "journal"]

_SAMPLES: Final = 4096
_RECORDED_MAX: Final = 1_000_000


@dataclass(frozen=True)
class Source:
    """Tickets, as NewTicket messages without id and context, sent in turn; and who works.

    `recorded_ns`: how long after the first each of them came, if it was recorded.
    """

    samples: list[bytes]
    agents: list[AgentSpec] = field(default_factory=list)
    recorded_ns: list[int] = field(default_factory=list)

    def write(self, file: Path) -> None:
        """For the client processes."""
        parts = [pack("<QQ", len(self.samples), len(self.recorded_ns)), array("Q", self.recorded_ns).tobytes()]
        for sample in self.samples:
            parts += (pack("<I", len(sample)), sample)
        file.write_bytes(b"".join(parts))

    @classmethod
    def read(cls, file: Path) -> Source:
        """What `write` wrote, but for the agents."""
        data = file.read_bytes()
        count, recorded = unpack_from("<QQ", data)
        times = array("Q")
        times.frombytes(data[16 : 16 + 8 * recorded])
        samples, at = [], 16 + 8 * recorded
        for _ in range(count):
            (length,) = unpack_from("<I", data, at)
            samples.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        return cls(samples, recorded_ns=list(times))


def sample(ticket: ticket_pb2.NewTicket) -> bytes:
    """A ticket as the generator wants it: it puts id and context in."""
    rest = ticket_pb2.NewTicket()
    rest.CopyFrom(ticket)
    rest.ClearField("id")
    rest.ClearField("context")
    return rest.SerializeToString()


def double11(seed: int = 11, agents_scale: float = 1.0) -> Source:
    """The night's tickets, and the people present."""
    people = agents_of(agents_scale) if agents_scale > 0 else []
    return Source([sample(new_ticket(one, "load").to_wire()) for one in islice(tickets(seed), _SAMPLES)], people)


def journal(data_dir: str | PathLike[str], *, speed: float = 1.0, tenant: str = "") -> Source:
    """What a node was sent: its tickets, when they came, and the agents it was told of, at most a million tickets.

    Raises JournalError for a damaged folder, ConfigError if there is no ticket in it.
    """
    from csroute.journal import records  # noqa: PLC0415

    samples: list[bytes] = []
    times: list[int] = []
    agents: dict[str, AgentSpec] = {}
    for record in records(data_dir, tenant=tenant):
        if record.method in ("Route", "RouteBatch"):
            # The field of the one ticket is that of the many.
            for ticket in ticket_pb2.RouteBatchRequest.FromString(record.request).tickets:
                samples.append(sample(ticket))
                times.append(record.now_us)
            if len(samples) >= _RECORDED_MAX:
                break
        elif record.method == "UpsertAgents":
            for spec in agent_pb2.UpsertAgentsRequest.FromString(record.request).agents:
                agents[spec.id] = AgentSpec.from_wire(spec)
    if not samples:
        raise ConfigError(f"{data_dir}: no ticket was ever sent to this node")
    recorded = [round((time - times[0]) * 1000 / speed) for time in times]
    return Source(samples, list(agents.values()), recorded)
