"""The offline commands, on a folder that a real server wrote: what they tell happened, and damage is said."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from csroute.cli.app import app
from csroute.errors import ConfigError, JournalError
from csroute.journal import blocks, heard, records, replay, segments, snapshots, story
from csroute.journal.export import event_rows, export, record_rows
from tests.journal import reader


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def said(*arguments: object) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done
    return done.output


def lines(*arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said(*arguments).splitlines()]


def iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def oldest(data: Path) -> Path:
    return data / segments(data)[0].name


# --- verify ----------------------------------------------------------------------------------------------------------


def test_a_sound_folder_verifies(data: Path) -> None:
    text = said("journal", "verify", data)
    assert f"{sum(1 for _ in blocks(data))} blocks, {sum(1 for _ in records(data))} records" in text
    assert f"{len(snapshots(data))} good snapshots" in text


def test_the_crate_and_the_reader_from_the_page_agree(data: Path) -> None:
    ours = [(block.number, block.time_us, block.events_hash, len(block.records)) for block in blocks(data)]
    theirs = [(block.number, block.time_us, block.events_hash, len(block.records)) for block in reader.blocks(data)]
    assert ours == theirs
    assert len(ours) > 10


def test_damage_is_found_and_its_place_named(data: Path) -> None:
    flip(oldest(data), 300)
    done = run("journal", "verify", data)
    assert isinstance(done.exception, JournalError)
    for words in (oldest(data).name, "damaged at byte", "block", "csroute journal repair"):
        assert words in str(done.exception)
    for command in (["journal", "show", data], ["journal", "stats", data]):
        assert isinstance(run(*command).exception, JournalError)


def test_a_damaged_snapshot_is_found(data: Path) -> None:
    snapshot = data / snapshots(data)[0].name
    flip(snapshot, snapshot.stat().st_size // 2)
    done = run("journal", "verify", data)
    assert isinstance(done.exception, JournalError)
    assert snapshot.name in str(done.exception)
    assert replay(data).damaged


def test_a_torn_end_is_said_and_is_no_damage(data: Path) -> None:
    newest = data / segments(data)[-1].name
    newest.write_bytes(newest.read_bytes()[:-3])
    assert "unfinished end" in said("journal", "verify", data)
    assert "unfinished end" in said("replay", data)


@pytest.mark.parametrize("folder", ["missing", "."])
def test_a_folder_without_a_journal_is_said(tmp_path: Path, folder: str) -> None:
    assert isinstance(run("journal", "verify", tmp_path / folder).exception, JournalError)


# --- show, tail, stats -----------------------------------------------------------------------------------------------


def test_who_did_each_administrative_act(data: Path) -> None:
    acts = lines("journal", "show", data, "--admin", "--json")
    by = {(act["method"] or act["kind"]): act["caller"] for act in acts}
    assert by["Assign"] == "boss"
    assert by["drain"] == "ops"
    assert set(by) == {"Apply", "UpsertAgents", "Assign", "drain"}
    text = said("journal", "show", data, "--admin")
    assert "boss  Assign" in text
    assert "takes no new tickets" in text


def test_records_are_found_by_ticket_caller_and_time(data: Path, between_us: int) -> None:
    named = [record["method"] for record in lines("journal", "show", data, "--ticket", "t0", "--json")]
    assert named == ["Route", "Decline", "Accept", "Complete"]
    assert [record["method"] for record in lines("journal", "show", data, "--ticket", "b499", "--json")] == [
        "RouteBatch"
    ]
    assert {record["caller"] for record in lines("journal", "show", data, "--caller", "desk-app", "--json")} == {
        "desk-app"
    }
    later = lines("journal", "show", data, "--since", iso(between_us), "--json")
    sooner = lines("journal", "show", data, "--until", iso(between_us), "--json")
    assert len(later) + len(sooner) == sum(1 for _ in records(data))
    assert all(record["now_us"] > between_us for record in later)
    assert len(lines("journal", "show", data, "--limit", "2", "--json")) == 2


def test_tail_shows_the_newest(data: Path) -> None:
    everything = lines("journal", "show", data, "--json")
    assert lines("journal", "tail", data, "-n", "3", "--json") == everything[-3:]
    assert lines("journal", "tail", data, "-n", "100000", "--json") == everything


def test_stats_count_everything(data: Path) -> None:
    (figures,) = lines("journal", "stats", data, "--json")
    assert figures["records"] == sum(1 for _ in records(data))
    assert figures["methods"]["Route"]["records"] == 3
    assert figures["callers"]["desk-app"] == 3
    assert figures["tenants"] == {"default": figures["records"]}
    text = said("journal", "stats", data)
    assert "RouteBatch" in text
    assert "desk-app" in text


# --- replay and explain ----------------------------------------------------------------------------------------------


def test_replay_comes_to_the_same_state_at_every_snapshot(data: Path) -> None:
    done = replay(data)
    assert done.began == 0
    assert [compared.block for compared in done.compared] == [snapshot.block for snapshot in snapshots(data)]
    assert not done.differs
    (shown,) = lines("replay", data, "--json")
    assert shown["states"] == {tenant: f"{state:016x}" for tenant, state in done.states}
    assert "the same state" in said("replay", data)


def test_replay_from_a_snapshot_ends_in_the_same_state(data: Path) -> None:
    whole, newest = replay(data), snapshots(data)[-1]
    assert replay(data, since_us=newest.time_us).began == newest.block
    # Without the segments before the oldest snapshot it begins there by itself.
    first = snapshots(data)[0]
    for segment, after in zip(segments(data), segments(data)[1:], strict=False):
        if after.first <= first.block + 1:
            (data / segment.name).unlink()
    tail = replay(data)
    assert tail.began == first.block
    assert tail.states == whole.states
    assert tail.blocks < whole.blocks


def test_a_snapshot_of_another_state_differs(data: Path) -> None:
    """Every checksum right, the state another's: only replaying tells."""
    path = data / snapshots(data)[0].name
    head, parts = reader.snapshot(path)
    node = bytearray(parts["node"])
    node[-1] ^= 1  # the hash of all events so far
    path.write_bytes(forged(path.read_bytes()[:96], {**parts, "node": bytes(node)}))
    assert reader.snapshot(path)[0] == head
    assert not snapshots(data)[0].wrong
    assert "hash of all events" in "".join(replay(data).compared[0].differences)
    assert isinstance(run("replay", data).exception, JournalError)


