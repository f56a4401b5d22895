"""What a node's data folder tells, offline: its records, its decisions, their figures. Nothing here changes a journal.

    from csroute.journal import records, story

    for record in records("data", since=parse_time("2026-11-11T00:03")):
        print(record.caller, record.method, record.message())
    print(story("data", "ticket-1").events)

Every error is a JournalError that says what is wrong, where, and what to do.
"""

from csroute.journal.export import export
from csroute.journal.read import Record, blocks, records, refusing, segments, snapshots
from csroute.journal.replay import Compared, Heard, Replayed, Story, heard, replay, story
from csroute.journal.when import clock, parse_time

__all__ = [
    "Compared",
    "Heard",
    "Record",
    "Replayed",
    "Story",
    "blocks",
    "clock",
    "export",
    "heard",
    "parse_time",
    "records",
    "refusing",
    "replay",
    "segments",
    "snapshots",
    "story",
]
