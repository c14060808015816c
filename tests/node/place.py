"""Where a node runs: on this machine or in a virtual one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

SECONDS = 60.0
"""For a command, where the caller does not say."""


class CommandFailed(Exception):
    """A command on a node left with another code than 0."""


class Place(Protocol):
    """Every path is the node's own."""

    def run(self, argv: Sequence[str], seconds: float = SECONDS, stdin: bytes = b"") -> str:
        """What it prints on stdout. Raises where it fails or takes longer."""

    def start(self, argv: Sequence[str], log: str) -> int:
        """Runs a program that goes on, its output in the file `log`; its process id."""

    def put(self, path: str, content: bytes) -> None: ...

    def get(self, path: str) -> bytes: ...
