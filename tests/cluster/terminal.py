"""A person at a terminal: an interactive shell under tmux, what is typed, and what the screen shows."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS, LINES = 160, 50
PATIENCE_SECONDS = 100.0
"""Far more than it takes: the machine may be busy."""


class NotShown(AssertionError):
    """The screen never came to show what was waited for."""


@dataclass(frozen=True, slots=True)
class Terminal:
    socket: Path

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """By tmux's names: Tab, Enter, C-u."""
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p").rstrip()

    def wait_for(self, *texts: str) -> str:
        """The screen, as soon as all of the texts stand on it. Raises NotShown."""
        return self.wait_until(lambda screen: all(text in screen for text in texts))

    def wait_until(self, fits: Callable[[str], bool]) -> str:
        """The screen, as soon as it fits. Raises NotShown."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not fits(screen := self.screen()):
            if time.monotonic() > deadline:
                raise NotShown(f"this is not what was waited for:\n{screen}")
            time.sleep(0.1)
        return screen

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def terminal(folder: Path, command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Terminal]:
    """Runs `command` in `folder`, with nothing but `environ`, until the block is left."""
    env = shutil.which("env")
    assert env
    variables = [f"{name}={value}" for name, value in {"TERM": "screen", "LANG": "C.UTF-8", **environ}.items()]
    socket = folder / "tmux"
    start = ["tmux", "-S", str(socket), "-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES)]
    subprocess.run([*start, "-c", str(folder), env, "-i", *variables, *command], check=True)
    try:
        yield Terminal(socket)
    finally:
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], check=False, capture_output=True)
