"""What kubectl saves of a cluster says the same as the cluster itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from .api import Json
from .memdoctor import Ran, Shell
from .seeded import INCIDENT, Seeded

WORKLOADS = "replicasets,deployments,statefulsets,daemonsets,jobs,controllerrevisions"
ALL = f"pods,events,nodes,{WORKLOADS},limitranges,runtimeclasses"
NEWER_EVENTS = ALL.replace("events", "events.v1.events.k8s.io")
RAW = {
    "pods": "/api/v1/pods",
    "events": "/api/v1/events",
    "nodes": "/api/v1/nodes",
    "limitranges": "/api/v1/limitranges",
    "replicasets": "/apis/apps/v1/replicasets",
    "deployments": "/apis/apps/v1/deployments",
    "statefulsets": "/apis/apps/v1/statefulsets",
    "daemonsets": "/apis/apps/v1/daemonsets",
    "revisions": "/apis/apps/v1/controllerrevisions",
    "jobs": "/apis/batch/v1/jobs",
    "runtimeclasses": "/apis/node.k8s.io/v1/runtimeclasses",
}
SAVES = {
    "json": f"kubectl get {ALL} -A -o json > dump",
    "yaml": f"kubectl get {ALL} -A -o yaml > dump",
    "gzip": f"kubectl get {ALL} -A -o json | gzip > dump",
    "a file each": "mkdir dump; for kind in {}; do kubectl get $kind -A -o yaml > dump/$kind.yaml; done".format(
        ALL.replace(",", " ")
    ),
    "the API's answers": "mkdir dump; "
    + "; ".join(f"kubectl get --raw {path} > dump/{name}.json" for name, path in RAW.items()),
    "events of events.k8s.io": f"kubectl get {NEWER_EVENTS} -A -o json > dump",
}
DUMPS = {
    "to a folder": "kubectl cluster-info dump -A --output-directory=dump > /dev/null",
    "to standard output": "kubectl cluster-info dump -A > dump",
    "as yaml": "kubectl cluster-info dump -A -o yaml --output-directory=dump > /dev/null",
}


def told(findings: list[Json], *, owners: bool) -> list[Any]:
    """What does not depend on when it was looked at; with or without what only owners know."""
    always = ("rule", "severity", "confidence", "involvedObject", "memory")
    seen = [
        [[entry.get(key) for key in ("source", "object", "field", "value", "time")] for entry in finding["evidence"]]
        for finding in findings
    ]
    return [
        [
            *(finding.get(key) for key in always),
            [entry for entry in evidence if owners or entry[0] != "owner"],
            [finding.get("owner"), finding.get("remedy", {}).get("command")] if owners else None,
        ]
        for finding, evidence in zip(findings, seen, strict=True)
    ]


def saved(shell: Shell, command: str, folder: Path) -> str:
    ran = shell.script(f"cd {shlex.quote(str(folder))}; {command}")
    assert ran.code == 0, ran.err
    return str(folder / "dump")


def both(shell: Shell, recording: str) -> tuple[Ran, Ran]:
    return shell.memdoctor("ns", "-A", "-o", "json"), shell.memdoctor("ns", "-A", "-o", "json", "-f", recording)


@pytest.mark.parametrize("how", SAVES)
def test_a_recording_says_what_the_cluster_says(shell: Shell, seeded: Seeded, how: str, tmp_path: Path) -> None:
    live, recorded = both(shell, saved(shell, SAVES[how], tmp_path))
    assert (live.code, recorded.code) == (1, 1)
    assert told(recorded.report()["findings"], owners=True) == told(live.report()["findings"], owners=True)
    assert recorded.report()["summary"] == live.report()["summary"]
    # A List that holds none of a kind does not say that it was asked for.
    assert {entry["resource"] for entry in recorded.report().get("notChecked", [])} <= {"limitranges"}


@pytest.mark.parametrize("how", DUMPS)
def test_a_cluster_info_dump_says_what_the_cluster_says(shell: Shell, seeded: Seeded, how: str, tmp_path: Path) -> None:
    """But for what it does not hold: LimitRanges, Jobs, revisions of StatefulSets."""
    live, recorded = both(shell, saved(shell, DUMPS[how], tmp_path))
    report = recorded.report()
    assert told(report["findings"], owners=False) == told(live.report()["findings"], owners=False)
    assert {entry["resource"] for entry in report["notChecked"]} >= {"limitranges"}


def test_a_recording_from_a_pipe(shell: Shell, seeded: Seeded) -> None:
    ran = shell.script(
        f"kubectl get {ALL} -A -o json | kubectl memdoctor pod {INCIDENT} -n default -o json -f - || true"
    )
    assert [finding["rule"] for finding in ran.report()["findings"]] == ["sandbox-memory-limit-too-small"]
    assert ran.report()["cluster"] == {"recording": "standard input"}
