"""calibrate against the real API server: what it makes, what it finds, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubectl_memdoctor.measured_minimum import decode

from . import pretended_node
from .api import Json
from .calibrating import NODE, PAUSE, SAVED, Calibrating, remains
from .control_plane import ControlPlane
from .pretended_node import MIB, Play, PretendedNode, from_limit
from .reviewing import reviewed
from .stand_ins import StandIns

RUNC = from_limit(3 * MIB)
LEVELS = "pod-security.kubernetes.io/enforce"


def given_namespace(stand_ins: StandIns, name: str, **labels: str) -> None:
    metadata = {"name": name, "labels": labels}
    stand_ins.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    stand_ins.api.create(account)


@pytest.fixture
def own_namespace(stand_ins: StandIns, request: pytest.FixtureRequest) -> Iterator[str]:
    """One for `-n`, that lets in restricted pods only."""
    name = "given-" + request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")
    given_namespace(stand_ins, name, **{LEVELS: "restricted"})
    yield name
    stand_ins.api.call("DELETE", f"/api/v1/namespaces/{name}")


def only_line(text: str) -> str:
    """The line that is no part of the plan."""
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith("It takes ")), -1)
    rest = [line for line in lines[end + 1 :] if not line.endswith(" made")]
    assert len(rest) == 1, rest
    return rest[0]


def test_it_measures_and_leaves_nothing(calibrating: Calibrating, stand_ins: StandIns) -> None:
    """As people run it: through kubectl, by the real clock."""
    with PretendedNode(stand_ins, RUNC).running() as node, calibrating.start("--yes", "--save") as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.startswith(f"Node {NODE}: pods start with a memory limit of 3Mi or more.\n")
    assert "sandbox: container init was OOM-killed (memory limit too low?)" in out
    assert len(node.limits) <= 30
    assert node.most_at_once <= 4
    assert remains(stand_ins.api) == []
    saved = stand_ins.api.call("GET", SAVED)
    (found,) = decode(saved["data"]["minimum.yaml"].encode(), "saved")
    assert (found.failed_bytes, found.ready_bytes, found.node, found.image) == (2560 << 10, 3 * MIB, NODE, PAUSE)
    assert sum(entry.ready + entry.failed for entry in (*found.tries, *found.sandbox_tries)) == len(node.limits)


def test_what_is_saved_of_other_kinds_stays(calibrating: Calibrating, stand_ins: StandIns) -> None:
    for play, handler in ((RUNC, ""), (from_limit(384 << 10), "crun")):
        arguments = [f"--runtime-class={handler}"] if handler else []
        if handler:
            meta = {"name": handler}
            runtime_class = {
                "apiVersion": "node.k8s.io/v1",
                "kind": "RuntimeClass",
                "metadata": meta,
                "handler": handler,
            }
            stand_ins.api.create(runtime_class)
        with PretendedNode(stand_ins, play).running():
            ran = calibrating.quickly("--yes", "--save", *arguments)
        assert ran.code == 0, ran.err
    saved = stand_ins.api.call("GET", SAVED)
    found = {entry.pool.handler: entry.ready_bytes for entry in decode(saved["data"]["minimum.yaml"].encode(), "saved")}
    assert found == {"": 3 * MIB, "crun": 384 << 10}


def test_in_a_given_namespace(
    calibrating: Calibrating, stand_ins: StandIns, own_namespace: str, tmp_path: Path
) -> None:
    """Which lets in restricted pods only, and keeps all that was there before."""
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept", "namespace": own_namespace}}
    stand_ins.api.create(kept)
    file = tmp_path / "minimum.yaml"
    with PretendedNode(stand_ins, RUNC).running() as node:
        ran = calibrating.quickly("--yes", "-n", own_namespace, "-o", "json", f"--output-file={file}")
    assert ran.code == 0, ran.err
    (found,) = decode(ran.out.encode(), "stdout")
    assert found.ready_bytes == 3 * MIB
    assert decode(file.read_bytes(), "file") == (found,)
    assert remains(stand_ins.api) == []
    assert stand_ins.api.read(kept)
    owners = {owner["kind"] for pod in node.pods for owner in pod["metadata"]["ownerReferences"]}
    assert owners == {"ConfigMap"}
    assert {pod["metadata"]["namespace"] for pod in node.pods} == {own_namespace}


def test_the_pods_that_it_makes(calibrating: Calibrating, stand_ins: StandIns) -> None:
    with PretendedNode(stand_ins, pretended_node.network_fails).running() as node:
        calibrating.quickly("--yes")
    for pod in node.pods:
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert (container["image"], container["imagePullPolicy"]) == (PAUSE, "Never")
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert spec.get("volumes", []) == []
        assert spec["activeDeadlineSeconds"] == 300
        assert {"operator": "Exists"} in spec["tolerations"]


def test_an_image_that_is_named_may_be_pulled(calibrating: Calibrating, stand_ins: StandIns) -> None:
    with PretendedNode(stand_ins, pretended_node.network_fails).running() as node:
        calibrating.quickly("--yes", "--image=acme.example/pause:1")
    containers = [pod["spec"]["containers"][0] for pod in node.pods]
    assert {(entry["image"], entry["imagePullPolicy"]) for entry in containers} == {
        ("acme.example/pause:1", "IfNotPresent")
    }


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (pretended_node.image_missing, f'ErrImageNeverPull: Container image "{PAUSE}" is not present'),
        (pretended_node.network_fails, "its pod fails, and not on memory (network): "),
        (pretended_node.ends_at_once, "the image's own program ended with exit code 0"),
        (pretended_node.sandbox_fails, "no pod became ready, not even with 1Gi: container init was OOM-killed"),
    ],
)
def test_what_is_not_memory_ends_it(calibrating: Calibrating, stand_ins: StandIns, play: Play, words: str) -> None:
    with PretendedNode(stand_ins, play).running():
        ran = calibrating.quickly("--yes")
    assert (ran.code, ran.out) == (2, "")
    assert only_line(ran.err).startswith(f"error: node {NODE} was not measured: {words}")
    assert remains(stand_ins.api) == []


def test_containers_that_fail(calibrating: Calibrating, stand_ins: StandIns) -> None:
    """As crun's on cgroup v1: from 160Ki on the sandbox starts, but not what is in it."""

    def play(node: PretendedNode, pod: Json, limit: int) -> None:
        below = pretended_node.container_fails if limit >= 160 << 10 else pretended_node.sandbox_stops
        from_limit(384 << 10, below)(node, pod, limit)

    with PretendedNode(stand_ins, play).running():
        ran = calibrating.quickly("--yes")
    assert ran.code == 0
    assert "pods start with a memory limit of 384Ki or more" in ran.out
    assert "Sandboxes alone start with 160Ki; their containers need the rest." in ran.out
    assert "container: read init-p: connection reset by peer" in ran.out
    assert "sandbox: cannot start a stopped process" in ran.out


