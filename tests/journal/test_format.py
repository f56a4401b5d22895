"""FORMAT.md says enough: a reader written from it alone reads what the crate wrote, and finds what was damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.journal.reader import Block, DamagedError, blocks, crc, snapshot

SAMPLE = Path(__file__).parent / "sample" / "format-1"
BEGAN_US = 1_762_790_400_000_000

# What the crate's own test made the sample of.
WRITTEN = [
    Block(1, 0, 0x0000, BEGAN_US, 2, (b"route ticket-1", b"", b"accept ticket-1")),
    Block(2, 1, 0x1111, BEGAN_US + 1000, 2, ("ticket-2 は日本語".encode(),)),
    Block(3, 2, 0x2222, BEGAN_US + 2000, 2, (b"\xff" * 300, b"complete ticket-1")),
    Block(4, 3, 0x3333, BEGAN_US + 5000, 2, ()),
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "journal"))


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*"))


def test_the_checksum_is_the_one_of_the_page() -> None:
    assert crc(b"123456789") == 0xE3069283


def test_every_record_is_read() -> None:
    assert list(blocks(SAMPLE)) == WRITTEN


def test_the_snapshot_is_read() -> None:
    head, parts = snapshot(SAMPLE / "snapshot-00000000000000000002.snapshot")
    assert (head.block, head.semantics, head.time_us) == (2, 2, BEGAN_US + 1000)
    assert parts == {"node": b"", "tenant/default": bytes(range(256)) * 1171 + bytes(range(224))}


def test_a_torn_tail_ends_the_reading(journal: Path) -> None:
    newest = segments(journal)[-1]
    data = newest.read_bytes()
    newest.write_bytes(data[:-1])
    assert list(blocks(journal)) == WRITTEN[:3]
    newest.write_bytes(data[:-65])
    assert list(blocks(journal)) == WRITTEN[:2]
    newest.write_bytes(data[:20])
    assert list(blocks(journal)) == WRITTEN[:2]


@pytest.mark.parametrize("segment", [0, 1])
def test_every_bit_that_turns_is_found(journal: Path, segment: int) -> None:
    path = segments(journal)[segment]
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        if segment == 1 and at >= len(data) - 64:
            assert list(blocks(journal)) == WRITTEN[:3], "nothing vouches for the closing block"
        else:
            with pytest.raises(DamagedError):
                list(blocks(journal))


def test_a_missing_segment_is_found(journal: Path) -> None:
    shutil.copy(segments(journal)[1], journal / "segment-00000000000000000009.journal")
    with pytest.raises(DamagedError):
        list(blocks(journal))


def test_a_damaged_snapshot_is_found(journal: Path) -> None:
    path = journal / "snapshot-00000000000000000002.snapshot"
    data = path.read_bytes()
    for wrong in (data[:-1], data + b"\0", data[:200] + b"\1" + data[201:], b"", data[:96]):
        path.write_bytes(wrong)
        with pytest.raises(DamagedError):
            snapshot(path)
