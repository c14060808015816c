"""docs/cli.md: the help of the program and of every command, as --help prints it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_memdoctor.commands import NAMES, command
from kubectl_memdoctor.flags import CONNECTION, PROGRAM
from kubectl_memdoctor.help_text import Page, command_help, flag_lines, overview

from . import GENERATED

INTRODUCTION = """\
What `--help` prints. Flags that kubectl has too are spelled as kubectl's, mean the same, and may stand anywhere on the
line. [output.md](output.md) says what the commands print and what their exit codes mean."""


def page() -> str:
    pages = [command(name).page for name in NAMES]
    return "\n\n".join([GENERATED, "# Command line", INTRODUCTION, *_parts(pages)]) + "\n"


def _parts(pages: list[Page]) -> Iterator[str]:
    yield "- [Connection options](#connection-options)\n" + "\n".join(
        f"- [{PROGRAM} {page.name}](#{PROGRAM.replace(' ', '-')}-{page.name})" for page in pages
    )
    yield _fenced(overview(pages))
    for page in pages:
        yield f"## {PROGRAM} {page.name}"
        yield _fenced(command_help(page))
    yield "## Connection options"
    yield f"`{PROGRAM} options` lists them; every command that looks at pods takes them."
    yield _fenced(flag_lines(CONNECTION))


def _fenced(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```"])