def by_their_own_start(node: PretendedNode, pod: Json, limit: int) -> None:
    """Containers kill sandboxes that would stand from 160Ki on."""
    below = pretended_node.container_kills_sandbox if limit >= 160 << 10 else pretended_node.sandbox_stops
    from_limit(640 << 10, below)(node, pod, limit)


def test_containers_that_kill_their_sandboxes(calibrating: Calibrating, stand_ins: StandIns) -> None:
    """The API does not tell that from sandboxes that die: pods whose container never starts do."""
    with PretendedNode(stand_ins, by_their_own_start).running() as node:
        ran = calibrating.quickly("--yes", "-o", "json")
    assert ran.code == 0, ran.err
    (found,) = decode(ran.out.encode(), "stdout")
    assert found.ready_bytes == 640 << 10
    assert min(entry.limit_bytes for entry in found.sandbox_tries if not entry.failed) == 160 << 10
    alone = [pod["spec"]["containers"][0] for pod in node.pods if pretended_node.is_sandbox_only(pod)]
    assert len(alone) == sum(entry.ready + entry.failed for entry in found.sandbox_tries)
    assert {entry["imagePullPolicy"] for entry in alone} == {"Never"}
    assert {entry["image"].partition(":")[0] for entry in alone} == {PAUSE.partition(":")[0]}
    assert remains(stand_ins.api) == []


