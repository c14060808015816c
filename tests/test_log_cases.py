"""Whole folders of logs through the whole program: what is printed is what lies beside them.

A case is a folder: `logs/`, where they come from in `provenance.txt`, and perhaps the recording of their cluster. What
is printed of the logs alone is `alone.txt` and `alone.json`, with the recording `recorded.txt` and `recorded.json`; the
page of the recording's node, with these logs, is `node.txt`.
`pytest tests/test_log_cases.py --update-goldens` writes them anew: read the difference before it is committed.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.commands import logs

CASES = sorted((Path(__file__).parent / "cases_logs").iterdir())
RUNS = [
    pytest.param(case, name, id=f"{case.name}-{name}")
    for case in CASES
    for name in ("alone", "recorded")
    if name == "alone" or (case / "recording.yaml").exists()
]
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
"""Years that a log leaves out are told from it."""


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "now", lambda: NOW)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files are as old as NOW: a log without years ended before it was written."""
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path / "logs")
    return tmp_path


def run(case: Path, name: str, *more: str) -> int:
    files = copied(case)
    return main(["logs", *files, *(["-f", "../recording.yaml"] if name == "recorded" else []), *more])


def copied(case: Path) -> list[str]:
    """Their names, in the folder that the program runs in."""
    for path in (*(case / "logs").iterdir(), *case.glob("recording.yaml")):
        copy = Path("..") / path.relative_to(case)
        copy.write_bytes(path.read_bytes())
        os.utime(copy, (NOW.timestamp(), NOW.timestamp()))
    return sorted(path.name for path in Path().iterdir())


@pytest.mark.parametrize(("case", "name"), RUNS)
def test_what_is_printed(
    case: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    code = run(case, name)
    printed = capsys.readouterr()
    assert_golden(case / f"{name}.txt", f"{printed.out}\n{printed.err}exit code {code}\n", request)


@pytest.mark.parametrize(("case", "name"), RUNS)
def test_the_report(
    case: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    run(case, name, "-o", "json")
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert_golden(case / f"{name}.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n", request)


@pytest.mark.parametrize(
    "case", [case for case in CASES if (case / "recording.yaml").exists()], ids=lambda case: case.name
)
def test_the_page_of_the_node(case: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    files = copied(case)
    objects = yaml.safe_load((case / "recording.yaml").read_text())["items"]
    name = next(entry["metadata"]["name"] for entry in objects if entry["kind"] == "Node")
    logs_of_node = [word for file in files for word in ("--node-log", file)]
    code = main(["node", name, "-f", "../recording.yaml", *logs_of_node])
    printed = capsys.readouterr()
    assert_golden(case / "node.txt", f"{printed.out}\n{printed.err}exit code {code}\n", request)


def assert_golden(golden: Path, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-goldens"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_says_where_it_comes_from(case: Path) -> None:
    assert (case / "provenance.txt").read_text().strip()


@pytest.mark.parametrize(
    "golden",
    sorted(path for case in CASES for path in case.glob("*.json")),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_a_report_is_as_the_schema_says(golden: Path) -> None:
    schema = json.loads((Path(__file__).parents[1] / "docs" / "report.schema.json").read_text())
    assert [*Draft202012Validator(schema).iter_errors(json.loads(golden.read_text()))] == []


FOUND = {
    # case and run -> rule, confidence, who
    "sandbox-loop-docker-alone": [("sandbox-memory-limit-too-small", "confirmed", "cart-6f7d9c5b8d-k4x2p")],
    "sandbox-loop-docker-recorded": [("sandbox-memory-limit-too-small", "confirmed", "cart-6f7d9c5b8d-k4x2p")],
    "kernel-memory-refused-alone": [("sandbox-memory-limit-too-small", "possible", "mailer-5c7b9f6d84-zt8wq")],
    "kernel-memory-refused-recorded": [("sandbox-memory-limit-too-small", "confirmed", "mailer-5c7b9f6d84-zt8wq")],
    "container-killed-three-times-alone": [
        ("container-oom-killed", "confirmed", "8c1de0a4-5b7f-4a0e-9d3c-2f6b81c0e795")
    ],
    "container-killed-three-times-recorded": [("container-oom-killed", "confirmed", "report-7d5f8c9b66-hx2lq")],
    "node-out-of-memory-alone": [
        ("node-oom-killed", "confirmed", "51b6d2f0-0a3e-4c94-b7a5-9e6f3d8c1b42"),
        ("node-oom-killed", "confirmed", "dmesg-iso.txt"),
    ],
    "nothing-killed-alone": [],
    "kubelet-alone-undecided-alone": [],
}
"""What the goldens must say, whatever else changes."""


@pytest.mark.parametrize("run_name", FOUND)
def test_what_is_found(run_name: str) -> None:
    case, _, name = run_name.rpartition("-")
    report = json.loads((Path(__file__).parent / "cases_logs" / case / f"{name}.json").read_text())
    found = [(entry["rule"], entry["confidence"], entry["involvedObject"]["name"]) for entry in report["findings"]]
    assert found == FOUND[run_name]


def test_the_sandbox_loop_from_files_alone() -> None:
    report = json.loads((Path(__file__).parent / "cases_logs" / "sandbox-loop-docker" / "alone.json").read_text())
    (finding,) = report["findings"]
    said = " ".join(finding["details"])
    assert finding["involvedObject"]["namespace"] == "shop"
    assert finding["memory"]["limitBytes"] == 0
    assert "killed exe at the limit of the pod as a whole (limit 0 kB" in said
    assert "made 24 sandboxes" in said
