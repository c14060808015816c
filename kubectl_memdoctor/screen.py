"""Where a run is shown: the two streams, how wide the terminal is, and whether colours are wanted."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple, TextIO

from kubectl_memdoctor.clean import clean

PROGRESS_AFTER_SECONDS = 1.0
PROGRESS_EVERY_SECONDS = 0.1


class Screen(NamedTuple):
    """`width` is None where lines are not folded: in a file or a pipe."""

    out: TextIO
    err: TextIO
    width: int | None
    color: bool

    def say(self, text: str) -> None:
        """One line for the reader beside the result, on stderr; cleaned."""
        print(clean(text), file=self.err)


def open_streams() -> None:
    """Makes stdout and stderr fit for any text: a letter that their encoding lacks is written as its code, and a stream
    that was closed by the caller (`>&-`) swallows what it gets."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard(stream: TextIO) -> None:
    """Nobody reads the stream any more: what it still holds must not fail once more when it is flushed at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def open_screen(color: str, environ: Mapping[str, str] | None = None) -> Screen:
    """`color` is auto, always or never. https://no-color.org"""
    environ = os.environ if environ is None else environ
    terminal = sys.stdout.isatty()
    wanted = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    width = _terminal_columns() if terminal else None
    screen = Screen(sys.stdout, sys.stderr, width, color == "always" or (color == "auto" and wanted))
    if screen.color:
        import colorama

        colorama.just_fix_windows_console()
    return screen


def _terminal_columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


class Progress:
    """`12,500 of 100,000 pods` on a terminal's stderr while a scan takes longer than a moment; else nothing."""

    def __init__(self, screen: Screen, what: str = "pods") -> None:
        self._what = what
        self._err = screen.err
        self._shows = screen.err.isatty()
        self._next = time.monotonic() + PROGRESS_AFTER_SECONDS
        self._shown = 0

    def __call__(self, count: int, remaining: int | None) -> None:
        of_all = f" of {count + remaining:,}" if remaining else ""
        self.show(f"looked at {count:,}{of_all} {self._what} ...")

    def show(self, text: str) -> None:
        """Any other line, as far as the terminal has room for it."""
        now = time.monotonic()
        if not self._shows or now < self._next:
            return
        self._next = now + PROGRESS_EVERY_SECONDS
        line = clean(text)[: _terminal_columns() - 1]
        self._err.write("\r" + line.ljust(self._shown))
        self._err.flush()
        self._shown = len(line)

    def close(self) -> None:
        """Takes the line off the screen."""
        if self._shown:
            self._err.write("\r" + " " * self._shown + "\r")
            self._err.flush()
            self._shown = 0
