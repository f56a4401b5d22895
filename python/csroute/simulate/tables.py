"""Tables of tickets: recorded ones in (CSV, Parquet), rows out (Arrow, Parquet). Needs pyarrow: csroute[parquet]."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csroute.errors import ConfigError
from csroute.simulate.arrays import OUTCOMES, arrivals
from csroute.simulate.draws import Distribution, Empirical, Never
from csroute.simulate.workload import Kind, Workload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csroute.simulate.result import Result

__all__ = ["read_table", "recorded", "rows_to_arrow", "write_parquet"]

_OURS = {"arrival_s", "handle_s", "patience_s", "channel", "category"}
_SAMPLE_MAX = 65_536


def read_table(path: Path) -> dict[str, list[Any]]:
    """A .csv, .csv.gz or .parquet as columns."""
    try:
        from pyarrow import csv, parquet  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise ConfigError(f"{path}: reading tables needs pyarrow; install csroute[parquet]") from None
    try:
        table = parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return {name: table.column(name).to_pylist() for name in table.column_names}


def recorded(
    path: Path,
    columns: Mapping[str, str],
    *,
    channel: str = "",
    patience: Distribution | None = None,
    handle: Distribution | None = None,
    **more: Any,  # noqa: ANN401 (a workload's fields)
) -> Workload:
    """Recorded tickets as a workload.

    Args:
        path: the table.
        columns: ours → the table's. Ours: arrival_s (needed), handle_s, patience_s (seconds; empty: drawn), channel,
            category; any other name is an attribute of the ticket.
        channel: of all tickets, where no column says.
        patience: of tickets without patience_s.
        handle: of tickets without handle_s; by default resampled from those of the same kind that have one, or all.
        more: a `Workload`'s further fields.
    """
    table = read_table(path)
    if "arrival_s" not in columns or (missing := [name for name in columns.values() if name not in table]):
        wrong = "arrival_s is not mapped" if "arrival_s" not in columns else f"no column {', '.join(missing)}"
        raise ConfigError(f"{path}: {wrong}; the table has {', '.join(table)}")
    if "channel" not in columns and not channel:
        raise ConfigError(f"{path}: say which channel the tickets have, or which column tells")
    at = np.array([np.nan if one is None else float(one) for one in table[columns["arrival_s"]]])
    if np.isnan(at).any():
        raise ConfigError(f"{path}: {int(np.isnan(at).sum())} rows have no {columns['arrival_s']}")
    order = np.argsort(at, kind="stable")
    at -= at[order[0]]
    work, given = _micros(table, columns, "handle_s"), _micros(table, columns, "patience_s")
    named = [name for name in columns if name not in _OURS]
    keys = [
        tuple(
            str(table[columns[name]][row] or "") if name in columns else "" for name in ("channel", "category", *named)
        )
        for row in range(len(at))
    ]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    codes = np.array([number[key] for key in keys])
    kinds = []
    for (own_channel, category, *values), place in number.items():
        own = work[(codes == place) & (work >= 0)]
        known = own if len(own) else work[work >= 0]
        if not len(known) and handle is None:
            raise ConfigError(f"{path}: no handle times; map handle_s, or give a distribution")
        kinds.append(
            Kind(
                own_channel or channel,
                {name: value for name, value in zip(named, values, strict=True) if value},
                share=float((codes == place).sum()),
                handle=handle or Empirical(tuple((known[:_SAMPLE_MAX] / 1e6).tolist())),
                patience=patience or Never(),
                category=category,
            )
        )
    block = arrivals((at * 1e6).astype(np.int64)[order], codes[order], work_us=work[order], patience_us=given[order])
    more.setdefault("name", path.name.split(".")[0])
    more.setdefault("segments", tuple(named[:1]))
    return Workload(kinds=kinds, recorded=block, length_s=float(at.max()) + 1.0, **more)


def _micros(table: dict[str, list[Any]], columns: Mapping[str, str], name: str) -> Any:  # noqa: ANN401 (an array)
    if name not in columns:
        return np.full(len(next(iter(table.values()))), -1, np.int64)
    values = [-1 if one in (None, "") else round(float(one) * 1e6) for one in table[columns[name]]]
    return np.array(values, dtype=np.int64)


def rows_to_arrow(result: Result) -> Any:  # noqa: ANN401 (pyarrow has no types of its own)
    """The rows of a result, with names where rows have numbers; what tickets say as `kind_tier`, `kind_channel`."""
    import pyarrow as pa  # noqa: PLC0415 (an extra)

    tables = []
    for number, one in enumerate(result.replications):
        rows = one.rows
        names = {
            "queue": [*one.queue_names, ""],
            "class": [*one.class_paths, ""],
            "agent": [*(agent.id for agent in result.scene.roster.agents), ""],
            "outcome": list(OUTCOMES),
        }
        columns = {"replication": np.full(len(rows), number, np.int32)}
        for field in (rows.dtype.names or ())[:-1]:
            values = np.ascontiguousarray(rows[field])
            if field in names:
                last = len(names[field]) - 1
                place = np.where((values < 0) | (values > last), last, values).astype(np.int32)
                columns[field] = pa.DictionaryArray.from_arrays(place, names[field])
            else:
                columns[field] = values
        for cut, (words, codes) in result.scene.cuts.items():
            columns[f"kind_{cut}"] = pa.DictionaryArray.from_arrays(codes[rows["kind"]].astype(np.int32), words)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables, promote_options="default")


def write_parquet(table: Any, path: str | Path) -> None:  # noqa: ANN401 (pyarrow has no types of its own)
    """Writes an Arrow table."""
    from pyarrow import parquet  # noqa: PLC0415 (an extra)

    parquet.write_table(table, path)
