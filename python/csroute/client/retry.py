"""When a call is sent again: the same bytes with the same ids, so that a second arrival changes nothing.

Sent again are calls that the server, or the way to it, says may go through later: UNAVAILABLE, and a bound that is
reached if the server names a time (`RetryInfo`), which is kept to. A stream that was cut because it was read too slowly
is opened again where it was. The pauses grow and are jittered, so that a thousand gateways do not come back in step.
The caller's own timeout bounds all tries together.

>>> from csroute.errors import LimitError, StateError, UnavailableError
>>> retry = Retry(first_ms=50, pause_ms_max=2000)
>>> 0 < retry.pause_s(1, UnavailableError("no connection")) <= 0.05
True
>>> 1 <= retry.pause_s(1, LimitError("full", retry_after_ms=1000)) <= 1.25
True
>>> retry.pause_s(1, StateError("stale")) is None, retry.pause_s(99, UnavailableError("down")) is None
(True, True)
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csroute.errors import RejectedError

__all__ = ["Retry"]

_JITTER = random.SystemRandom()
_CUT = "WATCHER_SLOW"


@dataclass(frozen=True)
class Retry:
    """How often, and after which pause.

    Attributes:
        tries_max: tries in all; 1 never sends a call again.
        first_ms: the longest pause before the second try; each later one may be twice as long.
        pause_ms_max: no pause of our own is longer.
    """

    tries_max: int = 6
    first_ms: float = 50
    pause_ms_max: float = 2000

    def pause_s(self, tries: int, error: RejectedError) -> float | None:
        """How long to wait after `tries` tries; None: give up."""
        if tries >= self.tries_max or not (error.retryable or error.name == _CUT):
            return None
        if error.retry_after_ms is not None:  # no sooner than asked, and not all at once
            return error.retry_after_ms * _JITTER.uniform(1, 1.25) / 1000
        return self.backoff_s(tries)

    def backoff_s(self, tries: int) -> float:
        """A pause of our own after `tries` failures in a row: anywhere up to a bound that doubles."""
        return _JITTER.uniform(0, min(self.pause_ms_max, self.first_ms * 2.0 ** min(tries - 1, 30))) / 1000
