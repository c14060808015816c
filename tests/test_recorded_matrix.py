"""What the matrix of real failures left under tests/cases, held to what happened there, whatever the goldens say.

A golden tells what memdoctor says; this tells that it is right. The kernel logs of those nodes are not kept.
"""

from __future__ import annotations

import pytest
from node.matrix import accuracy
from node.matrix.again import recordings
from node.matrix.all_cases import cases
from node.matrix.case import Place
from node.matrix.expectation import expectation, fault
from node.programs import GENERATIONS

ANY_LIMIT = 1 << 62
"""Which limit was the largest that ever failed is not asked here: a pod that runs may be told that its next start could
fail."""

RECORDED = [recording for name in GENERATIONS for recording in recordings(name)]


@pytest.mark.parametrize(
    "place", sorted({recording.case.place for recording in RECORDED}, key=str), ids=lambda place: place.words
)
def test_the_goldens_are_right(place: Place) -> None:
    for recording in RECORDED:
        if recording.case.place == place:
            told = fault(expectation(recording.case, recording.facts(), ANY_LIMIT), recording.findings())
            assert told == "", recording.path.name


def test_every_case_is_recorded_once() -> None:
    recorded = [(recording.case.place, recording.case.name) for recording in RECORDED]
    made = [(case.place, case.name) for name in GENERATIONS for case in cases(name)]
    assert sorted(recorded, key=str) == sorted(made, key=str)


def test_the_page_is_what_was_found() -> None:
    """`python -m node.matrix --again` writes it anew, once found/ or its wording has changed."""
    assert accuracy.PAGE.read_text() == accuracy.page(accuracy.read_parts())


def test_the_page_has_every_case() -> None:
    rows = {(row.generation, row.cgroup, row.runtime, row.name) for part in accuracy.read_parts() for row in part.rows}
    made = (case for name in GENERATIONS for case in cases(name))
    assert rows == {(case.place.generation, case.place.cgroup, case.place.runtime, case.name) for case in made}
