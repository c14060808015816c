"""What is printed while pods still pass by: rows on a terminal, lines of JSON; and how it ends."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import wcwidth

from kubectl_memdoctor.finding import Diagnosis, Finding, InvolvedObject, Owner, Severity
from kubectl_memdoctor.flags import parse
from kubectl_memdoctor.outcome import Outcome
from kubectl_memdoctor.printers import Layout, printer, stream
from kubectl_memdoctor.screen import Screen

from .made import NOW, diagnosis, finding, of_node

WIDE = Layout(width=160)


def of(name: str, workload: str) -> Finding:
    return finding(name, owner=Owner(kind="Deployment", namespace="shop", name=workload))


def rows(*batches: Sequence[Finding], layout: Layout = WIDE) -> list[list[str]]:
    """The lines of each batch but the last, then those of the end."""
    lines = stream("table", layout)
    assert lines is not None
    *early, rest = batches
    whole = diagnosis(*(entry for batch in batches for entry in batch))
    return [[*lines.found(batch, NOW)] for batch in early] + [[*lines.end(whole, rest)]]


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def test_rows_come_as_they_are_found_below_one_header() -> None:
    first, second, end = rows([of("a-1", "a")], [of("b-1", "b")], [of("c-1", "c"), of_node("worker-1")])
    header, row = first
    assert cells(header)[:3] == ["NAMESPACE", "WORKLOAD", "FINDING"]
    assert [cells(line)[1] for line in (row, *second, *end)] == [
        "deployment/a", "deployment/b", "deployment/c", "node/worker-1",
    ]  # fmt: skip
    for line in (row, *second, *end):
        assert line.index(cells(line)[2]) == header.index("FINDING")


def test_a_row_that_has_grown_is_printed_again_with_all_its_pods() -> None:
    first, second, end = rows([of("a-1", "a"), of("a-2", "a")], [of("a-3", "a")], [of("b-1", "b")])
    counts = [(cells(line)[1], cells(line)[7]) for line in (*first[1:], *second, *end)]
    assert counts == [("deployment/a", "2"), ("deployment/a", "3"), ("deployment/b", "1")]


def test_what_was_not_certain_before_the_end_is_the_table_of_always() -> None:
    found = [of("a-1", "a"), of("b-1", "b")]
    (end,) = rows(found)
    assert end == [*printer("table")(diagnosis(*found), WIDE)]


def test_nothing_more_at_the_end() -> None:
    assert rows([of("a-1", "a")], [])[1] == []


def test_a_column_grows_and_never_shrinks() -> None:
    long = "网页服务器" * 4
    _, second, end = rows([of("a-1", "a")], [of("b-1", long)], [of("c-1", "c")], layout=Layout(width=200))
    (grown,), (after,) = second, end
    before = (line.partition("sandbox-memory")[0] for line in (grown, after))
    assert len({wcwidth.wcswidth(text) for text in before}) == 1


@pytest.mark.parametrize(("width", "lines"), [(160, 2), (100, 2), (40, 4)])
def test_rows_fit_the_terminal(width: int, lines: int) -> None:
    """Too narrow for the columns, each row takes two lines and there is no header."""
    (first, _) = rows([of("a-1", "a")], [], layout=Layout(width=width))
    assert len(first) == lines
    assert max(map(len, first)) <= width


def test_without_headers_and_pod_by_pod() -> None:
    first, _ = rows([of("a-1", "a"), of("a-2", "a")], [], layout=Layout(width=160, headers=False, pods=True))
    assert [cells(line)[1] for line in first] == ["pod/a-1", "pod/a-2"]


def test_rows_are_cleaned() -> None:
    hostile = finding(involved_object=InvolvedObject(kind="Pod", namespace="\x1b[2J", name="x"))
    first, _ = rows([hostile], [])
    assert first[1].startswith("\\x1b[2J")


def test_in_a_pipe_a_table_is_printed_as_a_whole() -> None:
    assert stream("table", Layout(width=None)) is None
    assert [output for output in ("wide", "page", "json", "yaml", "name", "prometheus") if stream(output, WIDE)] == []
    assert stream("jsonl", Layout(width=None)) is not None


def ran(early: Sequence[Finding], whole: Diagnosis, *flags: str, width: int | None) -> tuple[int, list[str], list[str]]:
    out, err = io.StringIO(), io.StringIO()
    outcome = Outcome(parse(flags), Screen(out, err, width, False), output="table")
    if early:
        outcome.found(early, NOW)
    return outcome.end(whole), out.getvalue().splitlines(), err.getvalue().splitlines()


def test_no_finding_is_printed_twice() -> None:
    found = [finding(f"web-{number}") for number in range(3)]
    code, lines, err = ran(found[:2], diagnosis(*found), "-o", "jsonl", width=None)
    documents = [json.loads(line) for line in lines]
    assert [entry["involvedObject"]["name"] for entry in documents[:-1]] == ["web-0", "web-1", "web-2"]
    assert documents[-1]["summary"]["findings"]["critical"] == 3
    assert (code, err) == (1, [])


def test_the_totals_stand_below_the_rows() -> None:
    found = [of("a-1", "a"), msgspec.structs.replace(of("b-1", "b"), severity=Severity.WARNING)]
    _, lines, err = ran(found[:1], diagnosis(*found), width=160)
    assert len(lines) == 3
    assert err == ["2 findings (1 critical, 1 warning) in 2 pods on 1 node."]


@pytest.mark.parametrize("output", ["jsonl", "table"])
def test_commands_reach_the_cluster_that_was_looked_at(output: str) -> None:
    found = [finding("web-1"), finding("web-2")]
    _, lines, _ = ran(found[:1], diagnosis(*found), "-o", output, "--context=prod", width=160)
    commands = [json.loads(line)["remedy"]["command"] for line in lines[:2]] if output == "jsonl" else []
    assert all(command.startswith("kubectl --context=prod -n shop") for command in commands)


@pytest.mark.parametrize("flags", [[], ["-o", "json"], ["-o", "jsonl"], ["-o", "page"]])
def test_an_interrupted_run_says_so_and_has_its_own_exit_code(flags: list[str]) -> None:
    whole = msgspec.structs.replace(diagnosis(finding()), is_interrupted=True)
    code, lines, err = ran([], whole, *flags, width=None)
    assert code == 130
    assert lines
    assert err[-1] == "interrupted: what was printed is not the whole"
    if flags[1:] == ["jsonl"]:
        assert json.loads(lines[-1])["complete"] is False


def test_lines_of_json_obey_no_terminal() -> None:
    hostile: Any = finding(message="\x1b[2J \u202e \u2028")
    _, lines, _ = ran([hostile], diagnosis(hostile), "-o", "jsonl", width=None)
    assert len(lines) == 2
    assert "\u202e" not in lines[0]
    assert json.loads(lines[0])["message"] == hostile.message
