"""The roles of docs/rbac.md are enough, and nothing in them is more than get and list; with less, it is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from .api import Json
from .control_plane import ControlPlane
from .memdoctor import Ran, Shell
from .seeded import INCIDENT, OWNED, Seeded
from .stand_ins import StandIns

PAGE = Path(__file__).parents[2] / "docs" / "rbac.md"


def documented() -> str:
    """The page's YAML blocks as one stream."""
    return "---\n".join(re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def role(kind: str) -> Json:
    """The page's ClusterRole or Role."""
    entries = [entry for entry in yaml.safe_load_all(documented()) if entry["kind"] == kind]
    (found,) = [entry for entry in entries if entry["metadata"]["name"] == "memdoctor"]
    assert isinstance(found, dict)
    return found


def bind(plane: ControlPlane, role: Json, user: str) -> None:
    """The role for the user: in the whole cluster, or in the role's namespace."""
    api, metadata = plane.api(), role["metadata"]
    api.create(role)
    kind = "RoleBinding" if role["kind"] == "Role" else "ClusterRoleBinding"
    scope = {"namespace": metadata["namespace"]} if role["kind"] == "Role" else {}
    api.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": f"{user}-may", **scope},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": metadata["name"]},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
    )


def cluster_role(name: str, *rules: Json) -> Json:
    meta = {"name": name}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": meta, "rules": [*rules]}


@pytest.fixture(scope="module")
def bound(shell: Shell, seeded: Seeded) -> None:
    """`reader` is on call: that group gets the ClusterRole by the page's own binding."""
    plane, page = shell.plane, shell.plane.folder / "rbac.yaml"
    page.write_text(documented())
    applied = shell.script(f"kubectl apply -f {page}")
    assert (applied.code, applied.err) == (0, "")
    in_owned = {**role("Role")["metadata"], "namespace": OWNED}
    bind(plane, {**role("Role"), "metadata": in_owned}, "namespaced")
    bind(plane, cluster_role("pods-only", {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}), "pods-only")
    impersonate = {"apiGroups": [""], "verbs": ["impersonate"], "resources": ["users", "groups"]}
    impersonate["resourceNames"] = ["reader", "on-call"]
    bind(plane, cluster_role("delegate", impersonate), "delegate")


def not_checked(ran: Ran) -> list[Json]:
    """But for what nodes say by themselves, which takes a role of its own."""
    return [entry for entry in ran.report().get("notChecked", []) if entry["resource"] != "nodes/proxy"]


def essence(ran: Ran) -> list[str]:
    """The findings without what changes from run to run: ages and times."""
    told = ("rule", "severity", "confidence", "involvedObject", "owner", "remedy", "memory", "ruledOut")
    return sorted(str([finding.get(name) for name in told]) for finding in ran.report()["findings"])


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_the_roles_only_read(kind: str) -> None:
    rules = role(kind)["rules"]
    assert rules
    assert {verb for rule in rules for verb in rule["verbs"]} <= {"get", "list"}
    assert not [rule for rule in rules if {"secrets", "*"} & set(rule.get("resources", []))]


@pytest.mark.parametrize(
    "arguments", [("ns", "--all"), ("ns", "shop"), ("pod", INCIDENT), ("pod", INCIDENT, "-n", "ample")], ids=" ".join
)
def test_the_cluster_role_sees_everything(
    shell: Shell, seeded: Seeded, bound: None, arguments: tuple[str, ...]
) -> None:
    admin = shell.memdoctor(*arguments, "-o", "json")
    reader = shell.memdoctor(*arguments, "-o", "json", "--strict", user="reader")
    assert reader.code == admin.code
    assert not_checked(reader) == []
    assert essence(reader) == essence(admin)
    assert reader.err == admin.err


def test_the_nodes_own_word_is_missed_aloud_and_demanded_only_where_it_was_asked_for(
    shell: Shell, seeded: Seeded, bound: None
) -> None:
    reader = shell.memdoctor("pod", INCIDENT, "-o", "json", user="reader")
    reasons = {entry["reason"] for entry in reader.report()["notChecked"] if entry["resource"] == "nodes/proxy"}
    assert [reason for reason in reasons if not reason.startswith("forbidden: nodes ")] == []
    assert reasons
    assert shell.memdoctor("pod", INCIDENT, "--strict", user="reader").code == 1
    assert shell.memdoctor("pod", INCIDENT, "--strict", "--node-evidence", user="reader").code == 2


