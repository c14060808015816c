"""One line on a terminal's stderr that says how far the run is; elsewhere nothing."""

from __future__ import annotations

from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.screen import Screen


class Progress:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shows = screen.err.isatty()
        self._shown = 0

    def __call__(self, text: str) -> None:
        if not self._shows:
            return
        width = (self._screen.width or 80) - 1
        line = clean(f"{text} ...")[:width]
        self._screen.err.write("\r" + line.ljust(self._shown))
        self._screen.err.flush()
        self._shown = len(line)

    def say(self, text: str) -> None:
        """A line that stays."""
        self.close()
        self._screen.say(text)

    def close(self) -> None:
        """Takes the line off the screen."""
        if self._shown:
            self._screen.err.write("\r" + " " * self._shown + "\r")
            self._screen.err.flush()
            self._shown = 0
