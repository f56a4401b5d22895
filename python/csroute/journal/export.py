"""Records or events as rows: JSON lines, or Parquet (by pyarrow, which `pip install 'csroute[parquet]'` brings).

The columns are the same in both; what only some rows have is one column of JSON. A file is there whole or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from csroute.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from csroute.journal.read import Record
    from csroute.journal.replay import Heard

__all__ = ["event_rows", "export", "record_rows"]

ROWS_MAX = 50_000
"""Rows held in memory: a row group of Parquet."""

_COLUMNS = {
    "sequence": "uint64",
    "block": "uint64",
    "index": "uint32",
    "value": "int64",
    "at": "timestamp",
    "attempt": "uint32",
}
"""Columns that are no text, and their types; `at` is Unix µs in JSON."""


def record_rows(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    """One row a record; the request is JSON."""
    for record in records:
        said = record.to_dict()
        yield {
            "block": record.block,
            "index": record.index,
            "at": record.now_us,
            "kind": record.kind,
            "tenant": record.tenant,
            "caller": record.caller,
            "method": record.method,
            "value": record.value,
            "request": json.dumps(said["request"], ensure_ascii=False),
        }


def event_rows(heard: Iterable[Heard]) -> Iterator[dict[str, Any]]:
    """One row an event; what its kind has is JSON. `method`, `caller`: of the request behind it, else the node's."""
    for one in heard:
        event = one.wire
        kind = event.WhichOneof("kind") or "unknown"
        detail = getattr(event, kind, None)
        fields = {} if detail is None else json_format.MessageToDict(detail, preserving_proto_field_name=True)
        yield {
            "tenant": one.tenant,
            "sequence": event.sequence,
            "at": event.at_us,
            "kind": kind,
            "ticket": event.ticket,
            "source": event.source,
            "queue": event.queue,
            "agent": event.agent,
            "session": event.session,
            "attempt": event.attempt,
            "policy": f"{event.policy_version:016x}",
            "block": one.block,
            "caller": one.caller,
            "method": one.method or one.kind,
            "detail": json.dumps(fields, ensure_ascii=False),
        }


def export(rows: Iterable[dict[str, Any]], to: str | Path) -> int:
    """Writes rows to a .jsonl, .ndjson or .parquet: how many. Raises ConfigError: another name, no pyarrow."""
    path = Path(to)
    writers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}
    writer = writers.get(path.suffix)
    if writer is None:
        raise ConfigError(f"{path}: name a file that ends in {', '.join(writers)}")
    partial = path.with_name(path.name + ".partial")
    try:
        count = writer(rows, partial)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return count


def _json_lines(rows: Iterable[dict[str, Any]], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _parquet(rows: Iterable[dict[str, Any]], path: Path) -> int:
    arrow, parquet = _arrow()
    count, writer = 0, None
    try:
        for some in _some(rows):
            table = arrow.Table.from_pylist(some, schema=_schema(arrow, some[0]))
            if writer is None:
                writer = parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            count += len(some)
    finally:
        if writer is not None:
            writer.close()
    if not count:
        parquet.write_table(arrow.table({}), path)
    return count


def _schema(arrow: ModuleType, row: dict[str, Any]) -> Any:  # noqa: ANN401 (an arrow schema, of a library without types)
    def kind(name: str) -> Any:  # noqa: ANN401
        named = _COLUMNS.get(name, "string")
        return arrow.timestamp("us", tz="UTC") if named == "timestamp" else getattr(arrow, named)()

    return arrow.schema([(name, kind(name)) for name in row])


def _some(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) == ROWS_MAX:
            yield some
            some = []
    if some:
        yield some


def _arrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow  # noqa: PLC0415 (large, and only for this)
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "Parquet needs pyarrow: pip install 'csroute[parquet]'; JSON lines (.jsonl) need nothing"
        ) from None
    return pyarrow, pyarrow.parquet
