"""A representative part of the matrix, on every kind of node; `make test-node-full` runs all of it.

Memdoctor is held to what happened, twice a case: by `kubectl memdoctor pod` and by `kubectl memdoctor ns`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from .cluster import node_cluster
from .matrix.__main__ import runner
from .matrix.all_cases import cases
from .matrix.case import Case, Place
from .matrix.look import Row, rows
from .programs import GENERATIONS, generation

REPRESENTATIVE = [case for name in GENERATIONS for case in cases(name) if case.representative]
RowsOf = Callable[[str], dict[tuple[Place, str], Row]]


@pytest.fixture(scope="module")
def rows_of(enclosed: None, tmp_path_factory: pytest.TempPathFactory) -> RowsOf:
    """Runs all cases of a generation at once, when the first of them is asked for."""

    @cache
    def run(name: str) -> dict[tuple[Place, str], Row]:
        folder = tmp_path_factory.mktemp(f"matrix-{name}")
        chosen = [case for case in REPRESENTATIVE if case.place.generation == name]
        with node_cluster(generation(name), folder) as cluster:
            judged = runner(cluster, folder).run(chosen)
        found: dict[tuple[Place, str], Row] = {}
        for cgroup in ("v1", "v2"):
            of_node = [entry for entry in judged if entry.case.place.cgroup == cgroup]
            found |= {(e.case.place, e.case.name): row for e, row in zip(of_node, rows(of_node), strict=True)}
        return found

    return run


@pytest.mark.parametrize("case", REPRESENTATIVE, ids=lambda case: f"{case.place.words}: {case.name}")
def test_the_verdict_is_right(case: Case, rows_of: RowsOf) -> None:
    row = rows_of(case.place.generation)[case.place, case.name]
    assert row.fault == "", f"{row.happened}; memdoctor said {row.said}"


def test_the_part_stands_for_the_whole() -> None:
    """Every kind of node, with failures and pods that run; enough of them."""
    places = {case.place for case in REPRESENTATIVE}
    assert places == {case.place for name in GENERATIONS for case in cases(name)}
    assert len(REPRESENTATIVE) >= 60
