"""What the program's exit says, and the two kinds of errors that end it early."""

from __future__ import annotations

NOTHING_FOUND = 0
FOUND = 1
COULD_NOT_LOOK = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


class CouldNotLook(Exception):
    """Its text is the whole line for stderr (`error: ...`, `Error from server (...): ...`). Exit code 2."""


class UsageError(Exception):
    """What is wrong with the command line, in kubectl's words and without `error: `. Exit code 2."""
