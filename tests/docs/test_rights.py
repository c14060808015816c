"""docs/rbac.md grants what the program asks for, and nothing more: its questions are written down and compared."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from kubectl_memdoctor.cluster.recording import open_recording
from kubectl_memdoctor.cluster.source import AccessError, NotFound, NotRecorded, Origin, Page, Source
from kubectl_memdoctor.diagnosis import diagnose_namespaces, diagnose_pods
from kubectl_memdoctor.objects import RESOURCES, Object, Resource
from kubectl_memdoctor.selection import HOLDERS, Selection

from .pages import DOCS
from .reports import INCIDENT, telling_cases

PROOF = "memdoctor-node-evidence"

Asked = set[tuple[str, str]]
"""(resource, verb)"""


class Listening:
    """A source that notes what it is asked."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.parallel = source.parallel
        self.kubelets = source.kubelets
        self.asked: Asked = set()
        self.named: set[tuple[str, str | None, str]] = set()

    def origin(self) -> Origin:
        return self._source.origin()

    def now(self) -> Any:
        return self._source.now()

    def get(self, resource: Resource[Object], namespace: str | None, name: str) -> Object:
        self.asked.add((resource.group_resource, "get"))
        self.named.add((resource.group_resource, namespace, name))
        return self._source.get(resource, namespace, name)

    def list(
        self, resource: Resource[Object], namespace: str | None = None, **selectors: str
    ) -> Iterator[Page[Object]]:
        self.asked.add((resource.group_resource, "list"))
        return self._source.list(resource, namespace, **selectors)


def objects(kind: str) -> list[Any]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / "rbac.md").read_text(), re.MULTILINE | re.DOTALL)
    found = [entry for block in blocks for entry in yaml.safe_load_all(block)]
    return [entry for entry in found if entry["kind"] == kind]


def granted(kind: str, name: str = "memdoctor") -> Asked:
    (role,) = [role for role in objects(kind) if role["metadata"]["name"] == name]
    return {
        (f"{resource}.{group}" if group else resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def questions() -> Asked:
    """Everything that any command asks, over telling cases: all at once, pod by pod, and by TYPE/NAME."""
    asked: Asked = set()
    for path in telling_cases():
        source = Listening(open_recording([str(path)], None))
        diagnose_namespaces(source, Selection())
        with contextlib.suppress(NotRecorded):
            diagnose_pods(source, Selection(label_selector="no!=such"))
        asked |= source.asked
    source = Listening(open_recording([str(INCIDENT)], None))
    for names in ("no-such", *(f"{holder.kind}/no-such" for holder in HOLDERS)):
        for namespaces in (None, ("shop",)):
            with pytest.raises(AccessError):
                diagnose_pods(source, Selection(namespaces=namespaces, names=(names,)))
    with pytest.raises(NotFound):
        diagnose_namespaces(source, Selection(namespaces=("no-such",)))
    return asked | source.asked


def test_the_cluster_role_holds_what_is_asked_for() -> None:
    assert granted("ClusterRole") == questions()


def test_the_role_is_the_part_that_lies_in_a_namespace() -> None:
    namespaced = {resource.group_resource for resource in RESOURCES if resource.namespaced}
    inside = {(name, verb) for name, verb in granted("ClusterRole") if name in namespaced}
    # A Role may grant `get` on the namespace that it lies in; what is saved lies in another.
    assert granted("Role") == (inside | {("namespaces", "get")}) - {("configmaps", "get")}


def test_no_config_map_but_one_may_be_read() -> None:
    (role, _) = objects("ClusterRole")
    (rule,) = [rule for rule in role["rules"] if "configmaps" in rule["resources"]]
    assert rule == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["memdoctor-sandbox-minimum"],
        "verbs": ["get"],
    }
    source = Listening(open_recording([str(INCIDENT)], None))
    diagnose_namespaces(source, Selection())
    asked = {entry for entry in source.named if entry[0] == "configmaps"}
    assert asked == {("configmaps", "kube-public", "memdoctor-sandbox-minimum")}


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_the_roles_only_read_and_never_secrets(kind: str) -> None:
    assert {verb for _, verb in granted(kind)} == {"get", "list"}
    assert not [name for name, _ in granted(kind) if "secret" in name or "*" in name or "/" in name]


@pytest.mark.parametrize(("binding", "role"), [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")])
def test_the_bindings_bind_the_roles(binding: str, role: str) -> None:
    (bound,), (given, *_) = objects(binding), objects(role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": given["metadata"]["name"]}
    assert bound["roleRef"] == reference
    assert bound["metadata"].get("namespace") == given["metadata"].get("namespace")
    assert bound["subjects"]


def test_the_table_has_a_row_for_every_resource() -> None:
    rows = re.findall(r"^\| ([\w./]+) \| ([\w, ]+) \|", (DOCS / "rbac.md").read_text(), re.MULTILINE)
    told = {(name, verb) for name, verbs in rows if name != "resource" for verb in verbs.split(", ")}
    assert told == granted("ClusterRole") | granted("ClusterRole", PROOF)


def test_what_proves_more_is_a_role_of_its_own() -> None:
    assert granted("ClusterRole", PROOF) == {("nodes/proxy", "get"), ("services", "list"), ("services/proxy", "get")}
