"""Says what would be made, and asks before anything is."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO

from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.flags import YES, CommandLine
from kubectl_memdoctor.screen import Screen


def demand_consent(line: CommandLine, what: str, otherwise: str = "") -> None:
    """Raises CouldNotLook where `what` (a command, a flag) may not write, and nobody can be asked."""
    if line.flag(YES) or (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return
    raise CouldNotLook(
        f"error: {what} writes to the cluster, and there is no terminal to ask on: pass --{YES.name}{otherwise}"
    )


def agreed(line: CommandLine, screen: Screen) -> bool:
    """Asks as `kubectl delete --interactive` does."""
    if line.flag(YES):
        return True
    screen.err.write("Do you want to continue? (y/N): ")
    screen.err.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        screen.say("")
    return answer.strip().lower() in ("y", "yes")


def print_lines(lines: Iterable[str], stream: TextIO) -> None:
    """Lines with the cluster's words in them: cleaned, and indented as they are."""
    for text in lines:
        indent = len(text) - len(text.lstrip(" "))
        print(" " * indent + clean(text[indent:]), file=stream)