def test_the_cluster_role_sees_every_owner(shell: Shell, seeded: Seeded, bound: None) -> None:
    names = [pod["metadata"]["name"] for pod in seeded.owned.values()]
    reader = shell.memdoctor("pod", *names, "-n", OWNED, "-o", "json", user="reader")
    assert not_checked(reader) == []
    assert essence(reader) == essence(shell.memdoctor("pod", *names, "-n", OWNED, "-o", "json"))


def test_the_role_is_enough_for_its_namespace(shell: Shell, seeded: Seeded, bound: None) -> None:
    ran = shell.memdoctor("ns", "-o", "json", user="namespaced", namespace=OWNED)
    assert ran.code == 1
    admin = shell.memdoctor("ns", OWNED, "-o", "json")
    assert {name: finding["rule"] for name, finding in ran.findings().items()} == {
        name: finding["rule"] for name, finding in admin.findings().items()
    }
    fixes = {name: finding["remedy"].get("command") for name, finding in ran.findings().items()}
    assert fixes == {name: finding["remedy"].get("command") for name, finding in admin.findings().items()}
    cluster_wide = {entry["resource"] for entry in ran.report()["notChecked"]}
    assert cluster_wide <= {"nodes", "runtimeclasses", "configmaps"}
    assert shell.memdoctor("ns", "--strict", user="namespaced", namespace=OWNED).code == 2


def test_the_role_is_enough_for_a_pod_of_its_namespace(shell: Shell, seeded: Seeded, bound: None) -> None:
    ran = shell.memdoctor("pod", "bare", "-o", "json", user="namespaced", namespace=OWNED)
    assert ran.code == 1
    assert [finding["rule"] for finding in ran.report()["findings"]] == ["sandbox-memory-limit-too-small"]


def test_the_role_is_not_enough_for_all_namespaces(shell: Shell, seeded: Seeded, bound: None) -> None:
    ran = shell.memdoctor("ns", "--all", user="namespaced", namespace=OWNED)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error from server (Forbidden): pods is forbidden: ")
    assert len(ran.err.splitlines()) == 1


def test_who_may_only_list_pods_is_told_what_was_not_looked_at(shell: Shell, seeded: Seeded, bound: None) -> None:
    ran = shell.memdoctor("ns", "--all", "-o", "json", user="pods-only")
    assert ran.code == 1
    assert ran.findings()[f"default/{INCIDENT}"]["rule"] == "sandbox-memory-limit-too-small"
    missing = ran.report()["notChecked"]
    assert {"nodes", "events", "limitranges", "runtimeclasses"} <= {entry["resource"] for entry in missing}
    assert all(entry["reason"].startswith("forbidden: ") for entry in missing)
    assert {"rule": "node-memory-pressure", "resource": "nodes"} in [
        {name: entry.get(name) for name in ("rule", "resource")} for entry in missing
    ]
    table = shell.memdoctor("ns", "--all", user="pods-only")
    assert table.code == 1
    assert "nodes" in table.err
    assert "forbidden" in table.err
    assert shell.memdoctor("ns", "--all", "--strict", user="pods-only").code == 2
    assert shell.memdoctor("ns", "kube-public", user="pods-only").code == 0


@pytest.mark.parametrize("arguments", [("ns",), ("ns", "-A"), ("pod", "x"), ("pod", "-l", "a=b")], ids=" ".join)
def test_who_may_not_read_pods_is_told_so(
    shell: Shell, seeded: Seeded, bound: None, arguments: tuple[str, ...]
) -> None:
    ran = shell.memdoctor(*arguments, user="stranger")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error from server (Forbidden): pods ")
    assert 'User "stranger" cannot ' in ran.err
    assert len(ran.err.splitlines()) == 1


def test_impersonation(shell: Shell, seeded: Seeded, bound: None) -> None:
    reader = ("--as", "reader", "--as-group", "on-call")
    ran = shell.memdoctor("pod", INCIDENT, "-o", "json", *reader, user="delegate")
    assert ran.code == 1
    assert not_checked(ran) == []
    refused = shell.memdoctor("pod", INCIDENT, user="delegate")
    assert refused.code == 2
    assert 'User "delegate" cannot get resource "pods"' in refused.err
    other = shell.memdoctor("pod", INCIDENT, "--as", "admin", user="delegate")
    assert other.code == 2
    assert "cannot impersonate" in other.err


def test_a_service_account_may_be_impersonated(shell: Shell, seeded: Seeded, bound: None, stand_ins: StandIns) -> None:
    ran = shell.memdoctor("pod", INCIDENT, "--as", "system:serviceaccount:default:default")
    assert ran.code == 2
    assert 'User "system:serviceaccount:default:default" cannot get resource "pods"' in ran.err