def test_a_policy_that_forbids_pods_that_never_start(
    calibrating: Calibrating, stand_ins: StandIns, own_namespace: str, tmp_path: Path
) -> None:
    """What pods need is measured all the same."""

    def review(pod: Json) -> list[Json] | str:
        return "images are pinned" if pretended_node.is_sandbox_only(pod) else []

    with (
        reviewed(stand_ins, own_namespace, review, tmp_path),
        PretendedNode(stand_ins, by_their_own_start).running(),
    ):
        ran = calibrating.quickly("--yes", "-n", own_namespace)
    assert ran.code == 0, ran.err
    assert "pods start with a memory limit of 640Ki or more" in ran.out
    assert "alone" not in ran.out
    (line,) = [line for line in ran.err.splitlines() if "sandboxes alone was not found" in line]
    assert line.endswith("images are pinned")
    assert remains(stand_ins.api) == []


def test_nobody_places_the_pods(calibrating: Calibrating, stand_ins: StandIns) -> None:
    with PretendedNode(stand_ins, RUNC, places=False).running():
        ran = calibrating.quickly("--yes")
    assert ran.code == 2
    assert only_line(ran.err).endswith("was not measured: no scheduler has placed it within 30s")
    assert remains(stand_ins.api) == []


def test_a_quota(calibrating: Calibrating, stand_ins: StandIns, own_namespace: str) -> None:
    meta, hard = {"name": "team", "namespace": own_namespace}, {"limits.memory": "1Mi"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    made = stand_ins.api.create(quota)
    stand_ins.api.write_status(made, {"hard": hard, "used": {"limits.memory": "0"}})
    with PretendedNode(stand_ins, RUNC).running():
        ran = calibrating.quickly("--yes", "-n", own_namespace)
    assert (ran.code, ran.out) == (2, "")
    refusal, removed = [line for line in ran.err.splitlines() if "exceeded quota" in line or "removed." in line]
    assert refusal.startswith("Error from server (Forbidden): pods ")
    assert "exceeded quota: team, requested: limits.memory=64Mi" in refusal
    assert removed == "All that was made is removed."
    assert remains(stand_ins.api) == []


def test_a_limit_range_with_a_minimum(calibrating: Calibrating, stand_ins: StandIns, own_namespace: str) -> None:
    meta = {"name": "bounds", "namespace": own_namespace}
    limits = [{"type": "Container", "min": {"memory": "4Mi"}}]
    stand_ins.api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": limits}})
    with PretendedNode(stand_ins, RUNC).running():
        ran = calibrating.quickly("--yes", "-n", own_namespace)
    assert (ran.code, ran.out) == (2, "")
    assert "minimum memory usage per Container is 4Mi, but " in ran.err
    assert remains(stand_ins.api) == []


def test_a_policy_that_forbids_the_pods(
    calibrating: Calibrating, stand_ins: StandIns, own_namespace: str, tmp_path: Path
) -> None:
    with (
        reviewed(stand_ins, own_namespace, lambda pod: "pods run on Mondays only", tmp_path),
        PretendedNode(stand_ins, RUNC).running(),
    ):
        ran = calibrating.quickly("--yes", "-n", own_namespace)
    assert (ran.code, ran.out) == (2, "")
    assert "pods run on Mondays only" in ran.err
    assert remains(stand_ins.api) == []


def test_a_webhook_that_changes_limits(
    calibrating: Calibrating, stand_ins: StandIns, own_namespace: str, tmp_path: Path
) -> None:
    def raised(pod: Json) -> list[Json]:
        return [{"op": "replace", "path": "/spec/containers/0/resources/limits/memory", "value": "128Mi"}]

    with (
        reviewed(stand_ins, own_namespace, raised, tmp_path),
        PretendedNode(stand_ins, RUNC).running(),
    ):
        ran = calibrating.quickly("--yes", "-n", own_namespace)
    assert (ran.code, ran.out) == (2, "")
    assert only_line(ran.err) == (
        f"error: node {NODE} was not measured: admission changed the pod's memory limit from 64Mi to 128Mi: what would"
        " be measured is not what was asked for"
    )
    assert remains(stand_ins.api) == []


def test_a_sidecar_that_is_added(
    calibrating: Calibrating, stand_ins: StandIns, own_namespace: str, tmp_path: Path
) -> None:
    def added(pod: Json) -> list[Json]:
        sidecar = {**pod["spec"]["containers"][0], "name": "proxy"}
        return [{"op": "add", "path": "/spec/containers/-", "value": sidecar}]

    with (
        reviewed(stand_ins, own_namespace, added, tmp_path),
        PretendedNode(stand_ins, RUNC).running(),
    ):
        ran = calibrating.quickly("--yes", "-n", own_namespace)
    assert ran.code == 2
    assert "admission added the container proxy" in only_line(ran.err)
    assert remains(stand_ins.api) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--node=nosuch",), 'Error from server (NotFound): nodes "nosuch" not found'),
        (("--node=not-ready",), 'error: node "not-ready" is not ready: KubeletNotReady: PLEG is not healthy'),
        (
            ("--node=imageless",),
            'error: node "imageless" lists no pause image: name one that it has, or can pull, with',
        ),
        (("--node=windows",), 'error: node "windows" runs Windows: it has no cgroups, so a sandbox needs no minimum'),
        (("-n", "nosuch"), 'Error from server (NotFound): namespaces "nosuch" not found'),
        (("--runtime-class=nosuch",), 'Error from server (NotFound): runtimeclasses.node.k8s.io "nosuch" not found'),
        (("--output-file=/nosuch/x.yaml",), "error: open /nosuch/x.yaml: no such file or directory"),
        (("--output-file=/",), "error: open /: is a directory"),
        (
            ("-o", "wide"),
            'error: unable to match a printer suitable for the output format "wide", allowed formats are:',
        ),
        (("worker-1",), 'error: calibrate takes no arguments, not "worker-1": nodes are given with --node'),
        (
            ("--dry-run=server",),
            "error: --dry-run=server needs -n: the server admits no pods to a namespace that is yet",
        ),
        (("--clean", "--image=x"), "error: --clean measures nothing: leave out --image"),
        (("--minimum=1Mi",), "error: unknown flag: --minimum (for kubectl memdoctor calibrate)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_input(
    calibrating: Calibrating, stand_ins: StandIns, odd_nodes: None, arguments: tuple[str, ...], line: str
) -> None:
    ran = calibrating.run("--yes", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[0].startswith(line)
    assert len(ran.err.splitlines()) == (1 if "for usage" not in ran.err else 2)
    assert remains(stand_ins.api) == []


@pytest.fixture(scope="module")
def odd_nodes(stand_ins: StandIns) -> Iterator[None]:
    ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "PLEG is not healthy"}
    stand_ins.api.write_status(stand_ins.node("not-ready", "containerd://2.2.0"), {"conditions": [ready]})
    other = stand_ins.node("imageless", "containerd://2.2.0")
    info = {**other["status"]["nodeInfo"], "architecture": "arm64"}
    stand_ins.api.write_status(other, {"nodeInfo": info})
    windows = stand_ins.node("windows", "containerd://2.2.0")
    stand_ins.api.write_status(windows, {"nodeInfo": {**windows["status"]["nodeInfo"], "operatingSystem": "windows"}})
    yield
    for name in ("not-ready", "imageless", "windows"):
        stand_ins.api.call("DELETE", f"/api/v1/nodes/{name}")


def test_without_a_terminal_it_makes_nothing(calibrating: Calibrating, stand_ins: StandIns) -> None:
    ran = calibrating.run("--node", NODE)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "error: calibrate writes to the cluster, and there is no terminal to ask on: pass --yes, or --dry-run to see"
        " what it would make\n"
    )
    assert remains(stand_ins.api) == []


