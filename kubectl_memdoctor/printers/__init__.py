"""One file an output format (`-o NAME`), each with `lines(diagnosis, layout)`: what goes to stdout, line by line."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from kubectl_memdoctor.finding import Diagnosis


@dataclass(frozen=True, slots=True)
class Layout:
    """`width` in terminal columns, None where lines are not folded; `pods`: one row for each pod."""

    width: int | None = None
    color: bool = False
    headers: bool = True
    pods: bool = False


Printer = Callable[[Diagnosis, Layout], Iterator[str]]


def printer(output: str) -> Printer:
    """The printer of one of `flags.OUTPUTS`, imported when it is wanted."""
    return cast(Printer, importlib.import_module(f"{__name__}.{output}").lines)
