"""What memdoctor says about pods on a real API server, asked for as a person asks: `kubectl memdoctor ...`."""

from __future__ import annotations

import re

import pytest

from .api import Json
from .memdoctor import Shell
from .seeded import CONTAINERD_NODE, DOCKER_NODE, INCIDENT, OWNED, TINY, Seeded, tiny_limit_events
from .stand_ins import CONTAINER, StandIns

FIX = f"kubectl -n default set resources deployment/busybox-deploy -c {CONTAINER} --limits=memory=300Mi"


def key(pod: Json) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def test_the_incident_is_told_in_words(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("pod", INCIDENT)
    assert (ran.code, ran.err) == (1, "")
    page = " ".join(ran.out.split())
    assert f"default/{INCIDENT} cannot start: its memory limit is too small for the pod's sandbox" in page
    assert 'The limit 300m is 0.3 byte ("m" is thousandths)' in page
    assert f"docker 18.9.3 with runc on node {DOCKER_NODE} needs" in page
    assert "64Mi until revision 6, 300m since revision 7" in page
    assert "read init-p: connection reset by peer" in page
    assert "Did you mean 300Mi?" in page
    assert FIX in page


def test_the_incident_is_told_in_json(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("pod", INCIDENT, "-o", "json")
    assert (ran.code, ran.err) == (1, "")
    report = ran.report()
    assert report["cluster"]["server"] == shell.plane.server
    assert report["cluster"]["context"] == "test"
    assert report.get("notChecked", []) == []
    (finding,) = report["findings"]
    assert finding["rule"] == "sandbox-memory-limit-too-small"
    assert (finding["severity"], finding["confidence"]) == ("critical", "confirmed")
    assert finding["involvedObject"]["uid"] == seeded.incident["metadata"]["uid"]
    assert finding["owner"] == {"kind": "Deployment", "namespace": "default", "name": "busybox-deploy"}
    assert finding["memory"]["limitBytes"] == 1
    assert finding["memory"]["limitQuantity"] == TINY
    assert finding["memory"]["limitBytes"] < finding["memory"]["minimumBytes"]
    counts = {(entry["field"], entry.get("count")) for entry in finding["evidence"] if entry["source"] == "event"}
    assert counts == {("FailedCreatePodSandBox", 4), ("FailedCreatePodSandBox", 9), ("SandboxChanged", 12)}
    assert finding["remedy"]["command"] == FIX


def test_the_report_names_the_servers_version(shell: Shell, seeded: Seeded) -> None:
    version = shell.plane.api().call("GET", "/version")["gitVersion"]
    assert shell.memdoctor("pod", INCIDENT, "-o", "json").report()["cluster"]["version"] == version


def test_all_namespaces_in_one_table(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("ns", "--all")
    assert ran.code == 1
    totals, next_step = ran.err.splitlines()
    assert re.fullmatch(r"\d+ findings \(\d+ critical(, \d+ warning)?, \d+ info\) in \d+ pods on \d+ nodes\.", totals)
    assert next_step.startswith("For proof and fix: kubectl memdoctor pod ")
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows[0][:3] == ["NAMESPACE", "WORKLOAD", "FINDING"]
    first = rows[1]
    assert first[:5] == [
        "default",
        "deployment/busybox-deploy",
        "sandbox-memory-limit-too-small",
        "critical",
        "confirmed",
    ]
    assert ["shop", "deployment/cache", "container-oom-killed"] in [row[:3] for row in rows]
    assert not any("deployment/web" in row for row in rows)


def test_all_namespaces_each_pod_with_its_cause(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("ns", "-A", "-o", "json")
    found = {name: finding["rule"] for name, finding in ran.findings().items()}
    expected = {key(pod): "sandbox-memory-limit-too-small" for pod in seeded.owned.values()} | {
        key(seeded.incident): "sandbox-memory-limit-too-small",
        key(seeded.ample_twin): "sandbox-failure-not-memory",
        key(seeded.oom_loop): "container-oom-killed",
        key(seeded.no_network): "sandbox-failure-not-memory",
    }
    healthy = {key(pod) for pod in seeded.healthy}
    assert {name: rule for name, rule in found.items() if name in expected} == expected
    assert not healthy & set(found)
    assert ran.report().get("notChecked", []) == []


def test_one_namespace(shell: Shell, seeded: Seeded) -> None:
    for ran in (
        shell.memdoctor("ns", "shop", "-o", "json"),
        shell.memdoctor("ns", "-n", "shop", "-o", "json"),
        shell.memdoctor("ns", "-o", "json", namespace="shop"),
    ):
        assert ran.code == 1
        assert set(ran.findings()) == {key(seeded.oom_loop), key(seeded.no_network)}
        assert ran.report()["summary"]["pods"] == 5


def test_the_same_words_with_an_ample_limit_are_not_memory(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("pod", INCIDENT, "-n", "ample", "-o", "json")
    assert ran.code == 0
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "sandbox-failure-not-memory"
    assert finding["severity"] == "info"
    assert "command" not in finding.get("remedy", {})
    assert shell.memdoctor("pod", INCIDENT, "-n", "ample", "--fail-on=info").code == 1


def test_an_oom_loop_says_how_it_dies(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("pod", seeded.oom_loop["metadata"]["name"], "-n", "shop")
    assert ran.code == 1
    assert "container-oom-killed" in ran.out
    assert "3s" in ran.out or "3 s" in ran.out
    assert "deployment/cache" in ran.out


def test_a_network_failure_is_named(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("pod", "lonely", "-n", "shop")
    assert ran.code == 0
    assert "sandbox-failure-not-memory" in ran.out
    assert "network" in ran.out


def test_a_healthy_pod_has_a_short_page(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("pod", seeded.healthy[0]["metadata"]["name"], "-n", "shop")
    assert (ran.code, ran.err) == (0, "")
    assert "128Mi" in ran.out
    assert "FIX" not in ran.out


def test_a_pod_that_has_outlived_its_events_is_found(shell: Shell, seeded: Seeded, stand_ins: StandIns) -> None:
    stand_ins.namespace("old")
    stand_ins.stuck(stand_ins.bare_pod("old", "forgotten", TINY, CONTAINERD_NODE), since=86400)
    ran = shell.memdoctor("pod", "forgotten", "-n", "old", "-o", "json")
    assert ran.code == 1
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "sandbox-memory-limit-too-small"
    assert not [entry for entry in finding["evidence"] if entry["source"] == "event"]


@pytest.mark.parametrize("asked", [("pod", "reborn", "-n", "reborn"), ("ns", "reborn")], ids=["pod", "ns"])
def test_a_pod_is_not_blamed_for_its_predecessor(
    shell: Shell, seeded: Seeded, stand_ins: StandIns, asked: tuple[str, ...]
) -> None:
    if "reborn" not in [item["metadata"]["name"] for item in stand_ins.api.items("v1", "Namespace")]:
        stand_ins.namespace("reborn")
        former = stand_ins.bare_pod("reborn", "reborn", TINY, CONTAINERD_NODE)
        stand_ins.stuck(former, *tiny_limit_events(former))
        stand_ins.api.delete(former)
        stand_ins.stuck(stand_ins.bare_pod("reborn", "reborn", "64Mi", CONTAINERD_NODE), since=5)
    ran = shell.memdoctor(*asked, "-o", "json")
    assert (ran.code, ran.report()["findings"]) == (0, [])
    events = stand_ins.api.items("v1", "Event", "reborn")
    assert {event["reason"] for event in events} == {"FailedCreatePodSandBox", "SandboxChanged"}


def test_several_names_and_owners(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("pod", "deploy/deployed", "sts/stateful", "bare", "cj/nightly", "-n", OWNED, "-o", "json")
    assert ran.code == 1
    expected = {key(seeded.owned[kind]) for kind in ("Deployment", "StatefulSet", "Pod", "CronJob")}
    assert set(ran.findings()) == expected
