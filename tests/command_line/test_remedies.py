"""From what a rule wants changed to the command that changes it, and since when the limit is what it is."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typed import convert

from kubectl_memdoctor.finding import Finding, Memory, MemoryChange, Remedy
from kubectl_memdoctor.objects import LimitRange, Pod, PodSpec
from kubectl_memdoctor.owners import PodOwner, Revision
from kubectl_memdoctor.remedies import complete, limit_history

from .made import finding

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def container(
    name: str, limit: str | None = "300m", request: str | None = None, image: str = "web:1"
) -> dict[str, Any]:
    resources = {"limits": limit, "requests": request}
    return {
        "name": name,
        "image": image,
        "resources": {key: {"memory": text} for key, text in resources.items() if text},
    }


def spec(*containers: dict[str, Any], **fields: Any) -> PodSpec:
    return convert({"containers": [*containers], **fields}, PodSpec)


def pod(pod_spec: PodSpec, **annotations: str) -> Pod:
    metadata = {"name": "web-1", "namespace": "shop", "annotations": annotations}
    return Pod(metadata=convert({"metadata": metadata}, Pod).metadata, spec=pod_spec)


def owner(kind: str, template: PodSpec | None = None, **fields: Any) -> PodOwner:
    return PodOwner(kind, "shop", "web", known=fields.pop("known", True), template=template, **fields)


def change(*changes: MemoryChange) -> Finding:
    return finding(owner=None, memory=None, remedy=Remedy(text="Did you mean 300Mi?", changes=changes))


RAISE = MemoryChange(container="app", limit="300Mi")
ONE = spec(container("app"))


def remedy_of(made: Finding) -> Remedy:
    assert made.remedy is not None
    return made.remedy


def command_of(made: Finding) -> str:
    command = remedy_of(made).command
    assert command is not None
    return command


SET = "kubectl -n shop set resources KIND/web -c app --limits=memory=300Mi"
COMMANDS = [
    ("Deployment", SET),
    ("DaemonSet", SET),
    ("CronJob", SET),
    ("StatefulSet", f"{SET} && kubectl -n shop delete pod web-1"),
    ("ReplicaSet", f"{SET} && kubectl -n shop delete pod web-1"),
    ("ReplicationController", f"{SET} && kubectl -n shop delete pod web-1"),
]


@pytest.mark.parametrize(("kind", "command"), COMMANDS, ids=[kind for kind, _ in COMMANDS])
def test_command_and_patch_for_each_owner(kind: str, command: str) -> None:
    made = complete(change(RAISE), pod(ONE), owner(kind, ONE), (), NOW)
    assert command_of(made) == command.replace("KIND", kind.lower())
    assert made.owner is not None
    assert (made.owner.kind, made.owner.namespace, made.owner.name) == (kind, "shop", "web")
    body = {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "300Mi"}}}]}}
    template = {"spec": {"template": body}}
    assert remedy_of(made).patch == ({"spec": {"jobTemplate": template}} if kind == "CronJob" else template)
    assert remedy_of(made).rollback is None


def patch_in(command: str) -> Any:
    words = shlex.split(command)
    return json.loads(words[words.index("-p") + 1])


def test_a_pod_without_owner_is_made_anew() -> None:
    bare = PodOwner("Pod", "shop", "web-1", known=True, template=ONE)
    made = complete(change(RAISE), pod(ONE), bare, (), NOW)
    command = command_of(made)
    assert command.startswith("kubectl -n shop get pod/web-1 -o json | kubectl patch --local -f - --type=strategic -p ")
    assert command.endswith(" -o json | kubectl -n shop replace --force -f -")
    body = {"containers": [{"name": "app", "resources": {"limits": {"memory": "300Mi"}}}]}
    assert patch_in(command) == {"spec": {"nodeName": None, **body}}
    assert remedy_of(made).patch == {"spec": body}


def test_a_job_is_made_anew_without_what_the_server_added() -> None:
    command = command_of(complete(change(RAISE), pod(ONE), owner("Job", ONE), (), NOW))
    assert command.startswith("kubectl -n shop get job/web -o json | kubectl patch --local")
    patch = patch_in(command)
    assert patch["spec"]["selector"] is None
    assert set(patch["spec"]["template"]["metadata"]["labels"].values()) == {None}
    assert patch["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"memory": "300Mi"}}


INIT = spec(
    container("app", "1Gi"), initContainers=[container("setup"), {**container("mesh"), "restartPolicy": "Always"}]
)


@pytest.mark.parametrize("name", ["setup", "mesh"])
def test_init_containers_and_sidecars(name: str) -> None:
    made = complete(change(MemoryChange(container=name, limit="300Mi")), pod(INIT), owner("Deployment", INIT), (), NOW)
    assert command_of(made) == SET.replace("KIND", "deployment").replace("-c app", f"-c {name}")
    patch: Any = remedy_of(made).patch
    assert patch["spec"]["template"]["spec"] == {
        "initContainers": [{"name": name, "resources": {"limits": {"memory": "300Mi"}}}]
    }


def test_the_limit_of_the_pod_as_a_whole() -> None:
    whole = spec(container("app", None), resources={"limits": {"memory": "300m"}, "requests": {"memory": "300m"}})
    made = complete(change(MemoryChange(limit="300Mi")), pod(whole), owner("Deployment", whole), (), NOW)
    assert command_of(made).startswith("kubectl -n shop patch deployment/web --type=strategic -p ")
    assert patch_in(command_of(made)) == remedy_of(made).patch
    patch: Any = remedy_of(made).patch
    assert patch["spec"]["template"]["spec"] == {
        "resources": {"limits": {"memory": "300Mi"}, "requests": {"memory": "300Mi"}}
    }


def test_several_containers_are_one_patch() -> None:
    both = spec(container("app"), container("log"))
    changes = (RAISE, MemoryChange(container="log", limit="64Mi"))
    command = command_of(complete(change(*changes), pod(both), owner("StatefulSet", both), (), NOW))
    patch, _, deletion = command.rpartition(" && ")
    assert deletion == "kubectl -n shop delete pod web-1"
    containers = patch_in(patch)["spec"]["template"]["spec"]["containers"]
    assert {entry["name"]: entry["resources"]["limits"]["memory"] for entry in containers} == {
        "app": "300Mi",
        "log": "64Mi",
    }


@pytest.mark.parametrize(
    ("limit", "request_", "follows"),
    [("300m", "300m", True), ("300m", "100m", False), ("300m", None, False), ("512m", "300m", False)],
)
def test_a_request_that_is_the_limit_follows_it_so_that_the_class_stays(
    limit: str, request_: str | None, follows: bool
) -> None:
    template = spec(container("app", limit, request_))
    command = command_of(complete(change(RAISE), pod(template), owner("Deployment", template), (), NOW))
    assert command.endswith("--requests=memory=300Mi") == follows


def test_a_request_that_a_rule_names_itself_stays() -> None:
    template = spec(container("app", "300m", "300m"))
    named = MemoryChange(container="app", limit="300Mi", request="100Mi")
    command = command_of(complete(change(named), pod(template), owner("Deployment", template), (), NOW))
    assert command.endswith("--limits=memory=300Mi --requests=memory=100Mi")


def test_a_request_alone() -> None:
    named = MemoryChange(container="app", request="100Mi")
    command = command_of(complete(change(named), pod(ONE), owner("Deployment", ONE), (), NOW))
    assert command == "kubectl -n shop set resources deployment/web -c app --requests=memory=100Mi"


DEFAULTED = {"kubernetes.io/limit-ranger": "LimitRanger plugin set: memory limit for container app"}


def limit_range(default: str, request: str | None = None) -> LimitRange:
    item = {
        "type": "Container",
        "default": {"memory": default},
        "defaultRequest": {"memory": request} if request else {},
    }
    pod_item = {"type": "Pod", "default": {"memory": default}}
    metadata = {"name": "defaults", "namespace": "shop"}
    return convert({"metadata": metadata, "spec": {"limits": [pod_item, item]}}, LimitRange)


def defaulted() -> Finding:
    memory = Memory(limit_bytes=1, limit_quantity="300m", limit_source="limitRange")
    return finding(owner=None, memory=memory, remedy=Remedy(text="Did you mean 300Mi?", changes=(RAISE,)))


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        ("Deployment", "rollout restart deployment/web"),
        ("StatefulSet", "rollout restart statefulset/web"),
        ("DaemonSet", "rollout restart daemonset/web"),
        ("ReplicaSet", "delete pod web-1"),
    ],
)
def test_a_default_is_mended_in_the_limit_range(kind: str, again: str) -> None:
    template = spec(container("app", None))
    made = complete(defaulted(), pod(ONE, **DEFAULTED), owner(kind, template), [limit_range("300m")], NOW)
    command = command_of(made)
    assert command.startswith("kubectl -n shop patch limitrange defaults --type=json -p ")
    assert command.endswith(f" && kubectl -n shop {again}")
    assert patch_in(command) == [{"op": "replace", "path": "/spec/limits/1/default/memory", "value": "300Mi"}]
    assert "LimitRange defaults" in remedy_of(made).text


def test_a_default_request_that_is_the_default_limit_goes_with_it() -> None:
    template = spec(container("app", None))
    made = complete(
        defaulted(), pod(ONE, **DEFAULTED), owner("Deployment", template), [limit_range("300m", "300m")], NOW
    )
    assert [entry["path"] for entry in patch_in(command_of(made))] == [
        "/spec/limits/1/default/memory",
        "/spec/limits/1/defaultRequest/memory",
    ]


def test_a_default_that_no_limit_range_holds_any_more_is_mended_in_the_template() -> None:
    made = complete(defaulted(), pod(ONE, **DEFAULTED), owner("Deployment", ONE), [limit_range("1Gi")], NOW)
    assert command_of(made) == SET.replace("KIND", "deployment")


@pytest.mark.parametrize("manager", ["Helm", "Argo CD", "Flux"])
def test_who_writes_the_object_is_named(manager: str) -> None:
    made = complete(change(RAISE), pod(ONE), owner("Deployment", ONE, manager=manager), (), NOW)
    assert f"{manager} writes this object" in remedy_of(made).text
    assert command_of(made) == SET.replace("KIND", "deployment")


def test_a_custom_owner_is_named_without_a_command() -> None:
    made = complete(change(RAISE), pod(ONE), owner("Rollout", known=False), (), NOW)
    assert remedy_of(made).text == "Did you mean 300Mi? The template is held by Rollout/web: change it there."
    assert remedy_of(made).command is None
    assert remedy_of(made).patch is None


def test_a_static_pod_is_changed_on_its_node() -> None:
    mirrored = spec(container("app"), nodeName="worker-1")
    mirror = {"kubernetes.io/config.mirror": "abc"}
    made = complete(change(RAISE), pod(mirrored, **mirror), owner("Node", known=False), (), NOW)
    assert remedy_of(made).text.endswith("This is a static pod: change its manifest on node worker-1.")
    assert remedy_of(made).command is None


def test_without_a_change_only_the_owner_is_added() -> None:
    made = complete(finding(owner=None, remedy=None), pod(ONE), owner("Deployment", ONE), (), NOW)
    assert made.owner is not None
    assert made.remedy is None


@pytest.mark.parametrize("name", ["we b", "a'b", "$(reboot)", "a;b", "a&&b", "#a", "网页", ""])
def test_names_are_quoted(name: str) -> None:
    hostile = PodOwner("StatefulSet", name, name, known=True, template=spec(container(name)))
    hostile_pod = Pod(
        metadata=convert({"metadata": {"name": name, "namespace": name}}, Pod).metadata, spec=spec(container(name))
    )
    made = complete(change(MemoryChange(container=name, limit="300Mi")), hostile_pod, hostile, (), NOW)
    words = shlex.split(command_of(made))
    assert words.count("&&") == 1
    assert words[words.index("-c") + 1] == name
    assert f"statefulset/{name}" in words
    assert words[-1] == name


# History.


def revision(number: int, limit: str | None, days_ago: float | None, image: str = "web:1") -> Revision:
    since = NOW - timedelta(days=days_ago) if days_ago is not None else None
    return Revision(number, since, spec(container("app", limit, image=image)))


def deployment(*revisions: Revision, kind: str = "Deployment") -> PodOwner:
    return owner(kind, revisions[-1].template if revisions else None, revisions=revisions)


HISTORIES = [
    (
        (revision(6, "64Mi", 9), revision(7, "300m", 1 / 144)),
        "deployment/web: 64Mi until revision 6, 300m since revision 7 (10m ago, image unchanged)",
        6,
    ),
    (
        (revision(5, "64Mi", 9), revision(6, "300m", 2, image="web:2"), revision(7, "300m", 1, image="web:3")),
        "deployment/web: 64Mi until revision 5, 300m since revision 6 (2d ago, image changed from web:1 to web:2)",
        5,
    ),
    (
        (revision(6, None, 9), revision(7, "300m", 1)),
        "deployment/web: no limit until revision 6, 300m since revision 7 (24h ago, image unchanged)",
        6,
    ),
    (
        (revision(6, "200m", 9), revision(7, "300m", None)),
        "deployment/web: 200m until revision 6, 300m since revision 7 (image unchanged)",
        None,
    ),
    (
        (revision(6, "no quantity", 9), revision(7, "300m", 1)),
        "deployment/web: no quantity until revision 6, 300m since revision 7 (24h ago, image unchanged)",
        None,
    ),
]


@pytest.mark.parametrize(("revisions", "sentence", "rollback"), HISTORIES, ids=[text for _, text, _ in HISTORIES])
def test_since_when_a_limit_is_what_it_is(revisions: tuple[Revision, ...], sentence: str, rollback: int | None) -> None:
    history = limit_history(deployment(*revisions), "app", "300m", NOW)
    assert history is not None
    assert history.sentence == sentence
    assert [entry.source for entry in history.evidence] == ["owner", "owner"]
    undo = f"kubectl -n shop rollout undo deployment/web --to-revision={rollback}"
    assert history.rollback == (undo if rollback else None)


def test_the_history_stands_in_details_evidence_and_rollback() -> None:
    made = complete(change(RAISE), pod(ONE), deployment(revision(6, "64Mi", 9), revision(7, "300m", 1)), (), NOW)
    assert made.details[-1].endswith("(24h ago, image unchanged).")
    assert [entry.value for entry in made.evidence[-2:]] == ["memory limit 64Mi", "memory limit 300m"]
    assert remedy_of(made).rollback == "kubectl -n shop rollout undo deployment/web --to-revision=6"


@pytest.mark.parametrize(
    "revisions",
    [(), (revision(1, "300m", 9),), (revision(6, "300m", 9), revision(7, "300m", 1))],
    ids=["none", "one", "always the same"],
)
def test_a_history_that_says_nothing(revisions: tuple[Revision, ...]) -> None:
    assert limit_history(deployment(*revisions), "app", "300m", NOW) is None


def test_a_pod_of_an_older_revision() -> None:
    revisions = (revision(6, "300m", 9), revision(7, "64Mi", 1))
    history = limit_history(owner("Deployment", revisions[0].template, revisions=revisions), "app", "300m", NOW)
    assert history is not None
    assert history.sentence == "Revision 7 of deployment/web already says 64Mi; this pod is of an older one"
    assert history.rollback is None


def test_a_pod_of_the_newest_revision_that_was_changed_otherwise_has_no_history() -> None:
    revisions = (revision(6, "128Mi", 9), revision(7, "64Mi", 1))
    assert limit_history(deployment(*revisions), "app", "300m", NOW) is None


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_limit_that_admission_gave_has_no_history(kind: str) -> None:
    revisions = (revision(6, None, 9, image="web:0"), revision(7, None, 1))
    made = complete(defaulted(), pod(ONE, **DEFAULTED), deployment(*revisions, kind=kind), [limit_range("300m")], NOW)
    assert not any(re.search("revision", text, re.IGNORECASE) for text in made.details)
    assert remedy_of(made).rollback is None


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_rollback_of_what_has_controller_revisions(kind: str) -> None:
    history = limit_history(deployment(revision(1, "64Mi", 9), revision(2, "300m", 1), kind=kind), "app", "300m", NOW)
    assert history is not None
    assert history.rollback == f"kubectl -n shop rollout undo {kind.lower()}/web --to-revision=1"
