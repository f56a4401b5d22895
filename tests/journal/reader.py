"""A reader of journals written from `rust_core/journal/FORMAT.md` alone: it shares no code with the crate.

>>> crc(b"123456789") == 0xE3069283
True
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEGMENT, SNAPSHOT = b"csrtjrnl", b"csrtsnap"
FILE_HEAD = struct.Struct("<8sII16sQ16sq28xI")
BLOCK_HEAD = struct.Struct("<4sIQQQq16sII")
FRAME = struct.Struct("<II")


class DamagedError(Exception):
    """Bytes that were durable once are not what was written."""


@dataclass(frozen=True)
class Block:
    number: int
    synced: int
    events_hash: int
    time_us: int
    semantics: int
    records: tuple[bytes, ...]


@dataclass(frozen=True)
class Head:
    semantics: int
    journal: bytes
    block: int
    chain: bytes
    time_us: int


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc(data: bytes) -> int:
    """CRC-32C."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def file_head(data: bytes, magic: bytes) -> Head | None:
    """The head of a segment or a snapshot; None if it is not right."""
    if len(data) < FILE_HEAD.size:
        return None
    found, form, semantics, journal, block, chain, time_us, check = FILE_HEAD.unpack_from(data)
    if found != magic or check != crc(data[:92]):
        return None
    if form != 1:
        raise ValueError(f"format {form}: this reader knows 1")
    return Head(semantics, journal, block, chain, time_us)


def frame(data: bytes, at: int) -> tuple[bytes, int] | None:
    """The content of the frame at a place, and where the next one is; None if it is not whole."""
    if at + FRAME.size > len(data):
        return None
    length, check = FRAME.unpack_from(data, at)
    content = data[at + FRAME.size : at + FRAME.size + length]
    if len(content) < length or check != crc(data[at : at + 4] + content):
        return None
    return content, at + FRAME.size + length


def block_head(data: bytes, at: int, journal: bytes) -> tuple[int, int, int, int, int, bytes, int] | None:
    """Body length, number, synced, events hash, time, chain value, records; None if the head is not right."""
    head = data[at : at + BLOCK_HEAD.size]
    if len(head) < BLOCK_HEAD.size or head[:4] != b"cblk":
        return None
    _, length, number, synced, events, time_us, chain, records, check = BLOCK_HEAD.unpack(head)
    return None if check != crc(journal + head[:60]) else (length, number, synced, events, time_us, chain, records)


def whole(data: bytes, at: int, before: Head) -> tuple[Block, bytes, int] | None:
    """The block at a place, its chain value and its end, if it is whole and follows from `before`."""
    if (head := block_head(data, at, before.journal)) is None:
        return None
    length, number, synced, events, time_us, chain, count = head
    body = data[at + 64 : at + 64 + length]
    if len(body) < length or number != before.block + 1:
        return None
    records, place = [], 0
    for _ in range(count):
        if (found := frame(body, place)) is None:
            return None
        records.append(found[0])
        place = found[1]
    computed = hashlib.sha256(before.chain + data[at : at + 40] + data[at + 56 : at + 60] + body).digest()[:16]
    if place != length or computed != chain:
        return None
    return Block(number, synced, events, time_us, before.semantics, tuple(records)), chain, at + 64 + length


def proven(data: bytes, at: int, wanted: int, journal: bytes) -> bool:
    """Whether a block behind this place knew the wanted one durable."""
    while (at := data.find(b"cblk", at)) >= 0:
        head = block_head(data, at, journal)
        if head is not None and head[1] > wanted and head[2] >= wanted:
            return True
        at += 1
    return False


def blocks(folder: Path) -> Iterator[Block]:
    """Every block of a journal, up to its end or its torn tail."""
    paths = sorted(folder.glob("segment-*.journal"))
    last: Head | None = None
    for path in paths:
        data, newest = path.read_bytes(), path == paths[-1]
        head = file_head(data, SEGMENT)
        if head is None or head.block + 1 != int(path.stem.removeprefix("segment-")):
            if newest and len(data) <= FILE_HEAD.size:
                return
            raise DamagedError(f"{path.name}: its head")
        if last is not None and (last.journal, last.block, last.chain) != (head.journal, head.block, head.chain):
            raise DamagedError(f"{path.name}: it does not follow")
        last, at = head, FILE_HEAD.size
        while at < len(data):
            found = whole(data, at, last)
            if found is None:
                if not newest or proven(data, at, last.block + 1, last.journal):
                    raise DamagedError(f"{path.name}: block {last.block + 1} at byte {at}")
                return
            block, chain, at = found
            last = Head(head.semantics, head.journal, block.number, chain, block.time_us)
            yield block


def snapshot(path: Path) -> tuple[Head, dict[str, bytes]]:
    """A snapshot's head and its parts."""
    data = path.read_bytes()
    head = file_head(data, SNAPSHOT)
    if head is None or head.block != int(path.stem.removeprefix("snapshot-")):
        raise DamagedError(f"{path.name}: its head")
    parts: dict[str, bytearray] = {}
    name, at = "", FILE_HEAD.size
    while True:
        if (found := frame(data, at)) is None or not found[0]:
            raise DamagedError(f"{path.name}: byte {at}")
        content, end = found
        kind, rest = content[0], content[1:]
        if kind == 1:
            name = rest.decode()
            parts[name] = bytearray()
        elif kind == 2 and parts:
            parts[name] += rest
        elif kind == 3 and rest == struct.pack("<IQ", len(parts), at) + hashlib.sha256(data[:at]).digest():
            if end != len(data):
                raise DamagedError(f"{path.name}: bytes past its end")
            return head, {name: bytes(part) for name, part in parts.items()}
        else:
            raise DamagedError(f"{path.name}: the frame at byte {at}")
        at = end
