"""The page for man: everything of --help stands in it, and neither groff nor mandoc has anything to complain of."""

from __future__ import annotations

import configparser
import re
import subprocess

import pytest
from debian_packages import Requirement, demand

from kubectl_memdoctor.commands import NAMES, command
from kubectl_memdoctor.flags import CONNECTION, EVERY_FLAG, EVERYWHERE
from kubectl_memdoctor.help_text import Page, introduction

from .pages import DOCS, ROOT

MAN = DOCS / "man" / "kubectl-memdoctor.1"
PAGES = [command(name).page for name in NAMES]
REQUIREMENTS = (
    Requirement("groff-base", "groff", "what man formats with on most systems"),
    Requirement("mandoc", "mandoc", "the other one, and its own checks"),
)
# With lines so long that a paragraph is one, and no word is parted.
FORMATTERS = {
    "groff": ["groff", "-ww", "-man", "-Tutf8", "-P-c", "-P-b", "-P-u", "-rLL=1000n", "-rHY=0"],
    "mandoc": ["mandoc", "-Tutf8", "-Owidth=1000"],
}
NO_DATE = 'WARNING: missing date, using "": TH'
"""A date would make the page another one on another day."""


@pytest.fixture(scope="module")
def installed() -> None:
    demand(REQUIREMENTS)


def formatted(command: list[str]) -> str:
    """What a reader sees: no letter struck twice, all white space one space."""
    done = subprocess.run([*command, str(MAN)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return plain(re.sub(".\b", "", done.stdout))


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module", params=FORMATTERS.values(), ids=list(FORMATTERS))
def shown(request: pytest.FixtureRequest, installed: None) -> str:
    return formatted(request.param)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_stands_in_it(shown: str, page: Page) -> None:
    for text in (f"kubectl memdoctor {page.usage}", *page.paragraphs, *page.examples):
        assert plain(text) in shown
    for flag in page.own_flags:
        assert plain(flag.help) in shown


def test_introduction_and_connection_stand_in_it(shown: str) -> None:
    for text in introduction()[1:]:
        assert plain(text) in shown
    for flag in CONNECTION:
        assert plain(flag.help) in shown


def test_every_flag_stands_in_it(shown: str) -> None:
    for flag in EVERY_FLAG:
        if flag not in EVERYWHERE:
            assert f"--{flag.name}" in shown


def test_mandoc_finds_nothing_wrong(installed: None) -> None:
    done = subprocess.run(["mandoc", "-Tlint", str(MAN)], capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if not line.endswith(NO_DATE)] == []


def test_pip_installs_it_where_man_looks() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["options.data_files"]["share/man/man1"] == str(MAN.relative_to(ROOT))
