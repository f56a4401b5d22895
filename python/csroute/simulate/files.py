"""Workloads and rosters from files: TOML, and tables of recorded tickets (CSV, Parquet).

```toml
# workload.toml
name = "weekday"
length = "10 h"
curve = [["0 h", 0.05], ["2 h", 0.12]]       # tickets a second from then on

[[kinds]]
channel = "phone"
share = 3
handle = { log_normal = [240, 0.8] }         # seconds
patience = { exponential = 180 }
attributes = { tier = "vip" }

# roster.toml
pace_by_level = { 1 = 1.2, 3 = 0.9 }

[[teams]]
group = "front"
size = 12
skills = { general = 2 }
shifts = [["0 h", "8 h"]]
breaks = [["4 h", "4.5 h"]]
decline = 0.02
```

A workload with `tickets = "log.csv"` and `columns = { arrival_s = "opened", … }` plays recorded tickets: each row is a
kind by its attribute columns, with its own handle time where that is known, else drawn from the others'.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from csroute.errors import ConfigError
from csroute.simulate.draws import Exponential, Never, distribution
from csroute.simulate.roster import ALWAYS, Conduct, Roster, team
from csroute.simulate.workload import Again, Kind, Workload

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_roster", "load_workload"]

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_WORKLOAD = {
    "name",
    "length",
    "start",
    "curve",
    "kinds",
    "segments",
    "tickets",
    "columns",
    "channel",
    "patience",
    "handle",
}
_KIND = {
    "channel", "attributes", "share", "handle", "patience", "category", "skills", "transfer", "transfer_to", "again",
    "marks",
}  # fmt: skip
_TEAM = {
    "group", "size", "skills", "capacity", "channels", "shifts", "breaks", "answer", "decline", "miss", "wrap_up",
    "back_after", "pace",
}  # fmt: skip


def load_workload(path: Path) -> Workload:
    """A workload's TOML. Raises ConfigError that names the key."""
    table = _read(path, _WORKLOAD)
    common = {key: table[key] for key in ("name", "start", "segments") if key in table}
    common.setdefault("name", path.stem)
    if isinstance(common.get("start"), datetime):
        start = common["start"]
        common["start"] = start if start.tzinfo else start.replace(tzinfo=UTC)
    if "tickets" in table:
        from csroute.simulate.tables import recorded  # noqa: PLC0415 (reads tables)

        return recorded(
            path.parent / table["tickets"],
            table.get("columns", {}),
            channel=table.get("channel", ""),
            patience=distribution(table.get("patience", "never"), f"{path}: patience"),
            handle=distribution(table["handle"], f"{path}: handle") if "handle" in table else None,
            **common,
        )
    kinds = [_kind(one, f"{path}: kinds[{place}]") for place, one in enumerate(table.get("kinds", []))]
    curve = [(_seconds(at, f"{path}: curve"), float(rate)) for at, rate in table.get("curve", [])]
    return Workload(
        kinds=kinds, curve=curve, length_s=_seconds(table.get("length", "24 h"), f"{path}: length"), **common
    )


def load_roster(path: Path) -> Roster:
    """A roster's TOML. Raises ConfigError that names the key."""
    table = _read(path, {"pace_by_level", "reserves", "teams"})
    people = Roster([])
    for place, one in enumerate(table.get("teams", [])):
        where = f"{path}: teams[{place}]"
        _known(one, _TEAM, where)
        conduct = Conduct(
            answer=distribution(one["answer"], f"{where}.answer") if "answer" in one else None,
            decline=float(one.get("decline", 0.0)),
            miss=float(one.get("miss", 0.0)),
            wrap_up=distribution(one["wrap_up"], f"{where}.wrap_up") if "wrap_up" in one else None,
            back_after_s=_seconds(one.get("back_after", 60), f"{where}.back_after"),
            pace=one.get("pace", {}),
        )
        group = str(one.get("group", f"team-{place}"))
        if group in people.groups:
            raise ConfigError(f"{where}: the group {group} is there already; agents are named after their group")
        people += team(
            int(one.get("size", 1)),
            group,
            one.get("skills", {}),
            capacity=int(one.get("capacity", 100)),
            channels=one.get("channels", {}),
            shifts=_spans(one["shifts"], f"{where}.shifts") if "shifts" in one else ALWAYS,
            breaks=_spans(one.get("breaks", []), f"{where}.breaks"),
            conduct=conduct,
        )
    if not people.agents:
        raise ConfigError(f"{path}: nobody works; add [[teams]]")
    levels = {int(level): float(pace) for level, pace in table.get("pace_by_level", {}).items()}
    return Roster(people.agents, levels, table.get("reserves", people.reserves))


def _kind(table: Mapping[str, Any], where: str) -> Kind:
    _known(table, _KIND, where)
    if "channel" not in table:
        raise ConfigError(f"{where}: channel is missing")
    given = {key: table[key] for key in ("attributes", "category", "skills", "transfer_to") if key in table}
    given |= {key: float(table[key]) for key in ("share", "transfer") if key in table}
    if "again" in table:
        again = dict(table["again"])
        _known(again, {"answered", "abandoned", "after", "attributes", "same_agent"}, f"{where}.again")
        again["after"] = distribution(again.get("after", {"exponential": 1800}), f"{where}.again.after")
        given["again"] = Again(**again)
    marks = {moment: distribution(after, f"{where}.marks.{moment}") for moment, after in table.get("marks", {}).items()}
    return Kind(
        table["channel"],
        handle=distribution(table["handle"], f"{where}.handle") if "handle" in table else Exponential(372.0),
        patience=distribution(table["patience"], f"{where}.patience") if "patience" in table else Never(),
        marks=marks,
        **given,
    )


def _read(path: Path, keys: set[str]) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    _known(table, keys, str(path))
    return table


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := sorted(table.keys() - keys):
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; known: {', '.join(sorted(keys))}")


def _seconds(value: object, where: str) -> float:
    """A number of seconds, or "90 s", "4.5 h"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and (found := re.fullmatch(r"\s*([\d.]+)\s*(ms|s|min|h|d)\s*", value)):
        return float(found[1]) * _UNITS[found[2]]
    raise ConfigError(f'{where}: {value!r} is no time; write seconds, or "90 s", "15 min", "4.5 h"')


def _spans(value: object, where: str) -> list[tuple[float, float]]:
    if not isinstance(value, list) or any(not isinstance(span, list) or len(span) != 2 for span in value):
        raise ConfigError(f'{where}: {value!r}; write [["8 h", "12 h"], …]')
    return [(_seconds(start, where), _seconds(to, where)) for start, to in value]