@pytest.mark.parametrize("answer", ["n", "", "ja", "yes please"])
def test_whoever_does_not_agree_gets_nothing_made(calibrating: Calibrating, stand_ins: StandIns, answer: str) -> None:
    code, seen = calibrating.at_terminal(f"{answer}\r", "--node", NODE)
    assert code == 2
    assert "Do you want to continue? (y/N): " in seen
    assert f"at most 30 pods on node {NODE}, 4 at a time\r\n" in seen
    assert f"image {PAUSE}, memory limits from 16Ki to 1Gi" in seen
    assert seen.rstrip().endswith("Nothing was made.")
    assert remains(stand_ins.api) == []


def test_whoever_agrees_sees_it_going_on(calibrating: Calibrating, stand_ins: StandIns) -> None:
    with PretendedNode(stand_ins, pretended_node.network_fails).running():
        code, seen = calibrating.at_terminal("y\r", "--node", NODE)
    assert code == 2
    assert "removing what was made ..." in seen
    assert "its pod fails, and not on memory (network)" in seen
    assert remains(stand_ins.api) == []


def test_a_dry_run_writes_nothing(calibrating: Calibrating, stand_ins: StandIns, plane: ControlPlane) -> None:
    before = len(written(plane))
    told = calibrating.run("--node", NODE, "--dry-run")
    shown = calibrating.run("--node", NODE, "--dry-run=client", "-o", "yaml")
    assert (told.code, shown.code) == (0, 0)
    assert f"at most 30 pods on node {NODE}" in told.out
    assert told.err == "Nothing was made (client dry run).\n"
    assert [entry["kind"] for entry in yaml.safe_load(shown.out)["items"]] == ["Namespace", "Pod", "Pod"]
    assert len(written(plane)) == before
    assert remains(stand_ins.api) == []


