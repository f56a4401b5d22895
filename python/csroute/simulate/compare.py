"""Two policies on the same customers: differences, with intervals, and in a sentence.

The n-th ticket is the same under both, so what is compared is pairs: the difference of each replication (or batch), not
the difference of two means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from csroute.errors import ConfigError
from csroute.simulate.estimate import Estimate, estimate
from csroute.simulate.result import SHOWN, shown

if TYPE_CHECKING:
    from csroute.simulate.result import Result

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """`ours` against `other`. differences: ours − the other's, by figure."""

    ours: Result
    other: Result
    differences: dict[str, Estimate]

    def sentence(self) -> str:
        """What it comes to, for a person: service levels and abandonment, by the workload's first segment."""
        summary = self.ours.summary()
        cuts = [cut for cut in self.ours.scene.cuts if cut != "channel"][:1]
        parts = []
        for cut in cuts or [""]:
            values = [value for value in self.ours.scene.cuts[cut][0] if value] if cut else [""]
            for value in values:
                suffix = f"[{cut}={value}]" if cut else ""
                level = summary.get(f"service_level{suffix}")
                if level is not None:
                    parts.append(
                        f"answers {value or 'customers'} in time in {shown('service_level', level.mean)} "
                        f"({self._change(f'service_level{suffix}')}), {value + ' ' if value else ''}abandonment "
                        f"{self._change(f'abandoned{suffix}')}"
                    )
        return f"{_name(self.ours, self.other)} {'; '.join(parts)}."

    def _change(self, name: str) -> str:
        found = self.differences.get(name, Estimate(math.nan, math.nan))
        if math.isnan(found.mean):
            return "not comparable"
        if found.holds(0.0) or found.mean == 0.0:
            return "unchanged" if abs(found.mean) < 5e-4 else f"{_points(found)}, within chance"
        return _points(found)


def _points(found: Estimate) -> str:
    width = "" if math.isnan(found.half_width) else f" ± {100 * found.half_width:.1f}"
    return f"{100 * found.mean:+.1f}{width} points"


def _name(ours: Result, other: Result) -> str:
    if ours.scene.policy_name != other.scene.policy_name:
        return ours.scene.policy_name
    return f"{ours.scene.policy_name} ({ours.scene.policy_version:016x})"


def compare(ours: Result, other: Result) -> Comparison:
    """The differences of two runs of the same workload, seed and replications."""
    if [one.seed for one in ours.replications] != [one.seed for one in other.replications]:
        raise ConfigError("only runs of the same workload, seed and replications can be compared")
    if ours.scene.workload.name != other.scene.workload.name or ours.scene.cuts.keys() != other.scene.cuts.keys():
        raise ConfigError(f"{ours.scene.workload.name} and {other.scene.workload.name} are not the same workload")
    names = [name for name in ours.samples[0] if name in other.samples[0]]
    differences = {}
    for name in names:
        pairs = [
            (one.get(name, math.nan), two.get(name, math.nan))
            for one, two in zip(ours.samples, other.samples, strict=True)
        ]
        differences[name] = estimate([one - two for one, two in pairs], ours.confidence)
    return Comparison(ours, other, {name: differences[name] for name in sorted(differences, key=_order)})


def _order(name: str) -> tuple[int, str]:
    known = list(SHOWN)
    base = name.split("[", maxsplit=1)[0]
    return (known.index(base) if base in known else len(known), name)
