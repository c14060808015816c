"""What the program's exit says, and what ends it early."""

from __future__ import annotations

NOTHING_FOUND = 0
FOUND = 1
COULD_NOT_LOOK = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

NOT_THE_WHOLE = "interrupted: what was printed is not the whole"
"""The line that goes with it."""


class CouldNotLook(Exception):
    """Its text is the whole line for stderr (`error: ...`, `Error from server (...): ...`). Exit code 2."""


class UsageError(Exception):
    """What is wrong with the command line, in kubectl's words and without `error: `. Exit code 2."""


class Interrupted(KeyboardInterrupt):
    """A signal, after all that had to be done and said then. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """As shells report it."""
        return 128 + self.number
