"""Ctrl-C, SIGTERM and a terminal that is closed: each ends a run, but never before what it made is removed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType

from kubectl_memdoctor.exit_code import Interrupted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
INSISTING = 2
"""So many signals while things are being removed end that as well."""


class Signals:
    """Within the block a signal raises Interrupted, once; after `defer` it only tells that there is work left to do."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._deferred = False
        self._insisted = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in SIGNALS:
            # A shell's background jobs and nohup ignore some: so do we then.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def defer(self) -> None:
        self._deferred = True

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if not self._deferred:
            self._deferred = True
            raise Interrupted(number)
        self._insisted += 1
        if self._insisted >= INSISTING:
            raise Interrupted(number)
        self._tell("still removing what was made; once more leaves it there")
