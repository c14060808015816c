"""What stands on the screen: rows, pages, documents, their order, widths and colours."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import wcwidth
import yaml
from msgspec.structs import replace

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.finding import (
    LOOKED_WITHOUT,
    Cluster,
    Confidence,
    Diagnosis,
    Evidence,
    Finding,
    InvolvedObject,
    Memory,
    NotChecked,
    Owner,
    Remedy,
    Report,
    Severity,
    Termination,
)
from kubectl_memdoctor.flags import OUTPUTS, parse
from kubectl_memdoctor.outcome import show
from kubectl_memdoctor.printers import Layout, printer
from kubectl_memdoctor.screen import Progress, Screen, open_screen

from .hostile_objects import CASES, objects_in
from .made import COMMAND, EVENT, NOW, diagnosis, facts, finding, of_node

ESCAPE = "\x1b"
DOCUMENTS = ("json", "jsonl", "yaml", "name", "prometheus")
REPLICAS = tuple(finding(f"web-{number:02}") for number in range(40))


def printed(output: str, what: Diagnosis, **layout: Any) -> list[str]:
    return [*printer(output)(what, Layout(**layout))]


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line)


def test_replicas_of_one_workload_are_one_row_with_their_number() -> None:
    headers, row = printed("table", diagnosis(*REPLICAS))
    assert cells(headers) == [
        "NAMESPACE", "WORKLOAD", "FINDING", "SEVERITY", "CONFIDENCE", "LIMIT", "MINIMUM", "PODS", "AGE",
    ]  # fmt: skip
    assert cells(row) == [
        "shop", "deployment/web", "sandbox-memory-limit-too-small", "critical", "confirmed",
        "300m", "14Mi", "40", "14m",
    ]  # fmt: skip


def test_pods_unfolds_them() -> None:
    headers, *rows = printed("table", diagnosis(*REPLICAS), pods=True)
    assert cells(headers)[1] == "POD"
    assert "PODS" not in cells(headers)
    assert [cells(row)[1] for row in rows] == [f"pod/web-{number:02}" for number in range(40)]


def test_what_differs_within_a_row_is_listed() -> None:
    other = finding("web-2", node="worker-2", memory=Memory(limit_quantity="512m", minimum_bytes=14 << 20))
    _, row = printed("wide", diagnosis(finding("web-1"), other))
    assert cells(row)[5:7] == ["300m,512m", "14Mi"]
    assert cells(row)[9] == "worker-1,worker-2"


def test_two_containers_of_one_pod_are_one_pod() -> None:
    paths = ("spec.containers{app}", "spec.containers{sidecar}")
    both = [
        finding(involved_object=InvolvedObject(kind="Pod", namespace="shop", name="web-1", uid="u", field_path=path))
        for path in paths
    ]
    _, row = printed("table", diagnosis(*both))
    assert cells(row)[7] == "1"


def test_rows_do_not_fold_across_namespaces_workloads_or_rules() -> None:
    elsewhere = InvolvedObject(kind="Pod", namespace="billing", name="web-1")
    others = (
        finding(rule="container-oom-killed"),
        finding(owner=Owner(kind="Deployment", namespace="shop", name="api")),
        finding(involved_object=elsewhere, owner=Owner(kind="Deployment", namespace="billing", name="web")),
    )
    assert len(printed("table", diagnosis(finding(), *others), headers=False)) == 4


def test_what_does_not_apply_is_none_as_in_kubectl() -> None:
    headers, row = printed("table", diagnosis(of_node("worker-1")))
    assert cells(row) == [
        "<none>", "node/worker-1", "node-memory-pressure", "warning", "confirmed", *["<none>"] * 4,
    ]  # fmt: skip
    assert len(cells(headers)) == len(cells(row))


def test_no_headers_and_no_findings() -> None:
    assert printed("table", diagnosis(finding()), headers=False)[0].startswith("shop ")
    assert printed("table", diagnosis()) == []
    assert printed("wide", diagnosis()) == []


def test_wide_adds_node_and_the_command_that_mends() -> None:
    headers, row = printed("wide", diagnosis(finding()))
    assert cells(headers)[-2:] == ["NODE", "FIX"]
    assert row.endswith(f"  worker-1  {COMMAND}")
    without = finding(remedy=Remedy(text="Change the manifest on its node."))
    assert printed("wide", diagnosis(without))[1].endswith("Change the manifest on its node.")


@pytest.mark.parametrize(("columns", "lines"), [(200, 2), (80, 2), (40, 4)])
def test_a_table_fits_the_terminal(columns: int, lines: int) -> None:
    rows = printed("table", diagnosis(*REPLICAS), width=columns)
    assert len(rows) == lines
    assert max(map(len, rows)) <= columns
    text = "\n".join(rows)
    for word in (
        "shop",
        "deployment/web",
        "sandbox-memory-limit-too-small",
        "critical",
        "confirmed",
        "300m",
        "14Mi",
        "40",
    ):
        assert word in text


def test_a_narrow_terminal_gets_two_lines_a_row() -> None:
    first, second, third, fourth = printed("table", diagnosis(finding(), of_node("worker-1")), width=80)
    assert first == "critical shop deployment/web"
    assert second == "  sandbox-memory-limit-too-small, confirmed, limit 300m, minimum 14Mi, age 14m"
    assert third == "warning node/worker-1"
    assert fourth == "  node-memory-pressure, confirmed"


NAMES = ("web", "网页服务器", "ウェブ", "웹서버", "🚀-launch", "naïve-e\u0301", "x" * 60)


@pytest.mark.parametrize("output", ["table", "wide"])
def test_columns_stand_below_one_another_whatever_the_script(output: str) -> None:
    found = [
        finding(
            involved_object=InvolvedObject(kind="Pod", namespace="shop", name=name),
            owner=Owner(kind="Deployment", namespace="shop", name=name),
        )
        for name in NAMES
    ]
    headers, *rows = printed(output, diagnosis(*found))
    column = headers.index("FINDING")
    for row in rows:
        before = row.partition("sandbox-memory-limit-too-small")[0]
        assert wcwidth.wcswidth(before) == column


@pytest.mark.parametrize("width", [None, 80, 200])
@pytest.mark.parametrize("output", [output for output in OUTPUTS if output not in ("wide", *DOCUMENTS)])
def test_colours_take_no_columns(output: str, width: int | None) -> None:
    what = diagnosis(*REPLICAS[:3], of_node("worker-1"), pods=[facts()])
    plain = printed(output, what, width=width)
    coloured = printed(output, what, width=width, color=True)
    assert ESCAPE not in "".join(plain)
    assert ESCAPE in "".join(coloured)
    assert [re.sub(rf"{ESCAPE}\[[\d;]*m", "", line) for line in coloured] == plain


@pytest.mark.parametrize("output", DOCUMENTS)
def test_documents_have_no_colours(output: str) -> None:
    what = diagnosis(finding())
    assert printed(output, what, color=True) == printed(output, what)


def places(lines: Sequence[str], *beginnings: str) -> list[int]:
    return [next(number for number, line in enumerate(lines) if line.startswith(beginning)) for beginning in beginnings]


def test_a_page_says_the_cause_first_and_the_fix_last() -> None:
    not_checked = NotChecked(rule="node-oom-killed", resource="nodes", reason="forbidden: no")
    page = printed("page", diagnosis(finding(), not_checked=[not_checked]))
    assert page[0] == (
        "critical: shop/web-1 cannot start: its memory limit is too small for the pod's sandbox"
        " (confirmed, sandbox-memory-limit-too-small)"
    )
    assert page[1] == '  The limit 300m is 0.3 byte ("m" is thousandths); the kubelet rounds it up to 1 byte.'
    order = places(page, "  EVIDENCE", "  RULED OUT", "  NOT CHECKED", "  FIX")
    assert order == sorted(order)
    assert page[-1] == f"    {COMMAND}"


def test_an_event_that_came_often_is_one_line_with_count_and_times() -> None:
    page = printed("page", diagnosis(finding()))
    (line,) = [line for line in page if "FailedCreatePodSandBox" in line]
    assert line == f"    event FailedCreatePodSandBox x13, 5s ago (first 14m ago): {EVENT.value}"


def test_all_pods_of_a_page_are_made_anew_where_one_is() -> None:
    change = "kubectl -n shop set resources statefulset/db -c app --limits=memory=300Mi && kubectl -n shop delete pod"
    found = [finding(name, remedy=Remedy(text="Raise it.", command=f"{change} {name}")) for name in ("db-0", "db-1")]
    assert printed("page", diagnosis(*found))[-1] == f"    {change} db-0 db-1"
    assert printed("page", diagnosis(found[1]))[-1] == f"    {change} db-1"


def test_a_page_is_not_repeated_for_each_replica() -> None:
    page = printed("page", diagnosis(*REPLICAS))
    assert sum(line.startswith("critical: ") for line in page) == 1
    (others,) = [line for line in page if "The same was found on" in line]
    assert "39 other pods of deployment/web" in others
    assert others.count("web-") == 6


def test_a_page_a_pod_where_they_differ() -> None:
    page = printed("page", diagnosis(finding("web-1"), finding("web-2", confidence=Confidence.POSSIBLE)))
    assert [line.split()[1] for line in page if line.startswith("critical: ")] == ["shop/web-1", "shop/web-2"]
    assert "" in page


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_page_fits_the_terminal_but_commands_are_never_folded(width: int) -> None:
    rollback = "kubectl -n shop rollout undo deployment/web --to-revision=6"
    remedy = Remedy(text="Did you mean 300Mi?", command=COMMAND, rollback=rollback)
    page = printed("page", diagnosis(finding(remedy=remedy)), width=width)
    assert f"    {COMMAND}" in page
    assert f"    {rollback}" in page
    sentences = [line for line in page if "kubectl" not in line]
    assert max(map(len, sentences)) <= width
    assert "OOM-killed (memory limit too low?)" in " ".join(" ".join(page).split())


def test_a_long_text_is_shown_from_both_ends() -> None:
    long = Evidence(source="event", field="Failed", value=f"BEGIN {'x' * 1_000_000} memory limit too low END")
    page = printed("page", diagnosis(finding(evidence=(long,))))
    (line,) = [line for line in page if "BEGIN" in line]
    assert line.endswith("memory limit too low END")
    assert len(line) < 500


def test_much_evidence_is_counted_rather_than_printed() -> None:
    many = tuple(Evidence(source="pod", field=f"field[{number}]", value="x") for number in range(30))
    page = printed("page", diagnosis(finding(evidence=many)))
    assert sum("field[" in line for line in page) == 12
    assert "    and 18 more (-o json)" in page


def test_what_was_not_checked_stands_on_the_first_page_only() -> None:
    entries = [
        NotChecked(rule="rule-a", resource="nodes", reason="forbidden: no"),
        NotChecked(rule="rule-b", resource="nodes", reason=f"forbidden: no{LOOKED_WITHOUT}"),
        NotChecked(resource="replicasets", reason="forbidden: no"),
    ]
    other = finding("api-1", owner=Owner(kind="Deployment", namespace="shop", name="api"))
    page = printed("page", diagnosis(finding(), other, not_checked=entries))
    (start,) = [number for number, line in enumerate(page) if line == "  NOT CHECKED"]
    assert page[start + 1].startswith("    nodes: forbidden: no: rule-a could not look")
    assert page[start + 2] == "    replicasets: forbidden: no"
    assert start < places(page, "critical: shop/api-1")[0]


def test_a_healthy_pod_has_a_short_page() -> None:
    page = printed("page", diagnosis(pods=[facts()]))
    assert page[0] == "shop/api-1: nothing about memory found (Running, 1/1 ready on worker-1)"
    assert [line.split()[0:2] for line in page[1:]] == [
        ["memory", "limit"], ["sandbox", "containerd"], ["QoS", "class"], ["last", "end"],
    ]  # fmt: skip
    assert page[1].endswith("256Mi (268435456 bytes), from spec.containers[0].resources.limits.memory")
    assert page[4].endswith("no container has ended")


def test_the_page_of_a_pod_that_is_not_well_shows_its_newest_warning() -> None:
    warning = Evidence(source="event", field="FailedMount", value="secret not found", time=NOW - timedelta(minutes=3))
    ended = Termination("app", "Error", 1, NOW - timedelta(hours=1), 42)
    page = printed("page", diagnosis(pods=[facts(warning=warning, node="", status="Pending", terminations=(ended,))]))
    assert page[0] == ("shop/api-1: not well, but nothing about memory found (Pending, 1/1 ready, on no node yet)")
    assert page[-2].endswith("app: Error, exit code 1 after 42s, 60m ago")
    assert page[-1].endswith("event FailedMount, 3m ago: secret not found")


def test_many_healthy_pods_are_a_table() -> None:
    page = printed("page", diagnosis(pods=[facts(f"api-{number}") for number in range(5)]))
    assert page[0] == "Nothing about memory in 5 pods:"
    assert len(page) == 7
    assert cells(page[1].strip())[:3] == ["NAMESPACE", "NAME", "READY"]


def test_a_pod_with_a_finding_gets_no_healthy_page_as_well() -> None:
    page = printed("page", diagnosis(finding("web-1"), pods=[facts("web-1"), facts("web-2")]))
    assert sum("nothing about memory found" in line for line in page) == 1
    assert page[-5].startswith("shop/web-2: ")


def test_names_come_once_each_as_kubectl_prints_them() -> None:
    twice = (finding("web-1"), finding("web-1", rule="container-oom-killed"), of_node("worker-1"))
    assert printed("name", diagnosis(*twice)) == ["pod/web-1", "node/worker-1"]


def test_json_and_yaml_are_the_same_report() -> None:
    what = diagnosis(*REPLICAS, of_node("worker-1"), not_checked=[NotChecked(resource="nodes", reason="forbidden: no")])
    document = json.loads("\n".join(printed("json", what)))
    assert msgspec.convert(document, Report) == what.report
    assert document["apiVersion"] == "memdoctor.dev/v1"
    assert list(document) == ["apiVersion", "kind", "cluster", "takenAt", "summary", "findings", "notChecked"]
    assert len(document["findings"]) == 40 + 1
    assert yaml.safe_load("\n".join(printed("yaml", what))) == document


def test_json_leaves_out_what_does_not_apply() -> None:
    (entry,) = json.loads("\n".join(printed("json", diagnosis(of_node("worker-1")))))["findings"]
    assert entry == {
        "rule": "node-memory-pressure",
        "severity": "warning",
        "confidence": "confirmed",
        "involvedObject": {"kind": "Node", "name": "worker-1"},
        "message": "is short of memory",
    }


# How a run ends: what stands beside the result, and the exit code.


def ended(what: Diagnosis, *flags: str, output: str = "table") -> tuple[int, list[str], list[str]]:
    out, err = io.StringIO(), io.StringIO()
    code = show(what, parse(flags), Screen(out, err, None, False), output=output)
    return code, out.getvalue().splitlines(), err.getvalue().splitlines()


INFO = finding(severity=Severity.INFO)
WARNING = finding(severity=Severity.WARNING)


@pytest.mark.parametrize(
    ("found", "flags", "code"),
    [
        ((), (), 0),
        ((INFO,), (), 0),
        ((INFO,), ("--fail-on=info",), 1),
        ((WARNING,), (), 1),
        ((WARNING,), ("--fail-on=critical",), 0),
        ((WARNING, finding()), ("--fail-on=critical",), 1),
        ((finding(),), ("--fail-on=never",), 0),
    ],
)
def test_exit_code_by_severity(found: tuple[Finding, ...], flags: tuple[str, ...], code: int) -> None:
    assert ended(diagnosis(*found), *flags)[0] == code


def test_exit_code_of_what_could_not_be_looked_at() -> None:
    entry = NotChecked(resource="nodes", reason="forbidden: no")
    assert ended(diagnosis(not_checked=[entry]))[0] == 0
    assert ended(diagnosis(not_checked=[entry]), "--strict")[0] == 2
    assert ended(diagnosis(finding(), not_checked=[entry]), "--strict")[0] == 2
    assert ended(diagnosis(), "--strict")[0] == 0
    assert ended(diagnosis(finding(), errors=('Error from server (NotFound): pods "x" not found',)))[0] == 2


def test_a_healthy_cluster_gets_one_calm_line_beside_an_empty_result() -> None:
    assert ended(diagnosis()) == (0, [], ["Nothing found: looked at 1 pod on 1 node."])


def test_totals_and_the_next_step_stand_beside_the_table() -> None:
    _, out, err = ended(in_cluster(finding(), WARNING, WARNING))
    assert len(out) == 2
    assert err == [
        "3 findings (1 critical, 2 warning) in 3 pods on 1 node.",
        "For proof and fix: kubectl memdoctor pod web-1 -n shop",
    ]


def in_cluster(*findings: Finding) -> Diagnosis:
    what = diagnosis(*findings)
    return replace(what, report=msgspec.structs.replace(what.report, cluster=Cluster(server="https://a")))


NEXT_STEPS = [
    (in_cluster(finding()), [], "kubectl memdoctor pod web-1 -n shop"),
    (
        in_cluster(finding()),
        ["--context=prod", "--kubeconfig=my config", "--token=secret", "--as=jane"],
        "kubectl memdoctor pod web-1 -n shop --context=prod '--kubeconfig=my config'",
    ),
    (in_cluster(of_node("worker-1")), [], "-o page"),
    (
        diagnosis(finding()),
        ["-f", "my dump.json", "-f", "b.yaml"],
        "kubectl memdoctor pod web-1 -n shop -f 'my dump.json' -f b.yaml",
    ),
    (diagnosis(finding()), ["-f", "-"], "-o page"),
]


@pytest.mark.parametrize(("what", "flags", "command"), NEXT_STEPS, ids=[command for _, _, command in NEXT_STEPS])
def test_the_next_step_looks_at_the_same_cluster_or_recording(what: Diagnosis, flags: list[str], command: str) -> None:
    _, _, err = ended(what, *flags)
    assert err[-1] == f"For proof and fix: {command}"


def test_the_recording_that_is_shipped_has_no_next_step_of_its_own() -> None:
    assert len(ended(diagnosis(finding()))[2]) == 1


@pytest.mark.parametrize("output", ["json", "jsonl", "yaml", "prometheus"])
def test_a_document_stands_alone(output: str) -> None:
    entry = NotChecked(resource="nodes", reason="forbidden: no")
    _, _, err = ended(diagnosis(finding(), not_checked=[entry]), "-o", output)
    assert err == []


@pytest.mark.parametrize("output", ["table", "wide", "name"])
def test_what_was_not_checked_is_said_beside_what_does_not_hold_it(output: str) -> None:
    entry = NotChecked(resource="nodes", reason="forbidden: no")
    _, out, err = ended(diagnosis(finding(), not_checked=[entry]), "-o", output)
    assert "not checked: nodes: forbidden: no" in err
    assert not any("forbidden" in line for line in out)


def test_names_that_do_not_exist_are_told_at_the_end() -> None:
    error = 'Error from server (NotFound): pods "x" not found'
    code, out, err = ended(diagnosis(pods=[facts()], errors=(error,)), output="page")
    assert (code, err) == (2, [error])
    assert out[0].startswith("shop/api-1: ")


# Where it is shown.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SCREENS = [
    (True, "auto", {}, True),
    (True, "auto", {"NO_COLOR": "1"}, False),
    (True, "auto", {"NO_COLOR": ""}, True),
    (True, "auto", {"TERM": "dumb"}, False),
    (True, "never", {}, False),
    (True, "always", {"NO_COLOR": "1"}, True),
    (False, "auto", {}, False),
    (False, "always", {}, True),
    (False, "never", {}, False),
]


@pytest.mark.parametrize(("terminal", "asked", "environ", "colour"), SCREENS, ids=str)
def test_colour(
    terminal: bool, asked: str, environ: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", Terminal() if terminal else io.StringIO())
    monkeypatch.setenv("COLUMNS", "132")
    screen = open_screen(asked, environ)
    assert screen.color is colour
    assert screen.width == (132 if terminal else None)


# Recorded objects, whole.

RECORDED = (
    CASES / "container-oom-killed/fires-at-every-start-in-all-replicas.yaml",
    CASES / "limitrange-memory-default-too-small/fires-with-a-pod-that-got-it.yaml",
    CASES / "pod-evicted-memory/fires-within-its-request.yaml",
    CASES / "container-killed-not-oom/fires-liveness-probe.yaml",
    CASES / "workload-memory-quota-exceeded/fires-quota-used-up.yaml",
    CASES / "node-memory-pressure/fires-with-events.yaml",
)


def recording(path: Path, objects: Sequence[Any]) -> Path:
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*objects]}, default=str))
    return path


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_order_of_objects_changes_nothing(output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case in RECORDED:
        objects = objects_in(case)
        texts = set()
        for seed in range(3):
            random.Random(seed).shuffle(objects)
            main(["ns", "--all", "-f", str(recording(tmp_path / "shuffled.json", objects)), "-o", output])
            texts.add(capsys.readouterr())
        assert len(texts) == 1, case


def test_worst_first_over_everything_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = [entry for case in RECORDED for entry in objects_in(case)]
    path = recording(tmp_path / "all.json", objects)
    assert main(["ns", "--all", "-f", str(path), "--no-headers", "--pods"]) == 1
    rows = [cells(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) > 5
    ranks = [([*map(str, Severity)].index(row[3]), [*map(str, Confidence)].index(row[4])) for row in rows]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("output", [None, *OUTPUTS])
def test_nothing_but_plain_text_goes_into_a_pipe(output: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    for case in RECORDED:
        main(["ns", "--all", "-f", str(case), *(["-o", output] if output else [])])
        out, err = capsys.readouterr()
        assert out
        assert ESCAPE not in out + err


def test_colour_always_goes_into_a_pipe_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    main(["ns", "--all", "-f", str(RECORDED[0]), "--color=always"])
    assert ESCAPE in capsys.readouterr().out


def test_limits_are_printed_as_written_and_in_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = objects_in(RECORDED[0])
    for entry in objects:
        for container in entry.get("spec", {}).get("containers", ()):
            container["resources"]["limits"]["memory"] = "64500k"
    main(["ns", "--all", "-f", str(recording(tmp_path / "odd.json", objects)), "-o", "page"])
    out = capsys.readouterr().out
    assert "64500k (64500000 bytes)" in out


def progress_on(err: io.StringIO, monkeypatch: pytest.MonkeyPatch, *calls: tuple[float, int, int | None]) -> list[str]:
    """What is written for calls of (seconds since the start, pods so far, pods still to come)."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    progress = Progress(Screen(io.StringIO(), err, None, False))
    written = []
    for seconds, pods, remaining in calls:
        clock[0] = 100.0 + seconds
        progress(pods, remaining)
        written.append(err.getvalue())
        err.seek(0)
        err.truncate()
    progress.close()
    return [*written, err.getvalue()]


def test_a_long_scan_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = (
        (0.5, 500, 99_500),
        (1.5, 12_500, 87_500),
        (1.55, 13_000, 87_000),
        (2.0, 99_500, 500),
        (3.0, 100_000, None),
    )
    soon, first, too_soon, second, last, end = progress_on(Terminal(), monkeypatch, *calls)
    assert (soon, too_soon) == ("", "")
    assert first == "\rlooked at 12,500 of 100,000 pods ..."
    assert second == "\rlooked at 99,500 of 100,000 pods ..."
    assert last.rstrip() == "\rlooked at 100,000 pods ..."
    assert len(last) == len(second)
    assert end.startswith("\r")
    assert end.endswith("\r")
    assert end.strip() == ""


def test_nothing_is_shown_where_nobody_watches_or_nothing_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress_on(io.StringIO(), monkeypatch, (5.0, 500, 500)) == ["", ""]
    assert progress_on(Terminal(), monkeypatch, (0.2, 500, 500), (0.9, 1000, None)) == ["", "", ""]
