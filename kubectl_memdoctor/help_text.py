"""--help, worded and laid out as kubectl's."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kubectl_memdoctor.flags import CONNECTION, PROGRAM, Arguments, Flag, Kind

COLUMNS = 80
_EXAMPLES = "\nExamples:\n"


class Page(NamedTuple):
    """A command's help. `text` is its file's docstring: a sentence, paragraphs, and a part "Examples:"."""

    name: str
    usage: str
    text: str
    flags: tuple[Flag, ...]
    arguments: Arguments

    @property
    def summary(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def paragraphs(self) -> list[str]:
        return _paragraphs(self.text.partition(_EXAMPLES)[0].strip())

    @property
    def examples(self) -> list[str]:
        """Line by line; without any, none."""
        return textwrap.dedent(self.text.partition(_EXAMPLES)[2]).strip("\n").splitlines()

    @property
    def own_flags(self) -> list[Flag]:
        """Without those about the connection."""
        return [flag for flag in self.flags if flag not in CONNECTION]


INTRODUCTION = (
    "Say why memory keeps a pod from starting, or kills it.\n\n"
    "Looks at pods, their events, nodes and owners, computes the memory limit that the kubelet really gives a pod,"
    " holds it against what the node's container runtime needs, and prints the cause, what proves it, what was ruled"
    " out, what could not be looked at, and the command that mends it. Only calibrate and"
    " --debug-pod write to the cluster, and ask first."
)


def introduction() -> list[str]:
    """Paragraph by paragraph."""
    return _paragraphs(INTRODUCTION)


def overview(pages: Iterable[Page]) -> Iterator[str]:
    """`kubectl memdoctor --help`."""
    yield from _wrapped(introduction())
    yield ""
    yield "Commands:"
    for page in pages:
        yield f"  {page.name:10} {page.summary.rstrip('.')}"
    yield ""
    yield "Usage:"
    yield f"  {PROGRAM} COMMAND [options]"
    yield ""
    yield f'Use "{PROGRAM} COMMAND --help" for more information about a command.'
    yield f'Use "{PROGRAM} options" for --context, -n, --as and the like.'


def command_help(page: Page) -> Iterator[str]:
    """`kubectl memdoctor COMMAND --help`."""
    yield from _wrapped(page.paragraphs)
    if page.examples:
        yield ""
        yield "Examples:"
        yield from (f"  {line}" if line else "" for line in page.examples)
    if page.own_flags:
        yield ""
        yield "Options:"
        yield from flag_lines(page.own_flags)
    yield ""
    yield "Usage:"
    yield f"  {PROGRAM} {page.usage}"
    if CONNECTION[0] in page.flags:
        yield ""
        yield f'Use "{PROGRAM} options" for --context, -n, --as and the like.'


def flag_lines(flags: Iterable[Flag]) -> Iterator[str]:
    """Each flag as kubectl prints it: its spellings with their default, its meaning below."""
    for number, flag in enumerate(sorted(flags, key=lambda entry: entry.name)):
        if number:
            yield ""
        yield f"    {spelling(flag)}:"
        indent = "        "
        yield from textwrap.wrap(
            flag.help, COLUMNS, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )


def spelling(flag: Flag) -> str:
    """As kubectl writes it: `-o, --output=''`."""
    default = {Kind.LIST: "[]", Kind.TEXT: f"'{flag.default}'"}.get(flag.kind, flag.default)
    return ", ".join(
        f"{spelling}={default}" if spelling.startswith("--") else spelling for spelling in flag.spellings()
    )


def _wrapped(paragraphs: Iterable[str]) -> Iterator[str]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ""
        yield from textwrap.wrap(paragraph, COLUMNS, break_on_hyphens=False)


def _paragraphs(text: str) -> list[str]:
    """Each as one line."""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
