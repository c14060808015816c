"""Colours and widths of terminal text. A colour never says anything that the words do not."""

from __future__ import annotations

from collections.abc import Sequence

import wcwidth
from colorama import Fore, Style
from tabulate import tabulate

from kubectl_memdoctor.finding import Severity

_SEVERITY_COLORS = {
    Severity.CRITICAL: Fore.RED + Style.BRIGHT,
    Severity.WARNING: Fore.YELLOW,
    Severity.INFO: Fore.CYAN,
}


def severity_word(severity: Severity, *, color: bool) -> str:
    return _inked(severity.value, _SEVERITY_COLORS[severity], color)


def strong(text: str, *, color: bool) -> str:
    return _inked(text, Style.BRIGHT, color)


def _inked(text: str, codes: str, color: bool) -> str:
    return f"{codes}{text}{Style.RESET_ALL}" if color else text


def columns(text: str) -> int:
    """Terminal columns of one line, its colours aside; letters of Chinese, Japanese and Korean take two."""
    return wcwidth.width(text)


def fold(text: str, width: int | None, *, indent: str = "", hanging: str = "") -> list[str]:
    """One line as several of at most `width` columns; `hanging` is added to the indent of all but the first."""
    if width is None:
        return [f"{indent}{text}"]
    return wcwidth.wrap(
        text,
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
    ) or [indent]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns as kubectl's, every text as it is; headers are a row like any other."""
    text = tabulate(rows, tablefmt="plain", disable_numparse=True)
    return [line.rstrip() for line in text.splitlines()]
