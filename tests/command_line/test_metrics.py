"""`-o prometheus` by the letter of the text format, whatever clusters hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.cli import main
from kubectl_memdoctor.finding import Diagnosis, InvolvedObject, NotChecked, Owner, Severity
from kubectl_memdoctor.printers import Layout, prometheus

from .hostile_objects import CASES
from .made import NOW, diagnosis, finding, of_node

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
LINE = re.compile(rf"(?P<name>{NAME})(?:\{{(?P<labels>.*)\}})? (?P<value>-?[0-9]+(?:\.[0-9]+)?)")
UNITS = ("_total", "_count", "_sum", "_bucket")
"""Endings that promtool refuses for gauges."""

Labels = dict[str, str]
Samples = list[tuple[Labels, float]]


def metrics_in(text: str) -> dict[str, Samples]:
    """A strict reading of the format: https://prometheus.io/docs/instrumenting/exposition_formats/"""
    found: dict[str, Samples] = {}
    current = ""
    lines = text.encode().decode().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            current, _, told = line.removeprefix("# HELP ").partition(" ")
            assert told, f"{current}: without help"
            assert current not in found, f"{current}: in two places"
            assert lines[number + 1] == f"# TYPE {current} gauge"
            assert not current.endswith(UNITS)
            found[current] = []
        elif not line.startswith("# TYPE "):
            sample = LINE.fullmatch(line)
            assert sample, line
            assert sample["name"] == current
            found[current].append((labels_in(sample["labels"] or ""), float(sample["value"])))
    for name, samples in found.items():
        assert max(Counter(json.dumps(labels) for labels, _ in samples).values(), default=1) == 1, name
    return found


def labels_in(text: str) -> Labels:
    found: Labels = {}
    while text:
        label = LABEL.match(text)
        assert label, text
        assert label[1] not in found
        found[label[1]] = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), label[2])
        text = text[label.end() :]
    return found


def printed(what: Diagnosis) -> dict[str, Samples]:
    return metrics_in("\n".join(prometheus.lines(what, Layout())))


def test_what_is_counted() -> None:
    found = [finding("web-1"), finding("web-2"), of_node("worker-1")]
    entries = [NotChecked(resource="nodes", reason="no", rule="node-oom-killed"), NotChecked(resource="x", reason="no")]
    metrics = printed(diagnosis(*found, not_checked=entries))
    rule = "sandbox-memory-limit-too-small"
    about_node = {"rule": "node-memory-pressure", "severity": "warning"}
    assert metrics["memdoctor_findings"] == [
        ({"namespace": "shop", "rule": rule, "severity": "critical"}, 2),
        ({"namespace": "", **about_node}, 1),
    ]
    web = {"namespace": "shop", "kind": "Deployment", "name": "web", "rule": rule, "severity": "critical"}
    assert metrics["memdoctor_workload_findings"] == [
        ({**web, "confidence": "confirmed"}, 2),
        ({"namespace": "", "kind": "Node", "name": "worker-1", **about_node, "confidence": "confirmed"}, 1),
    ]
    assert metrics["memdoctor_severity_findings"] == [
        ({"severity": "critical"}, 2), ({"severity": "warning"}, 1), ({"severity": "info"}, 0),
    ]  # fmt: skip
    assert metrics["memdoctor_not_checked"] == [
        ({"resource": "nodes", "rule": "node-oom-killed"}, 1), ({"resource": "x", "rule": ""}, 1),
    ]  # fmt: skip
    assert metrics["memdoctor_checked_pods"] == [({}, 3)]
    assert metrics["memdoctor_taken_timestamp_seconds"] == [({}, NOW.timestamp())]


def test_nothing_found() -> None:
    metrics = printed(diagnosis())
    assert metrics["memdoctor_findings"] == []
    assert [value for _, value in metrics["memdoctor_severity_findings"]] == [0, 0, 0]
    assert metrics["memdoctor_complete"] == [({}, 1)]


def test_a_run_that_ended_early_is_not_complete() -> None:
    assert printed(msgspec.structs.replace(diagnosis(), is_interrupted=True))["memdoctor_complete"] == [({}, 0)]


def test_series_are_bounded_and_the_worst_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MOST_WORKLOADS", 3)
    found = [
        finding(f"p-{number}", owner=Owner(kind="Job", namespace="shop", name=f"j-{number}")) for number in range(5)
    ]
    metrics = printed(diagnosis(*found))
    assert [labels["name"] for labels, _ in metrics["memdoctor_workload_findings"]] == ["j-0", "j-1", "j-2"]
    assert metrics["memdoctor_workloads_left_out"] == [({}, 2)]
    assert metrics["memdoctor_findings"][0][1] == 5


NAMES = ('a"b', "a\\", 'a\\"', "a\nb", "a,b={}", "\x1b[2J", "网页", "\u202eabc", "\ud800", "x" * 5000, "", " ")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_hostile_names(name: str) -> None:
    hold_name(name)


@given(st.text(max_size=300))
def test_any_name(name: str) -> None:
    hold_name(name)


def hold_name(name: str) -> None:
    owner = Owner(kind="Rollout", namespace=name, name=name)
    found = finding(involved_object=InvolvedObject(kind="Pod", namespace=name, name=name), owner=owner)
    metrics = printed(diagnosis(found, not_checked=[NotChecked(resource=name, reason=name)]))
    ((labels, value),) = metrics["memdoctor_workload_findings"]
    assert (labels["namespace"], labels["name"], value) == (clean(name)[:253], clean(name)[:253], 1)


def test_names_that_are_the_same_once_cleaned_are_one_series() -> None:
    found = [finding(owner=Owner(kind="Job", namespace="shop", name=name)) for name in ("a\tb", "a b")]
    ((_, value),) = printed(diagnosis(*found))["memdoctor_workload_findings"]
    assert value == 2


@pytest.mark.parametrize("path", sorted(CASES.glob("*/fires-*.yaml"))[::40], ids=lambda path: path.stem)
def test_cases(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["ns", "--all", "-f", str(path), "-o", "prometheus"])
    metrics = metrics_in(capsys.readouterr().out)
    main(["ns", "--all", "-f", str(path), "-o", "json"])
    report = json.loads(capsys.readouterr().out)
    for severity in Severity:
        counted = sum(value for labels, value in metrics["memdoctor_findings"] if labels["severity"] == severity)
        assert counted == report["summary"]["findings"][severity]
