"""Figures: quantiles of what was measured, and the server's own by its Prometheus endpoint.

>>> quantiles([1.0, 2.0, 3.0, 4.0, 100.0], (50, 99))
{'p50': 3.0, 'p99': 100.0}
>>> sample = 'csroute_decision_seconds_bucket{le="%s"} %d'
>>> before = Scrape.read(sample % ("0.001", 10))
>>> after = Scrape.read(sample % ("0.001", 20))
>>> after.quantiles_us("decision", since=before, percentiles=(50,))
{'p50': 500.0}
"""

from __future__ import annotations

import asyncio
import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["PERCENTILES", "Scrape", "quantiles", "scrape"]

PERCENTILES: Final = (50, 99, 99.9)
_LINE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def quantiles(values: Sequence[float], percentiles: Sequence[float] = PERCENTILES) -> dict[str, float]:
    """By nearest rank: the value that so many percent do not exceed. Empty if there is none."""
    ranked = sorted(values)
    return {
        _name(p): round(ranked[min(len(ranked), max(1, math.ceil(round(p * len(ranked) / 100, 6)))) - 1], 3)
        for p in percentiles
        if ranked
    }


class Scrape:
    """What the Prometheus endpoint said at one time."""

    def __init__(self, samples: dict[str, list[tuple[dict[str, str], float]]]) -> None:
        self._samples = samples

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads the exposition's text."""
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for name, labels, value in _LINE.findall(text):
            samples.setdefault(name, []).append((dict(_LABEL.findall(labels)), float(value)))
        return cls(samples)

    def value(self, name: str, **labels: str) -> float:
        """One sample; 0 where there is none."""
        return next((value for found, value in self._samples.get(name, []) if labels.items() <= found.items()), 0.0)

    def by(self, name: str, label: str) -> dict[str, float]:
        """A family's samples by one label."""
        return {labels[label]: value for labels, value in self._samples.get(name, [])}

    def quantiles_us(
        self, histogram: str, since: Scrape | None = None, percentiles: Sequence[float] = PERCENTILES
    ) -> dict[str, float]:
        """Quantiles of a histogram of the server's, in µs: what came since another scrape; linear between bounds."""
        name = f"csroute_{histogram}_seconds_bucket"
        before = since.by(name, "le") if since is not None else {}
        counts = sorted((float(le), count - before.get(le, 0)) for le, count in self.by(name, "le").items())
        if not counts or not counts[-1][1]:
            return {}
        return {_name(p): round(_within(counts, p / 100 * counts[-1][1]) * 1e6, 3) for p in percentiles}


def _within(counts: list[tuple[float, float]], rank: float) -> float:
    """Where in cumulative buckets a rank lies; past the last bound: at it."""
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            return low if math.isinf(bound) else low + (bound - low) * (rank - below) / max(count - below, 1)
        low, below = bound, count
    return low


def _name(percentile: float) -> str:
    return f"p{percentile:g}".replace(".", "_")


async def scrape(port: int) -> Scrape:
    """Asks the server's Prometheus endpoint, on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return Scrape.read(text)
