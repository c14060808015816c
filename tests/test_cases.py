"""Whole recorded objects through the whole program: every case's report is the golden beside it.

A case `fires-*.yaml` of a rule must show a finding of that rule, a `silent-*.yaml` none; the golden holds what *all*
rules find in it. `pytest tests/test_cases.py --update-goldens` writes the goldens anew: read the difference
before it is committed.

What the case's node said lies beside it, in files `CASE.node-log.WHAT`: they are given as --node-log.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.rules import rules

CASES = Path(__file__).parent / "cases"
PATHS = sorted(CASES.glob("*/*.yaml"))


FLAGS = "# flags: "
"""How the second line of a case begins that is about more than `ns` looks at by itself."""


NODE_LOG = ".node-log."


def report_of(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    second = path.read_text().split("\n", 2)[1]
    flags = second.removeprefix(FLAGS).split() if second.startswith(FLAGS) else []
    logs = [f"--node-log={log.name}" for log in sorted(path.parent.glob(f"{path.stem}{NODE_LOG}*"))]
    # Evidence names the file of a log as it was given.
    with contextlib.chdir(path.parent):
        main(["ns", "--all", "-f", path.name, "-o", "json", *flags, *logs])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    report = report_of(path, capsys)
    golden = path.with_suffix(".json")
    if request.config.getoption("--update-goldens"):
        golden.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    fired = {finding["rule"] for finding in report["findings"]}
    assert (path.parent.name in fired) == path.stem.startswith("fires-")
    assert report == json.loads(golden.read_text())


SUBJECTS = re.compile(r"its |(?:cannot|does|gives|has|may|waits|was|will) ")
"""How a message begins: with something of the object's own, or with what the object does."""


def test_a_message_follows_the_name_of_its_object() -> None:
    for path in sorted(CASES.glob("*/*.json")):
        messages = [finding["message"] for finding in json.loads(path.read_text())["findings"]]
        assert [message for message in messages if not SUBJECTS.match(message)] == [], path


def test_cases_say_where_they_come_from() -> None:
    for path in PATHS:
        assert path.read_text().startswith("# provenance: "), path
        assert path.stem.startswith(("fires-", "silent-")), path


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_every_rule_has_a_firing_and_a_silent_case(rule: Any) -> None:
    stems = [path.stem for path in (CASES / rule.name).glob("*.yaml")]
    assert any(stem.startswith("fires-") for stem in stems)
    assert any(stem.startswith("silent-") for stem in stems)


def test_every_case_belongs_to_a_rule() -> None:
    assert {path.parent.name for path in PATHS} <= {rule.name for rule in rules()}


def test_every_golden_has_its_case() -> None:
    assert {path.with_suffix(".yaml") for path in CASES.glob("*/*.json")} <= set(PATHS)


def test_every_node_log_has_its_case() -> None:
    logs = [path for path in CASES.glob("*/*") if NODE_LOG in path.name]
    assert {path.with_name(f"{path.name.partition(NODE_LOG)[0]}.yaml") for path in logs} <= set(PATHS)