def test_audit_logs_know_who_wrote(calibrating: Calibrating, stand_ins: StandIns, plane: ControlPlane) -> None:
    before = len(written(plane))
    with PretendedNode(stand_ins, pretended_node.network_fails).running():
        calibrating.quickly("--yes")
    events = written(plane)[before:]
    assert {(event["verb"], event["objectRef"]["resource"]) for event in events} == {
        ("create", "namespaces"),
        ("create", "pods"),
        ("delete", "pods"),
        ("delete", "namespaces"),
    }
    assert all(event["userAgent"].endswith(" (calibrate)") for event in events)


def written(plane: ControlPlane) -> list[Json]:
    reads = ("get", "list", "watch")
    return [event for event in plane.audited("kubectl-memdoctor") if event["verb"] not in reads]


def test_a_dry_run_of_the_server_keeps_nothing(
    calibrating: Calibrating, stand_ins: StandIns, own_namespace: str
) -> None:
    ran = calibrating.run("--node", NODE, "--dry-run=server", "-n", own_namespace)
    assert (ran.code, ran.err) == (0, "Nothing was made (server dry run).\n")
    meta, hard = {"name": "none", "namespace": own_namespace}, {"pods": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    stand_ins.api.write_status(stand_ins.api.create(quota), {"hard": hard, "used": {"pods": "0"}})
    refused = calibrating.run("--node", NODE, "--dry-run=server", "-n", own_namespace)
    assert refused.code == 2
    assert "exceeded quota: none" in refused.err
    assert remains(stand_ins.api) == []


def test_one_node_of_each_kind(calibrating: Calibrating, stand_ins: StandIns, odd_nodes: None) -> None:
    """Two that cannot be measured are named, and the rest is measured all the same."""
    with PretendedNode(stand_ins, RUNC).running():
        ran = calibrating.quickly("--yes", "-o", "json", nodes=())
    assert ran.code == 2
    measured = {entry.node for entry in decode(ran.out.encode(), "stdout")}
    assert NODE in measured
    assert measured.isdisjoint({"windows", "imageless", "not-ready"})
    lines = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert [line.partition(" lists")[0] for line in lines] == ['error: node "imageless"']
    assert remains(stand_ins.api) == []
