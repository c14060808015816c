"""What the matrix of real failures left under tests/cases, held to what happened there, whatever the goldens say.

A golden tells what memdoctor says; this tells that it is right. The kernel logs of those nodes are not kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from node.matrix.all_cases import cases
from node.matrix.case import Case
from node.matrix.expectation import expectation, fault
from node.matrix.happened import Facts
from node.matrix.save import CASES, file_stem
from node.programs import GENERATIONS

ANY_LIMIT = 1 << 62
"""The largest limit that ever failed is not kept either: a pod that runs may be told that its next start could fail."""

MADE = {file_stem(case, fires=fires): case for name in GENERATIONS for case in cases(name) for fires in (True, False)}
RECORDED = [(path, MADE[path.stem]) for path in sorted(CASES.glob("*/*.yaml")) if path.stem in MADE]


def objects(path: Path) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    listed: list[dict[str, Any]] = yaml.load(path.read_text(), Loader=loader)["items"]
    return listed


@pytest.mark.parametrize(("path", "case"), RECORDED, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_the_golden_is_right(path: Path, case: Case) -> None:
    listed = objects(path)
    pod = next(entry for entry in listed if entry["kind"] == "Pod")
    happened = Facts(pod, tuple(entry for entry in listed if entry["kind"] == "Event"))
    report = json.loads(path.with_suffix(".json").read_text())
    assert fault(expectation(case, happened, ANY_LIMIT), report["findings"]) == ""


def test_every_kind_of_node_is_there() -> None:
    places = {case.place for _, case in RECORDED}
    assert places == {case.place for case in MADE.values()}
