"""One file an output format (`-o NAME`), each with `lines(diagnosis, layout)`: what goes to stdout, line by line.

What can be printed while the pods still pass by has a `Stream(layout)` beside it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, cast

from msgspec import Struct

from kubectl_memdoctor.finding import Diagnosis, Finding


class Layout(Struct, frozen=True):
    """`width` in terminal columns, None where lines are not folded; `pods`: one row for each pod; `contexts`: each
    finding names its cluster."""

    width: int | None = None
    color: bool = False
    headers: bool = True
    pods: bool = False
    contexts: bool = False


Printer = Callable[[Diagnosis, Layout], Iterator[str]]


def printer(output: str) -> Printer:
    """The printer of one of `flags.OUTPUTS`, imported when it is wanted."""
    return cast(Printer, importlib.import_module(f"{__name__}.{output}").lines)


class Stream(Protocol):
    """One run's output, as its findings become certain."""

    def found(self, findings: Sequence[Finding], now: datetime) -> Iterator[str]:
        """Lines for some of them, worst first. `now` is what their ages count from."""

    def end(self, diagnosis: Diagnosis, rest: Sequence[Finding]) -> Iterator[str]:
        """Lines for those of the report that `found` was not given, and what else stands at the end."""


def stream(output: str, layout: Layout) -> Stream | None:
    """None where the output is printed as a whole: rows of a table align, documents have one beginning and one end."""
    if output == "jsonl" or (output == "table" and layout.width is not None):
        return cast(Stream, importlib.import_module(f"{__name__}.{output}").Stream(layout))
    return None
