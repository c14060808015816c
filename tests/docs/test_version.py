"""Version and supported Pythons are the same wherever they are named."""

from __future__ import annotations

import configparser
import re

import pytest

from kubectl_memdoctor import __version__

from .pages import ROOT

OLDEST, *_ = PYTHONS = ("3.11", "3.12", "3.13")


def setup() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def test_the_version_has_one_source() -> None:
    assert setup()["metadata"]["version"] == "attr: kubectl_memdoctor.__version__"


def test_the_changelog_begins_with_this_version() -> None:
    """Its top section is what is to be released, which says as what, or what was released last."""
    top = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    heading, _, text = top.partition("\n")
    if heading == "Unreleased":
        assert f"Will be {__version__}" in text
    else:
        assert re.fullmatch(rf"{re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)", heading)


def test_classifiers_name_the_supported_pythons() -> None:
    named = re.findall(r"Python :: (3\.\d+)", setup()["metadata"]["classifiers"])
    assert tuple(named) == PYTHONS
    assert setup()["options"]["python_requires"] == f">={OLDEST}"


def test_the_matrix_runs_with_them() -> None:
    listed = re.search(r"^PYTHONS = \((.*)\)", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    assert listed
    assert tuple(re.findall(r'"(.*?)"', listed[1])) == PYTHONS


def test_the_oldest_client_of_the_matrix_is_the_lower_bound() -> None:
    (bound,) = re.findall(r"^kubernetes>=(\d+)$", setup()["options"]["install_requires"], re.MULTILINE)
    assert f'"kubernetes=={bound}.*"' in (ROOT / "noxfile.py").read_text()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_pages_name_the_oldest_python(page: str) -> None:
    named = re.findall(r"Python (3\.\d+)", (ROOT / page).read_text())
    assert named
    assert set(named) == {OLDEST}
