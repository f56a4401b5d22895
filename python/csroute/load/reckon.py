"""The reckoning: what the processes were told of each ticket, against each other and against the server's word.

>>> books = [Book(bytearray([5, 2, 2, 0xFF]), {0: (bytearray([1, 1]), bytearray([1, 1]))})]
>>> asked = open_ids("run", books)
>>> asked
['run.00-00000002']
>>> tally = reconcile("run", books, asked, {"run.00-00000002": "WAITING"})
>>> tally["acknowledged"], tally["completed"], tally["refused"], tally["open"], tally["problems"]
(3, 2, 1, {'WAITING': 1}, [])
>>> reconcile("run", books, asked, {})["problems"]
['1 tickets were acknowledged and are lost: run.00-00000002']
>>> books[0].told[0][1][0] = 2
>>> reconcile("run", books, asked, {"run.00-00000002": "WAITING"})["problems"]
['1 tickets were completed twice: run.00-00000000']
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NEVER_SENT", "NO_ANSWER", "REFUSED", "Book", "open_ids", "reconcile"]

NEVER_SENT: Final = 0
NO_ANSWER: Final = 0xFE
REFUSED: Final = 0xFF
_SHOWN_MAX: Final = 3


class Book(NamedTuple):
    """A process's ledger. Its own tickets' marks; and by process, how often each was assigned, how often completed."""

    given: bytearray
    told: dict[int, tuple[bytearray, bytearray]]


def _id(run: str, process: int, number: int) -> str:
    return f"{run}.{process:02d}-{number:08d}"


def _sums(books: Sequence[Book], process: int, which: int) -> bytearray:
    """How often the desks heard of each ticket of a process."""
    parts = [book.told[process][which] for book in books if process in book.told]
    if len(parts) < 2:
        return parts[0] if parts else bytearray()
    longest = max(map(len, parts))
    padded = [part.ljust(longest, b"\0") for part in parts]
    return bytearray(min(255, sum(counts)) for counts in zip(*padded, strict=True))


def _more_than_once(run: str, process: int, counts: bytearray) -> list[str]:
    if counts.count(0) + counts.count(1) == len(counts):
        return []
    return [_id(run, process, number) for number, count in enumerate(counts) if count > 1]


def open_ids(run: str, books: Sequence[Book]) -> list[str]:
    """Tickets that were sent and that nobody completed: the server is asked about them."""
    found = []
    for process, book in enumerate(books):
        done = _sums(books, process, 1).ljust(len(book.given), b"\0")
        found += [
            _id(run, process, number)
            for number, (mark, count) in enumerate(zip(book.given, done, strict=False))
            if not count and mark not in (NEVER_SENT, REFUSED)
        ]
    return found


def reconcile(run: str, books: Sequence[Book], asked: Sequence[str], server: Mapping[str, str]) -> dict[str, Any]:
    """What became of the tickets. `asked`: those of `open_ids` that the server was asked of; `server`: its word."""
    problems: list[str] = []
    totals: Counter[str] = Counter()
    for process, book in enumerate(books):
        assigned, completed = _sums(books, process, 0), _sums(books, process, 1)
        for what, counts in (("assigned", assigned), ("completed", completed)):
            _tell(problems, f"were {what} twice", _more_than_once(run, process, counts))
            totals[what] += len(counts) - counts.count(0)
            strangers = [number for number in range(len(book.given), len(counts)) if counts[number]]
            _tell(problems, f"were {what} and never sent", [_id(run, process, number) for number in strangers])
        totals["sent"] += len(book.given)
        totals["refused"] += book.given.count(REFUSED)
        totals["unanswered"] += book.given.count(NO_ANSWER)
    # Without an answer it may never have been taken.
    lost = [name for name in asked if name not in server and _mark(books, name) != NO_ANSWER]
    _tell(problems, "were acknowledged and are lost", lost)
    acknowledged = totals["sent"] - totals["refused"] - totals["unanswered"]
    opened = dict(Counter(server.values()))
    names = ("sent", "refused", "unanswered", "assigned", "completed")
    return {
        **{name: totals[name] for name in names},
        "acknowledged": acknowledged,
        "asked": len(asked),
        "open": opened,
        "lost": len(lost),
        "problems": problems,
    }


def _mark(books: Sequence[Book], name: str) -> int:
    process, number = name.rsplit(".", 1)[1].split("-")
    return books[int(process)].given[int(number)]


def _tell(problems: list[str], what: str, tickets: Sequence[str]) -> None:
    if tickets:
        problems.append(f"{len(tickets)} tickets {what}: {', '.join(tickets[:_SHOWN_MAX])}")
