"""Every report that is printed is as docs/report.schema.json says, and the schema takes nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kubectl_memdoctor.cli import main

from .pages import DOCS
from .reports import GOLDENS, INCIDENT


@cache
def validator() -> Draft202012Validator:
    schema = json.loads((DOCS / "report.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(report: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(report)]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    main([*arguments, "-f", str(INCIDENT), "-o", "json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("rule", sorted({path.parent.name for path in GOLDENS}))
def test_reports_are_as_the_schema_says(rule: str) -> None:
    for path in GOLDENS:
        if path.parent.name == rule:
            assert faults(json.loads(path.read_text())) == [], path.name


@pytest.mark.parametrize("arguments", [("ns", "--all"), ("pod", "-A", "-l", "no!=such")], ids=" ".join)
def test_what_is_printed_is_as_the_schema_says(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    report = printed(capsys, *arguments)
    assert report["findings"]
    assert faults(report) == []


def definition(name: str) -> Draft202012Validator:
    schema: Any = validator().schema
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{name}"})


@pytest.mark.parametrize("arguments", [("ns", "--all"), ("pod", "-A", "-l", "no!=such")], ids=" ".join)
def test_lines_are_as_the_schema_says(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    main([*arguments, "-f", str(INCIDENT), "-o", "jsonl"])
    *findings, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert findings
    for finding in findings:
        definition("Finding").validate(finding)
        assert not definition("ReportSummary").is_valid(finding)
    definition("ReportSummary").validate(summary)
    report = printed(capsys, *arguments)
    assert findings == report.pop("findings")
    assert summary == {**report, "kind": "ReportSummary", "complete": True}


def _without(report: Any, name: str) -> None:
    del report[name]


CHANGES: dict[str, Callable[[Any], object]] = {
    "a field that nobody knows": lambda report: report["findings"][0].update(more="x"),
    "no findings": lambda report: _without(report, "findings"),
    "nothing about what was not checked": lambda report: _without(report, "notChecked"),
    "a rule that nobody knows": lambda report: report["findings"][0].update(rule="pod-oom"),
    "a severity that nobody knows": lambda report: report["findings"][0].update(severity="error"),
    "a confidence that nobody knows": lambda report: report["findings"][0].update(confidence="sure"),
    "a source that nobody knows": lambda report: report["findings"][0]["evidence"][0].update(source="web"),
    "a limit as text": lambda report: report["findings"][0]["memory"].update(limitBytes="1"),
    "a source of the limit that nobody knows": lambda report: report["findings"][0]["memory"].update(limitSource="x"),
    "null for what does not apply": lambda report: report["findings"][0].update(node=None),
    "a time without its zone": lambda report: report.update(takenAt="2026-11-23T10:00:00"),
    "a time that is none": lambda report: report.update(takenAt="yesterday"),
    "another version": lambda report: report.update(apiVersion="memdoctor.dev/v2"),
    "a count below zero": lambda report: report["summary"].update(pods=-1),
    "a severity without its count": lambda report: _without(report["summary"]["findings"], "info"),
    "a server and a recording": lambda report: report["cluster"].update(server="https://127.0.0.1"),
    "neither server nor recording": lambda report: report["cluster"].clear(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_not_a_report_is_refused(change: Callable[[Any], object], capsys: pytest.CaptureFixture[str]) -> None:
    report = printed(capsys, "ns", "--all")
    assert report["findings"][0]["evidence"]
    change(report)
    assert faults(report) != []


def test_every_field_says_what_it_means() -> None:
    for name, definition in json.loads((DOCS / "report.schema.json").read_text())["$defs"].items():
        for field, schema in definition["properties"].items():
            assert schema["description"].endswith("."), f"{name}.{field}"
