"""What may stand at the end of a line, by its flags and the commands alone: nothing is asked for here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from kubectl_memdoctor.completion.protocol import NOTHING, Directive, Offer, Word
from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.flags import (
    ALL_CONTEXTS,
    CONNECTION,
    CONTEXTS,
    EVERYWHERE,
    FILENAME,
    HELP,
    CommandLine,
    Flag,
    Kind,
    MissingValue,
    Named,
    parse,
)
from kubectl_memdoctor.help_text import Page

FOUND_BY_SHELL = {Named.FILE: Directive.FILES, Named.FOLDER: Directive.FOLDERS}
OF_CLUSTER = frozenset({Named.NAMESPACE, Named.POD, Named.NODE, Named.RUNTIME_CLASS})
ELSEWHERE = (FILENAME, CONTEXTS, ALL_CONTEXTS)
"""With these, what is looked at is not the one cluster that kubectl is on."""


class Question(NamedTuple):
    """Names that begin with `start` are wanted, without those `taken`; `line` says of which cluster and namespace."""

    names: Named
    start: str
    line: CommandLine
    taken: Collection[str] = ()


class Commands(NamedTuple):
    """The commands by name, and each one's page."""

    names: tuple[str, ...]
    page: Callable[[str], Page]


def what_fits(before: Sequence[str], start: str, commands: Commands) -> Offer | Question:
    """What may follow the words `before`, as far as `start` is typed. A line that is wrong already gets nothing."""
    try:
        line = parse(before)
        page = _page(line.words, commands)
    except MissingValue as missing:
        return _separate_value(missing.flag, before, start, commands)
    except UsageError:
        return NOTHING
    if line.ended:
        return NOTHING
    if start.startswith("-") and start != "-" and "=" in start:
        spelling, _, value = start.partition("=")
        flag = next((flag for flag in _flags(page) if spelling in flag.spellings()), None)
        return _value(flag, line, value) if flag else NOTHING
    if start.startswith("-"):
        return Offer(tuple(_spellings(_flags(page), line, start)))
    if page is None:
        return Offer(tuple(_names(commands, start)))
    return _argument(page, line, start)


def _page(words: Sequence[str], commands: Commands) -> Page | None:
    """Of the command that the line is for; None before there is one. Raises UsageError where it is none."""
    named = [word for number, word in enumerate(words) if number or word != HELP.name]
    if not named:
        return None
    if named[0] not in commands.names:
        raise UsageError(f'unknown command "{named[0]}"')
    return commands.page(named[0])


def _flags(page: Page | None) -> tuple[Flag, ...]:
    """Before the command's name, those that most commands take."""
    return (*(CONNECTION if page is None else page.flags), *EVERYWHERE)


def _separate_value(flag: Flag, before: Sequence[str], start: str, commands: Commands) -> Offer | Question:
    """The value that stands behind its flag as a word of its own."""
    try:
        line = parse(before[:-1])
        page = _page(line.words, commands)
    except UsageError:
        return NOTHING
    # A command may take fewer values than others do.
    own = next((entry for entry in _flags(page) if entry.name == flag.name), None)
    return _value(own, line, start) if own else NOTHING


def _value(flag: Flag, line: CommandLine, start: str) -> Offer | Question:
    if flag.kind is Kind.FLAG:
        return _of(("true", "false"), start)
    if flag.names is None:
        return _of(flag.choices, start)
    taken = line.values(flag) if flag.kind is Kind.LIST else ()
    return _named(flag.names, line, start, taken)


def _argument(page: Page, line: CommandLine, start: str) -> Offer | Question:
    given = line.words[1:]
    arguments = page.arguments
    if line.words[0] == HELP.name or any(flag.field in line.given for flag in arguments.unless):
        return NOTHING
    if given and not arguments.many:
        return NOTHING
    if arguments.names is None:
        return _of((choice for choice in arguments.choices if choice not in given), start)
    return _named(arguments.names, line, start, given)


def _named(names: Named, line: CommandLine, start: str, taken: Collection[str]) -> Offer | Question:
    if names in FOUND_BY_SHELL:
        return Offer(directive=FOUND_BY_SHELL[names])
    if names in OF_CLUSTER and any(flag.field in line.given for flag in ELSEWHERE):
        return NOTHING
    return Question(names, start, line, taken)


def _spellings(flags: Iterable[Flag], line: CommandLine, start: str) -> Iterator[Word]:
    for flag in sorted(flags, key=lambda entry: entry.name):
        if flag.field in line.given and flag.kind is not Kind.LIST:
            continue
        for spelling in flag.spellings():
            if spelling.startswith(start):
                yield Word(spelling, _first_sentence(flag.help))


def _names(commands: Commands, start: str) -> Iterator[Word]:
    for name in commands.names:
        if name.startswith(start):
            yield Word(name, commands.page(name).summary.rstrip("."))


def _of(words: Iterable[str], start: str) -> Offer:
    return Offer(tuple(Word(word) for word in words if word.startswith(start)))


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")
