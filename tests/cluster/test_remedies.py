"""Every command that is printed is taken by a real API server and has the effect that it is printed for."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from .api import Json
from .memdoctor import Shell
from .seeded import CONTAINERD_NODE, OWNED, TINY, Seeded, owned_pods, tiny_limit_events
from .stand_ins import CONTAINER, StandIns, container, template

REMEDIED = "remedied"
MEANT = "300Mi"
BUILT_IN = (
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "Pod",
)
MADE_ANEW = ("Job", "Pod")
"""Kinds whose spec cannot be changed: kubectl replaces the object, which it refuses to do as a dry run."""
RECREATED = ("ReplicaSet", "ReplicationController", "StatefulSet")
"""Kinds that leave a stuck pod as it is: the command deletes it."""
ROLLED_BACK = ("Deployment", "StatefulSet", "DaemonSet")


def dry_run(command: str) -> str:
    """The command with every step that writes as a dry run on the server."""
    return "".join(
        f"{step} --dry-run=server"
        if re.match(r"kubectl -n \S+ (set resources|patch|delete pod|rollout) ", step)
        else step
        for step in re.split(r"( && | \| )", command)
    )


@pytest.fixture(scope="module")
def findings(shell: Shell, seeded: Seeded) -> dict[str, Json]:
    """Kind of owner -> the finding on its pod."""
    found = shell.memdoctor("ns", OWNED, "-o", "json").findings()
    return {kind: found[f"{OWNED}/{pod['metadata']['name']}"] for kind, pod in seeded.owned.items()}


@pytest.fixture(scope="module")
def remedied(shell: Shell, seeded: Seeded, stand_ins: StandIns) -> dict[str, Json]:
    """The same in a namespace whose objects may be changed."""
    stand_ins.namespace(REMEDIED)
    pods = owned_pods(stand_ins, REMEDIED)
    found = shell.memdoctor("ns", REMEDIED, "-o", "json").findings()
    return {kind: found[f"{REMEDIED}/{pod['metadata']['name']}"] for kind, pod in pods.items()}


def owner_now(shell: Shell, finding: Json) -> Json:
    owner = finding["owner"]
    ran = shell.script(f"kubectl -n {owner['namespace']} get {owner['kind'].lower()}/{owner['name']} -o json")
    assert ran.code == 0, ran.err
    return ran.json()


def resources(owner: Json) -> Json:
    spec = owner["spec"]
    if owner["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if owner["kind"] != "Pod":
        spec = spec["template"]["spec"]
    (only,) = spec["containers"]
    found: Json = only["resources"]
    return found


@pytest.mark.parametrize("kind", BUILT_IN)
def test_the_owner_is_the_object_to_change(findings: dict[str, Json], kind: str) -> None:
    assert findings[kind]["owner"]["kind"] == kind
    assert findings[kind]["remedy"]["text"].startswith(f"Did you mean {MEANT}?")


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN if kind not in MADE_ANEW])
def test_the_command_passes_a_dry_run(shell: Shell, findings: dict[str, Json], kind: str) -> None:
    command = dry_run(findings[kind]["remedy"]["command"])
    assert "--dry-run=server" in command
    ran = shell.script(command)
    assert ran.code == 0, ran.err
    assert "(server dry run)" in ran.out
    assert resources(owner_now(shell, findings[kind]))["limits"] == {"memory": TINY}


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN if kind not in MADE_ANEW])
def test_the_patch_is_the_commands_change(shell: Shell, findings: dict[str, Json], kind: str) -> None:
    owner, patch = findings[kind]["owner"], json.dumps(findings[kind]["remedy"]["patch"])
    target = f"kubectl -n {OWNED} patch {kind.lower()}/{owner['name']} -o json --dry-run=server -p {shlex.quote(patch)}"
    patched = shell.script(target)
    assert patched.code == 0, patched.err
    command, _, _ = findings[kind]["remedy"]["command"].partition(" && ")
    commanded = shell.script(f"{dry_run(command)} -o json")
    assert commanded.code == 0, commanded.err
    assert resources(patched.json()) == resources(commanded.json())
    assert resources(patched.json())["limits"] == {"memory": MEANT}


@pytest.mark.parametrize("kind", BUILT_IN)
def test_the_command_mends_its_owner(shell: Shell, remedied: dict[str, Json], stand_ins: StandIns, kind: str) -> None:
    before = owner_now(shell, remedied[kind])
    with stand_ins.reaping(REMEDIED):
        ran = shell.script(remedied[kind]["remedy"]["command"])
    assert ran.code == 0, ran.err
    after = owner_now(shell, remedied[kind])
    assert resources(after)["limits"] == {"memory": MEANT}
    assert (after["metadata"]["uid"] != before["metadata"]["uid"]) == (kind in MADE_ANEW)
    assert after["metadata"].get("labels") == before["metadata"].get("labels")
    pods = {pod["metadata"]["name"] for pod in stand_ins.api.items("v1", "Pod", REMEDIED)}
    # Nothing makes a deleted pod anew here but the command itself.
    assert (remedied[kind]["involvedObject"]["name"] in pods) == (kind not in RECREATED)


@pytest.mark.parametrize("kind", MADE_ANEW)
def test_the_patch_is_what_the_object_is_made_anew_with(
    shell: Shell, findings: dict[str, Json], stand_ins: StandIns, kind: str
) -> None:
    remedy = findings[kind]["remedy"]
    patch = shlex.quote(json.dumps(remedy["patch"]))
    read, change, _ = remedy["command"].split(" | ")
    patched = shell.script(f"{read} | kubectl patch --local -f - -p {patch} -o json")
    changed = shell.script(f"{read} | {change}")
    assert (patched.code, changed.code) == (0, 0), patched.err + changed.err
    assert resources(patched.json()) == resources(changed.json())
    assert resources(patched.json())["limits"] == {"memory": MEANT}


def test_a_pod_made_anew_may_go_to_any_node(shell: Shell, remedied: dict[str, Json], findings: dict[str, Json]) -> None:
    read, change, _ = findings["Pod"]["remedy"]["command"].split(" | ")
    assert "nodeName" not in shell.script(f"{read} | {change}").json()["spec"]


@pytest.mark.parametrize("kind", ROLLED_BACK)
def test_the_rollback_goes_back_to_the_larger_limit(shell: Shell, findings: dict[str, Json], kind: str) -> None:
    rollback = findings[kind]["remedy"]["rollback"]
    assert rollback.endswith("--to-revision=1")
    ran = shell.script(dry_run(rollback))
    assert ran.code == 0, ran.err
    assert "(server dry run)" in ran.out
    details = " ".join(findings[kind]["details"])
    assert "64Mi until revision 1, 300m since revision 2" in details


def test_a_custom_owner_is_named_without_a_command(findings: dict[str, Json]) -> None:
    finding = findings["Rollout"]
    assert finding["owner"] == {"kind": "Rollout", "namespace": OWNED, "name": "canary"}
    assert "command" not in finding["remedy"]
    assert "patch" not in finding["remedy"]
    assert "Rollout/canary" in finding["remedy"]["text"]


def test_two_containers_are_changed_by_one_command(shell: Shell, seeded: Seeded, stand_ins: StandIns) -> None:
    stand_ins.namespace("paired")
    pods = template("pair", TINY)
    pods["spec"]["containers"].append(container("512m", "side-car"))
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "pair"}}, "template": pods}
    owner = stand_ins.workload("apps/v1", "ReplicaSet", "paired", "pair", spec)
    pod = stand_ins.pod_of(owner, "pair-1", CONTAINERD_NODE)
    stand_ins.stuck(pod, *tiny_limit_events(pod))
    (finding,) = shell.memdoctor("pod", "pair-1", "-n", "paired", "-o", "json").report()["findings"]
    with stand_ins.reaping("paired"):
        ran = shell.script(finding["remedy"]["command"])
    assert ran.code == 0, ran.err
    containers = owner_now(shell, finding)["spec"]["template"]["spec"]["containers"]
    assert {entry["name"]: entry["resources"]["limits"]["memory"] for entry in containers} == {
        CONTAINER: MEANT,
        "side-car": "512Mi",
    }


def test_an_init_container_is_changed_as_such(shell: Shell, seeded: Seeded, stand_ins: StandIns) -> None:
    stand_ins.namespace("initial")
    pods = template("init", "128Mi", initContainers=[container("1Mi", "setup")])
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "init"}}, "template": pods}
    owner = stand_ins.workload("apps/v1", "DaemonSet", "initial", "init", {**spec, "replicas": None})
    stand_ins.init_container_fails(
        stand_ins.pod_of(owner, "init-1", CONTAINERD_NODE),
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
        "unable to start container process: container init was OOM-killed (memory limit too low?): unknown",
    )
    ran = shell.memdoctor("pod", "init-1", "-n", "initial", "-o", "json")
    assert ran.code == 1
    (finding,) = ran.report()["findings"]
    assert finding["rule"] == "container-memory-limit-too-small"
    assert finding["involvedObject"]["fieldPath"] == "spec.initContainers{setup}"
    patch = shlex.quote(json.dumps(finding["remedy"]["patch"]))
    patched = shell.script(f"kubectl -n initial patch ds/init -p {patch} -o json --dry-run=server")
    assert patched.code == 0, patched.err
    changed = shell.script(finding["remedy"]["command"])
    assert changed.code == 0, changed.err
    mended = owner_now(shell, finding)["spec"]["template"]["spec"]
    assert mended["initContainers"] == patched.json()["spec"]["template"]["spec"]["initContainers"]
    assert mended["initContainers"][0]["resources"]["limits"] != {"memory": "1Mi"}
    assert mended["containers"][0]["resources"]["limits"] == {"memory": "128Mi"}


def test_a_limit_of_the_pod_as_a_whole_is_changed_as_such(shell: Shell, seeded: Seeded, stand_ins: StandIns) -> None:
    stand_ins.namespace("whole")
    pods = template("whole", None, resources={"limits": {"memory": TINY}})
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "whole"}}, "template": pods}
    owner = stand_ins.workload("apps/v1", "ReplicaSet", "whole", "whole", spec)
    if "resources" not in owner["spec"]["template"]["spec"]:
        pytest.skip("this Kubernetes has no pod-level resources: they came with 1.34")
    pod = stand_ins.pod_of(owner, "whole-1", CONTAINERD_NODE)
    stand_ins.stuck(pod, *tiny_limit_events(pod))
    (finding,) = shell.memdoctor("pod", "whole-1", "-n", "whole", "-o", "json").report()["findings"]
    assert finding["memory"]["limitSource"] == "pod"
    with stand_ins.reaping("whole"):
        ran = shell.script(finding["remedy"]["command"])
    assert ran.code == 0, ran.err
    mended = owner_now(shell, finding)["spec"]["template"]["spec"]
    assert mended["resources"]["limits"] == {"memory": MEANT}


def test_a_limit_that_admission_put_there_is_mended_where_it_comes_from(
    shell: Shell, seeded: Seeded, stand_ins: StandIns
) -> None:
    stand_ins.namespace("ranged")
    meta = {"name": "defaults", "namespace": "ranged"}
    limits = [{"type": "Pod", "max": {"cpu": "8"}}, {"type": "Container", "default": {"memory": "512m", "cpu": "1"}}]
    stand_ins.api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": limits}})
    newest = stand_ins.deployment("ranged", "unlimited", {1: None}, "5f6c7d8b9")
    pod = stand_ins.pod_of(newest, "unlimited-5f6c7d8b9-zzzzz", CONTAINERD_NODE)
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512m"
    stand_ins.stuck(pod, *tiny_limit_events(pod))

    ran = shell.memdoctor("ns", "ranged", "-o", "json")
    assert ran.code == 1
    by_rule = {finding["rule"]: finding for finding in ran.report()["findings"]}
    finding = by_rule["sandbox-memory-limit-too-small"]
    assert finding["memory"]["limitSource"] == "limitRange"
    assert "LimitRange defaults" in finding["remedy"]["text"]
    mended = shell.script(finding["remedy"]["command"])
    assert mended.code == 0, mended.err
    (limit_range,) = stand_ins.api.items("v1", "LimitRange", "ranged")
    items = limit_range["spec"]["limits"]
    assert [item["default"]["memory"] for item in items if item["type"] == "Container"] == ["512Mi"]
    again = stand_ins.pod_of(newest, "unlimited-5f6c7d8b9-yyyyy", CONTAINERD_NODE)
    assert again["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512Mi"