def forged(head: bytes, parts: dict[str, bytes]) -> bytes:
    """A snapshot's file with these parts, as FORMAT.md has it."""

    def frame(content: bytes) -> bytes:
        length = struct.pack("<I", len(content))
        return length + struct.pack("<I", reader.crc(length + content)) + content

    for name, content in parts.items():
        head += frame(b"\1" + name.encode()) + frame(b"\2" + content)
    return head + frame(b"\3" + struct.pack("<IQ", len(parts), len(head)) + hashlib.sha256(head).digest())


def test_a_ticket_tells_its_story(data: Path) -> None:
    told = story(data, "t0")
    kinds = [one.wire.WhichOneof("kind") for one in told.events]
    assert kinds[:5] == ["queued", "offered", "queued", "offered", "assigned"]
    assert "completed" in kinds
    assert [one.caller for one in told.events if one.method == "Decline"] == ["desk-app"] * 2
    text = said("explain", "t0", "--data-dir", data)
    for words in (
        "declined (at lunch)",
        "first of 2 who could take it",
        "outcome solved",
        "desk-app: Complete",
        "t0 · ",
    ):
        assert words in text
    (as_json,) = lines("explain", "t0", "--data-dir", data, "--json")
    assert [one["by"]["method"] for one in as_json["events"][:3]] == ["Route", "Route", "Decline"]


def test_a_story_ends_where_it_is_told_to(data: Path, between_us: int) -> None:
    told = story(data, "t0", until_us=between_us)
    assert told.now is not None
    assert told.now.ticket.state.name == "ACTIVE"
    assert "supervisor" in said("explain", "t2", "--data-dir", data)


def test_an_unknown_ticket_is_said(data: Path) -> None:
    done = run("explain", "nobody", "--data-dir", data)
    assert isinstance(done.exception, JournalError)
    assert "nothing happened to a ticket 'nobody'" in str(done.exception)


def test_events_have_no_gap(data: Path) -> None:
    sequences = [one.event.sequence for one in heard(data)]
    assert sequences == list(range(1, len(sequences) + 1))


# --- export ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["records", "events"])
def test_both_formats_hold_the_same_rows(data: Path, tmp_path: Path, what: str) -> None:
    import pyarrow.parquet

    rows = list(record_rows(records(data)) if what == "records" else event_rows(heard(data)))
    for name in ("rows.jsonl", "rows.parquet"):
        assert f"{len(rows)} {what}" in said("journal", "export", data, "--to", tmp_path / name, "--what", what)
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == rows
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert str(table.schema.field("at").type) == "timestamp[us, tz=UTC]"
    at = table.column("at").cast("int64").to_pylist()
    columns = {name: table.column(name).to_pylist() for name in table.column_names} | {"at": at}
    assert [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)] == rows
    assert not list(tmp_path.glob("*.partial"))


