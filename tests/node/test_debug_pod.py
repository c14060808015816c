"""--debug-pod on real nodes of both cgroup versions: the kernel's kill is read back, and nothing is left of the pod."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cluster.api import Api, Json
from cluster.memdoctor import Shell, new_shell

from kubectl_memdoctor.cluster.connection import connect
from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start
from kubectl_memdoctor.debugging.manifests import LIFE_SECONDS, RUN_LABEL
from kubectl_memdoctor.debugging.question import DebugReading, read_by_debug_pods
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.node_evidence import KernelKill
from kubectl_memdoctor.flags import parse
from kubectl_memdoctor.screen import open_screen

from .cluster import NodeCluster, node_cluster, own_cgroup
from .host_node import leftovers
from .images import APP, PAUSE
from .pods import SECONDS, delete, pod, wait_for
from .programs import generation

CGROUPS = ("v1", "v2")
EATS = ("/bin/eat", "128")
LIMIT_BYTES = 64 << 20
UNREAD = "the kernel's log could not be read"
UNLISTED = "the runtime's sandboxes could not be listed"
ASKED = ("--debug-pod", "--yes", f"--image={APP}")
STRICT, FULL = "strict", "full"
PAGE = Path(__file__).parents[2] / "docs" / "debug-pod.md"


@pytest.fixture(scope="module")
def cluster(enclosed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    with node_cluster(generation("current"), tmp_path_factory.mktemp("debug-pod"), cgroups=CGROUPS) as started:
        yield started
    assert leftovers() == []


@pytest.fixture(scope="module")
def shell(cluster: NodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return new_shell(cluster.plane, tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module")
def killed(cluster: NodeCluster, api: Api) -> Iterator[dict[str, Json]]:
    """On each node one pod whose container takes twice its limit, once."""
    created = {}
    for cgroup in CGROUPS:
        wanted = pod(f"eats-{cgroup}", node=cluster.nodes[cgroup], command=EATS)
        wanted["spec"]["restartPolicy"] = "Never"
        created[cgroup] = api.create(wanted)
    try:
        yield {cgroup: wait_for(api, each, was_killed) for cgroup, each in created.items()}
    finally:
        delete(api, *created.values())


def was_killed(found: Json) -> bool:
    states = [status["state"] for status in found["status"].get("containerStatuses", [])]
    return any(state.get("terminated", {}).get("reason") == "OOMKilled" for state in states)


@dataclass(frozen=True, slots=True)
class Debugging:
    """Runs debug pods as a user in a namespace."""

    shell: Shell
    nodes: Mapping[str, str]

    def read(self, *cgroups: str, user: str = "", namespace: str = "default", image: str = APP) -> DebugReading:
        environ = self.shell.environ("admin", namespace)
        flags = ConnectionFlags(kubeconfig=environ["KUBECONFIG"], as_user=user or None)
        nodes = [self.nodes[cgroup] for cgroup in cgroups]
        line = parse(["--yes", "--image", image])
        return read_by_debug_pods(line, open_screen("never"), connect(start(flags, environ)), namespace, nodes)


@pytest.fixture(scope="module")
def debugging(cluster: NodeCluster, shell: Shell) -> Debugging:
    return Debugging(shell, cluster.nodes)


@pytest.fixture(scope="module")
def reading(debugging: Debugging, killed: dict[str, Json]) -> DebugReading:
    """Of both nodes at once."""
    return debugging.read(*CGROUPS)


@pytest.mark.parametrize("cgroup", CGROUPS)
def test_the_kill_is_found_by_the_pods_uid(
    cluster: NodeCluster, killed: dict[str, Json], reading: DebugReading, cgroup: str
) -> None:
    node, metadata = cluster.nodes[cgroup], killed[cgroup]["metadata"]
    unread = [reason for reason in reading.reasons if reason.startswith(f"node {node}: {UNREAD}")]
    if cgroup == own_cgroup() and unread:
        # The kernel of the machine that the tests are on: it need not let them read its log.
        return
    kills = [kill for kill in reading.evidence.kills if kill.pod_uid == metadata["uid"]]
    assert kills, reading
    for kill in kills:
        assert (kill.node, kill.limit_bytes, kill.whole) == (node, LIMIT_BYTES, True)
        assert kill.level in (Level.CONTAINER, Level.POD)
        assert "eat" in {victim.name for victim in kill.victims}
        assert datetime.fromisoformat(metadata["creationTimestamp"]) < moment(reading, kill) < datetime.now(UTC)


def moment(reading: DebugReading, kill: KernelKill) -> datetime:
    """When it was. A node's clock is asked for by whole seconds, so its start may be a second too early."""
    if kill.time is not None:
        return kill.time
    assert kill.uptime_seconds is not None
    return reading.evidence.boots[kill.node] + timedelta(seconds=kill.uptime_seconds + 1)


def test_no_kill_is_joined_to_a_pod_of_another_node(killed: dict[str, Json], reading: DebugReading) -> None:
    """The log of the tests' own machine tells of kills by others, and in other nodes that it has been."""
    nodes = {entry["metadata"]["uid"]: entry["spec"]["nodeName"] for entry in killed.values()}
    assert {kill.node for kill in reading.evidence.kills if kill.node != nodes.get(kill.pod_uid, kill.node)} == set()


def test_a_node_without_crictl_says_so(reading: DebugReading, cluster: NodeCluster) -> None:
    for node in cluster.nodes.values():
        (reason,) = [entry for entry in reading.reasons if entry.startswith(f"node {node}: {UNLISTED}")]
        assert "crictl" in reason


