"""Explain a rule: what it finds, when it is wrong, how to mend it.

Without a name all rules are listed.

Examples:
  # All rules
  kubectl memdoctor explain

  # The page of one rule
  kubectl memdoctor explain sandbox-memory-limit-too-small
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from kubectl_memdoctor.exit_code import NOTHING_FOUND, UsageError
from kubectl_memdoctor.flags import Arguments, CommandLine, Flag, Named
from kubectl_memdoctor.screen import Screen

USAGE = "explain [RULE]"
FLAGS: tuple[Flag, ...] = ()
ARGUMENTS = Arguments(Named.RULE)
COLUMNS = 100


def run(line: CommandLine, screen: Screen) -> int:
    if len(line.words) > 1:
        raise UsageError("explain takes one rule")
    columns = min(screen.width or COLUMNS, COLUMNS)
    text = rule_page(line.words[0], columns) if line.words else rule_list(columns)
    for row in text:
        print(row, file=screen.out)
    return NOTHING_FOUND


def rule_list(columns: int) -> Iterator[str]:
    from kubectl_memdoctor.rules import rules

    longest = max(len(rule.name) for rule in rules())
    for rule in rules():
        yield from textwrap.wrap(
            rule.summary,
            columns,
            initial_indent=f"{rule.name:{longest}}  ",
            subsequent_indent=" " * (longest + 2),
            break_on_hyphens=False,
        )


def rule_page(name: str, columns: int) -> Iterator[str]:
    """Raises UsageError for a name that is no rule's."""
    from kubectl_memdoctor.rules import rules

    pages = {rule.name: rule.page for rule in rules()}
    if name not in pages:
        import difflib

        close = difflib.get_close_matches(name, pages, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise UsageError(f'there is no rule "{name}"{hint}')
    yield name.upper()
    yield ""
    for block in pages[name].split("\n\n"):
        yield from _block(block, columns)
        yield ""


def _block(block: str, columns: int) -> Iterator[str]:
    heading, _, rest = block.partition("\n") if block.startswith("## ") else ("", "", block)
    if heading:
        yield heading.removeprefix("## ").upper()
    if rest.startswith("- "):
        yield from (f"  {line}" for line in rest.splitlines())
    elif rest:
        yield from textwrap.wrap(
            " ".join(rest.split()), columns, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
