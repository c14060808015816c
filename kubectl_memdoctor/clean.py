"""Text from a cluster, made harmless for a terminal.

Names, messages and annotations can hold anything: escape sequences that rewrite the screen, newlines that forge a line,
marks that turn the reading direction. What does not print is shown as its code instead.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of control, format, surrogate, private and unassigned characters, line and paragraph breaks."""
_WHITE = frozenset("\t\n\r\v\f\x85\u2028\u2029")


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """One line without anything that a terminal obeys: white space becomes a space, the rest its code (`\\x1b`)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text)).strip()


def _visible(char: str) -> str:
    if char in _WHITE:
        return " "
    return char.encode("unicode_escape").decode("ascii") if is_hidden(char) else char


def is_hidden(char: str) -> bool:
    """Whether a character does not print: a terminal may obey it instead."""
    return not char.isprintable() and unicodedata.category(char) in _HIDDEN
