"""What `make bench` runs does its work: on a small cluster everybody ends as it should, and what is seeded is found.

Nothing is timed here.
"""

from __future__ import annotations

import pytest

from bench.cluster import measured
from bench.contenders import LOOPS
from bench.figures import (
    CONFIG,
    FLOOR_QUIET,
    HELP,
    IMPORTS,
    KUBECTL_JSON,
    KUBECTL_NAME,
    KUBECTL_POD,
    KUBECTL_TABLE,
    MEMDOCTOR,
    MEMDOCTOR_ALONE,
    MEMDOCTOR_QUIET,
    POD,
    PYTHON,
    THROUGH_KUBECTL,
    VERSION,
    Row,
    Size,
)
from bench.fleet import seeded

from .control_plane import ControlPlane

PODS = 2_000
CODES = {
    **dict.fromkeys((*LOOPS, FLOOR_QUIET, KUBECTL_NAME, KUBECTL_TABLE, KUBECTL_JSON), 0),
    **dict.fromkeys((MEMDOCTOR, MEMDOCTOR_ALONE, MEMDOCTOR_QUIET, POD), 1),
    **dict.fromkeys((KUBECTL_POD, CONFIG, THROUGH_KUBECTL, IMPORTS, HELP, VERSION, PYTHON), 0),
}


@pytest.fixture(scope="module")
def size(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Size:
    """`plane` only for its programs: a server of its own is filled."""
    return measured(PODS, 1, 1, plane.programs, tmp_path_factory.mktemp("bench"))


def row(size: Size, name: str) -> Row:
    return next(row for row in (*size.rows, *size.short) if row.contender == name)


@pytest.mark.parametrize("name", CODES)
def test_everybody_ends_as_it_should(size: Size, name: str) -> None:
    assert [(run.exit_code, run.last_words) for run in row(size, name).runs if run.exit_code != CODES[name]] == []
    assert row(size, name).note == ""


@pytest.mark.parametrize("name", [MEMDOCTOR, MEMDOCTOR_ALONE, MEMDOCTOR_QUIET])
def test_what_is_seeded_is_found_and_nothing_else(size: Size, name: str) -> None:
    wanted = len(seeded(PODS))
    assert wanted > 0
    assert (row(size, name).found, row(size, name).others) == (wanted, 0)


def test_a_terminal_shows_something_critical(size: Size) -> None:
    assert size.first_critical is not None
