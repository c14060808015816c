"""How often requests may be sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """At most so many requests a second, evenly; safe for several threads, which wait for their turn."""

    def __init__(
        self,
        requests_per_second: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap_seconds = 1 / requests_per_second
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._next = float("-inf")

    def wait(self) -> None:
        """Until the next request may be sent."""
        with self._lock:
            now = self._clock()
            turn = max(self._next, now)
            self._next = turn + self._gap_seconds
        if turn > now:
            self._sleep(turn - now)
