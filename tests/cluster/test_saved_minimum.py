"""Figures that were saved on a real API server, and who may read them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kubectl_memdoctor.measured_minimum import Measurement, Pool, Try, encode

from .api import Json
from .memdoctor import Ran, Shell
from .stand_ins import SANDBOX_CHANGED, StandIns

NAMESPACE, NODE, RUNTIME, KERNEL = "measured", "measured-1", "containerd://2.0.0-measured", "6.1.0-28-amd64"
MIB = 1 << 20
NAME = "memdoctor-sandbox-minimum"
MAY_READ = f"""\
kubectl create clusterrole readers --verb=get,list --resource=pods,events,nodes,limitranges,runtimeclasses.node.k8s.io
kubectl create clusterrolebinding readers --clusterrole=readers --user=uninformed --user=informed
kubectl -n kube-public create role {NAME} --verb=get --resource=configmaps --resource-name={NAME}
kubectl -n kube-public create rolebinding {NAME} --role={NAME} --user=informed
"""


def measured(kernel: str = KERNEL) -> Measurement:
    return Measurement(
        node=NODE,
        pool=Pool(container_runtime_version=RUNTIME, kernel_version=kernel, architecture="amd64", cpus=8),
        failed_bytes=3 * MIB,
        ready_bytes=4 * MIB,
        tries=(
            Try(limit_bytes=4 * MIB, ready=4, failed=0),
            Try(limit_bytes=3 * MIB, ready=1, failed=3, failed_at="sandbox"),
            Try(limit_bytes=2 * MIB, ready=0, failed=4, failed_at="sandbox"),
        ),
        image="registry.k8s.io/pause:3.10",
        taken_at=datetime(2026, 11, 24, 18, tzinfo=UTC),
    )


@pytest.fixture(scope="module")
def stuck(shell: Shell, stand_ins: StandIns) -> Json:
    """A pod with 3Mi whose sandbox does not come up, and no word why."""
    stand_ins.namespace(NAMESPACE)
    stand_ins.node(NODE, RUNTIME, KERNEL)
    granted = shell.script(MAY_READ)
    assert (granted.code, granted.err) == (0, "")
    return stand_ins.stuck(stand_ins.bare_pod(NAMESPACE, "web", "3Mi", NODE), SANDBOX_CHANGED)


@pytest.fixture
def saved(shell: Shell, stuck: Json) -> Iterator[None]:
    """As a person saves a file's content."""
    file = shell.plane.folder / "minimum.yaml"
    file.write_text(encode([measured(), measured("5.10.0")]))
    create = f"kubectl -n kube-public create configmap {NAME} --from-file=minimum.yaml={file}"
    ran = shell.script(f"{create} --dry-run=client -o yaml | kubectl apply -f -")
    assert ran.code == 0, ran.err
    yield
    assert shell.script(f"kubectl -n kube-public delete configmap {NAME}").code == 0


def minimum(ran: Ran) -> int:
    assert ran.code == 1, ran.err
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "sandbox-memory-limit-too-small"
    bytes_: int = finding["memory"]["minimumBytes"]
    return bytes_


@pytest.mark.parametrize("command", [("ns", NAMESPACE), ("pod", "web", "-n", NAMESPACE)], ids=" ".join)
@pytest.mark.parametrize("user", ["admin", "informed"])
def test_what_is_saved_is_read(shell: Shell, saved: None, command: tuple[str, ...], user: str) -> None:
    ran = shell.memdoctor(*command, "-o", "json", user=user)
    assert minimum(ran) == 4 * MIB
    (told,) = [entry for entry in ran.report()["findings"][0]["evidence"] if entry["source"] == "lab"]
    assert told["object"] == f"node/{NODE}"
    assert told["value"].startswith(
        "measured on your nodes: fails with 2Mi, at times with 3Mi, runs with 4Mi (12 tries"
    )
    assert {entry["resource"] for entry in ran.report()["notChecked"]} <= {"nodes/proxy"}
    page = " ".join(shell.memdoctor(*command, "-o", "page", user=user).out.split())
    assert "needs between 2Mi and 4Mi to start a sandbox, measured on your nodes." in page


@pytest.mark.parametrize("command", [("ns", NAMESPACE), ("pod", "web", "-n", NAMESPACE)], ids=" ".join)
def test_who_may_not_read_it_is_told_where_it_would_matter(shell: Shell, saved: None, command: tuple[str, ...]) -> None:
    ran = shell.memdoctor(*command, "-o", "json", user="uninformed")
    assert minimum(ran) > 4 * MIB
    told = {entry["rule"]: entry["reason"] for entry in ran.report()["notChecked"] if entry["resource"] == "configmaps"}
    (reason,) = told.values()
    assert [*told] == ["sandbox-memory-limit-too-small"]
    assert reason.startswith(f'forbidden: configmaps "{NAME}" is forbidden: User "uninformed" cannot get resource')
    assert reason.endswith(" (looked without it)")


def test_a_file_counts_instead(shell: Shell, saved: None) -> None:
    file = shell.plane.folder / "own.yaml"
    file.write_text(encode([measured("5.10.0")]))
    ran = shell.memdoctor("ns", NAMESPACE, "-o", "json", "--minimum-from", str(file), user="uninformed")
    assert minimum(ran) > 4 * MIB
    assert "configmaps" not in {entry["resource"] for entry in ran.report()["notChecked"]}
    own = shell.memdoctor("ns", NAMESPACE, "-o", "json", "--minimum-from", str(file), "--minimum", "5Mi")
    assert minimum(own) == 5 * MIB


def test_what_is_broken_costs_one_line(shell: Shell, stuck: Json) -> None:
    created = shell.script(f"kubectl -n kube-public create configmap {NAME} --from-literal=minimum.yaml=broken")
    assert created.code == 0, created.err
    try:
        ran = shell.memdoctor("ns", NAMESPACE)
    finally:
        shell.script(f"kubectl -n kube-public delete configmap {NAME}")
    assert ran.code == 1
    assert "sandbox-memory-limit-too-small" in ran.out
    (line,) = [line for line in ran.err.splitlines() if line.startswith("not checked: ")]
    assert line == (
        f"not checked: configmaps: failed: ConfigMap kube-public/{NAME}: minimum.yaml: is something without a kind, "
        "not a SandboxMinimumList of memdoctor.dev/v1"
    )


def test_where_nothing_is_saved_nothing_is_said(shell: Shell, stuck: Json) -> None:
    ran = shell.memdoctor("ns", NAMESPACE, "-o", "json")
    assert minimum(ran) > 4 * MIB
    assert ran.report()["notChecked"] == []
