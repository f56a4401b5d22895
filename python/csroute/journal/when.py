"""Times as people write them, and back. A time without a zone is this machine's.

>>> parse_time("2026-11-11T00:03:12+08:00")
1794326592000000
>>> parse_time("1794326592.5")
1794326592500000
>>> parse_time("midnight")
Traceback (most recent call last):
    ...
csroute.errors.ConfigError: 'midnight' is no time: write 2026-11-11T00:03:12, with a zone such as +08:00 if it is not \
this machine's, or seconds since 1970
"""

from __future__ import annotations

from datetime import UTC, datetime

from csroute.errors import ConfigError

__all__ = ["clock", "parse_time"]


def parse_time(text: str) -> int:
    """Unix µs. Raises ConfigError."""
    try:
        return int(float(text) * 1e6)
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no time: write 2026-11-11T00:03:12, with a zone such as +08:00 if it is not this machine's, "
            "or seconds since 1970"
        ) from None
    since = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def clock(at_us: int, *, day: bool = True) -> str:
    """A time to the millisecond, in this machine's zone."""
    if not at_us:
        return "-"
    at = datetime.fromtimestamp(at_us // 1000 / 1000, UTC).astimezone()
    return (
        at.isoformat(sep=" ", timespec="milliseconds")
        if day
        else at.strftime("%H:%M:%S.") + f"{at_us // 1000 % 1000:03}"
    )
