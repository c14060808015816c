"""How kubectl wants to be answered: one word a line, with a tab and a description if it has one, then `:DIRECTIVE`.

https://github.com/kubernetes/kubectl/blob/v0.37.2/pkg/cmd/plugin/plugin_completion.go
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import IntFlag
from typing import NamedTuple

from kubectl_memdoctor.clean import clean


class Directive(IntFlag):
    """What the shell does beside offering the words: https://github.com/spf13/cobra/blob/v1.10.1/completions.go"""

    FILES = 0
    """Files, where no word is offered."""
    NO_FILES = 4
    FOLDERS = 16


class Word(NamedTuple):
    """One that may stand there."""

    text: str
    description: str = ""


class Offer(NamedTuple):
    words: tuple[Word, ...] = ()
    directive: Directive = Directive.NO_FILES


NOTHING = Offer()

_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
"""What no shell takes for anything but itself, by the letters of Python's shlex.quote."""


def lines(offer: Offer) -> Iterator[str]:
    """What is printed."""
    for word in offer.words:
        yield f"{word.text}\t{clean(word.description)}" if word.description else word.text
    yield f":{int(offer.directive)}"


def plain(names: Iterable[str]) -> Iterator[str]:
    """Those that a shell takes as they are.

    A server or a kubeconfig may say anything, and what kubectl 1.30 prints for bash runs what stands in a word:
    `compgen -W` expands `$(...)`. Names of objects are plain; a context with a space in it is not offered.
    https://github.com/spf13/cobra/blob/v1.7.0/bash_completionsV2.go
    """
    return (name for name in names if _PLAIN.fullmatch(name))