def test_without_pyarrow_one_is_told_what_to_install(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'csroute\[parquet\]'"):
        export(record_rows(records(data)), tmp_path / "rows.parquet")
    assert not list(tmp_path.glob("rows*"))


def test_another_name_is_refused(data: Path, tmp_path: Path) -> None:
    done = run("journal", "export", data, "--to", tmp_path / "rows.csv")
    assert isinstance(done.exception, ConfigError)


# --- backup, restore, repair -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", [False, True])
def test_a_backup_is_the_whole(data: Path, tmp_path: Path, link: bool) -> None:
    states = replay(data).states
    said("backup", data, tmp_path / "copy", *(["--link"] if link else []))
    assert replay(tmp_path / "copy").states == states
    said("restore", tmp_path / "copy", tmp_path / "back")
    assert replay(tmp_path / "back").states == states


def test_damage_to_the_original_is_no_damage_to_a_copy(data: Path, tmp_path: Path) -> None:
    said("backup", data, tmp_path / "copy")
    flip(oldest(data), 300)
    said("journal", "verify", tmp_path / "copy")
    # What is damaged is not backed up as if it were sound.
    assert isinstance(run("backup", data, tmp_path / "other").exception, JournalError)
    assert not list((tmp_path / "other").iterdir())


def test_restored_to_a_time_it_is_as_it_was(data: Path, tmp_path: Path, between_us: int) -> None:
    said("restore", data, tmp_path / "then", "--until", iso(between_us))
    told = story(tmp_path / "then", "t0")
    assert told.now is not None
    assert told.now.ticket.state.name == "ACTIVE"
    assert replay(tmp_path / "then").states == replay(data, until_us=between_us).states


def test_before_its_beginning_there_is_nothing_to_restore(data: Path, tmp_path: Path) -> None:
    done = run("restore", data, tmp_path / "then", "--until", "2001-01-01")
    assert isinstance(done.exception, JournalError)
    assert "nothing as old as that" in str(done.exception)


def test_nothing_is_written_over(data: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "precious").write_text("mine")
    done = run("backup", data, tmp_path / "copy")
    assert isinstance(done.exception, JournalError)
    assert "precious" in str(done.exception)


def test_a_repair_cuts_at_the_damage_and_keeps_copies(data: Path) -> None:
    for snapshot in snapshots(data):
        (data / snapshot.name).unlink()
    before = oldest(data).read_bytes()
    hit = list(blocks(data))[5]
    flip(oldest(data), hit.offset + 70)
    wrong = oldest(data).read_bytes()
    text = said("journal", "repair", data, "--yes")
    assert f"ends after block {hit.number - 1}" in text
    said("journal", "verify", data)
    assert replay(data).block == hit.number - 1
    assert any(kept.read_bytes() == wrong for kept in data.glob("*.aside"))
    assert before.startswith(oldest(data).read_bytes())
    assert "nothing is damaged" in said("journal", "repair", data, "--yes")


def test_without_a_yes_nothing_is_repaired(data: Path) -> None:
    flip(oldest(data), 300)
    wrong = oldest(data).read_bytes()
    assert CliRunner().invoke(app, ["journal", "repair", str(data)], input="n\n").exit_code == 1
    assert oldest(data).read_bytes() == wrong


# --- plan ------------------------------------------------------------------------------------------------------------


def test_more_load_and_longer_retention_need_more() -> None:
    def need(*arguments: object) -> dict[str, float]:
        (planned,) = lines("plan", "--json", *arguments)
        found: dict[str, float] = planned["need"]
        return found

    little, much = need(), need("--waiting", "1000000", "--history-hours", "240", "--peak-per-min", "600000")
    for name in ("disk_bytes", "memory_bytes", "recovery_s", "journal_bytes_per_s"):
        assert much[name] > little[name] > 0
    text = said("plan")
    for words in ("disk", "memory", "recovery", "journal lifecycle bytes"):
        assert words in text


def test_the_constants_can_be_measured() -> None:
    from csroute.journal.measure import measure
    from csroute.journal.plan import MEASURED

    found = measure(20_000)
    # What is counted, not timed, is what the constants say, whatever the machine.
    assert found.journal_lifecycle_bytes == pytest.approx(MEASURED.journal_lifecycle_bytes, rel=0.2)
    assert found.waiting_snapshot_bytes == pytest.approx(MEASURED.waiting_snapshot_bytes, rel=0.2)
    assert found.closed_snapshot_bytes == pytest.approx(MEASURED.closed_snapshot_bytes, rel=0.2)


def test_the_folder_is_not_changed_by_looking(data: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    for command in (["journal", "verify"], ["journal", "show"], ["journal", "stats"], ["replay"]):
        said(*command, data)
    said("backup", data, tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    shutil.rmtree(tmp_path / "copy")