def test_an_image_that_is_not_to_be_had(debugging: Debugging, api: Api) -> None:
    reading = debugging.read(own_cgroup(), image="registry.example/no/such:1")
    (reason,) = reading.reasons
    assert "ErrImagePull" in reason or "ImagePullBackOff" in reason
    assert "(--image names another, with a shell, that the node has)" in reason
    assert left(api) == []


def test_an_image_without_a_shell(debugging: Debugging, api: Api) -> None:
    (reason,) = debugging.read(own_cgroup(), image=PAUSE).reasons
    assert '"sh": executable file not found' in reason
    assert left(api) == []


@pytest.fixture(scope="module")
def refusing(api: Api) -> None:
    """Namespaces that let in no such pod, one by pod security, one by its quota."""
    for name, labels in ((STRICT, {"pod-security.kubernetes.io/enforce": "baseline"}), (FULL, {})):
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    metadata = {"name": "no-pods", "namespace": FULL}
    api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": "0"}}})


@pytest.mark.parametrize(
    ("namespace", "user", "words"),
    [
        (STRICT, "", 'is forbidden: violates PodSecurity "baseline:latest"'),
        (FULL, "", "is forbidden: exceeded quota: no-pods"),
        ("default", "stranger", 'is forbidden: User "stranger" cannot create resource "pods"'),
    ],
)
def test_who_refuses_it_is_said(
    debugging: Debugging, api: Api, refusing: None, namespace: str, user: str, words: str
) -> None:
    reading = debugging.read(own_cgroup(), namespace=namespace, user=user)
    (reason,) = reading.reasons
    assert f"not made in namespace {namespace}: " in reason
    assert words in reason
    assert left(api) == []


@pytest.fixture(scope="module")
def operator(api: Api) -> str:
    """A user with the roles of the page, and no more."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for role in yaml.safe_load_all(block):
        api.create(role)
        bind(api, role, "operator")
    return "operator"


def bind(api: Api, role: Json, user: str) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": f"{role['kind']}Binding"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
    api.create({**binding, "metadata": role["metadata"], "roleRef": reference, "subjects": subjects})


def test_the_roles_of_the_page_are_enough(debugging: Debugging, api: Api, operator: str) -> None:
    reading = debugging.read("v2", user=operator, namespace="kube-system")
    assert [reason for reason in reading.reasons if "forbidden" in reason] == []
    assert reading.evidence.spans
    assert left(api) == []


@pytest.mark.parametrize("arguments", [("pod", "eats-v2"), ("node", "worker-v2")], ids=" ".join)
def test_the_commands(shell: Shell, api: Api, killed: dict[str, Json], arguments: tuple[str, ...]) -> None:
    ran = shell.memdoctor(*arguments, *ASKED, "--node-evidence=false", "-o", "json")
    findings = [found for found in ran.report()["findings"] if found["involvedObject"]["name"] == "eats-v2"]
    (finding,) = [found for found in findings if found["rule"] == "container-oom-killed"]
    assert finding["confidence"] == "confirmed"
    assert "kernel" in {entry["source"] for entry in finding["evidence"]}
    assert "  pod/memdoctor-debug-" in ran.err
    assert left(api) == []


@contextlib.contextmanager
def started(shell: Shell, api: Api) -> Iterator[subprocess.Popen[str]]:
    """A command that has made its pod; it is ended when the block is left."""
    command = ["kubectl", "memdoctor", "node", "worker-v2", *ASKED, "--node-evidence=false"]
    environ = {**os.environ, **shell.environ("admin", "default")}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environ, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_signals)
    try:
        give_up = time.monotonic() + SECONDS
        while not left(api):
            assert time.monotonic() < give_up, "it has made no pod"
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.communicate()


def heed_signals() -> None:
    """What a shell starts in the background is deaf to some, and so are its children: the tests may be."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
def test_a_signal(shell: Shell, api: Api, number: signal.Signals, code: int) -> None:
    with started(shell, api) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1] == "interrupted: nothing was read, all that was made is removed"
    assert left(api) == []


def test_what_a_killed_command_leaves(shell: Shell, api: Api) -> None:
    """The next one removes it, and so does calibrate --clean."""
    for cleaning in (("node", "worker-v2", *ASKED, "--node-evidence=false"), ("calibrate", "--clean", "--yes")):
        with started(shell, api) as process:
            process.kill()
            process.wait(SECONDS)
        (name,) = left(api)
        (made,) = [entry for entry in api.items("v1", "Pod") if entry["metadata"]["name"] == name]
        assert made["spec"]["activeDeadlineSeconds"] == LIFE_SECONDS
        ran = shell.memdoctor(*cleaning)
        assert f"pod/{name} in namespace default" in ran.err
        wait_until_gone(api)


def wait_until_gone(api: Api) -> None:
    give_up = time.monotonic() + SECONDS
    while left(api):
        assert time.monotonic() < give_up, left(api)
        time.sleep(0.2)


def test_nothing_is_left(api: Api, reading: DebugReading) -> None:
    assert [reason for reason in reading.reasons if "not removed" in reason] == []
    assert left(api) == []


def left(api: Api) -> list[str]:
    pods = api.items("v1", "Pod")
    return [entry["metadata"]["name"] for entry in pods if RUN_LABEL in entry["metadata"].get("labels", {})]
