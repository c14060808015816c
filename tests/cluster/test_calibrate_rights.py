"""The roles of docs/rbac-calibrate.md are enough for calibrate; without them it says so and makes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from .api import Json
from .calibrating import Calibrating, remains
from .control_plane import ControlPlane
from .pretended_node import MIB, PretendedNode, from_limit
from .stand_ins import StandIns

PAGE = Path(__file__).parents[2] / "docs" / "rbac-calibrate.md"
NODE_OPERATOR, IN_NAMESPACE = "node-operator", "team-member"
NAMESPACE = "calibrated-by-team"


def roles() -> dict[str, Json]:
    """Name -> role, from the page; the one for a given namespace is put into NAMESPACE."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found = [entry for block in blocks for entry in yaml.safe_load_all(block.replace("default}", f"{NAMESPACE}}}"))]
    return {f"{entry['kind']}/{entry['metadata']['name']}": entry for entry in found}


def bind(plane: ControlPlane, role: Json, user: str) -> None:
    api, metadata = plane.api(), role["metadata"]
    kind = "RoleBinding" if role["kind"] == "Role" else "ClusterRoleBinding"
    scope = {"namespace": metadata["namespace"]} if role["kind"] == "Role" else {}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": metadata["name"]}
    api.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": f"{user}-may-{metadata['name']}", **scope},
            "roleRef": reference,
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
    )


@pytest.fixture(scope="module")
def bound(plane: ControlPlane, stand_ins: StandIns) -> None:
    api, found = plane.api(), roles()
    stand_ins.namespace(NAMESPACE)
    for role in found.values():
        api.create(role)
    bind(plane, found["ClusterRole/memdoctor-calibrate"], NODE_OPERATOR)
    bind(plane, found["Role/memdoctor-calibrate-save"], NODE_OPERATOR)
    bind(plane, found["Role/memdoctor-calibrate"], IN_NAMESPACE)
    bind(plane, found["ClusterRole/memdoctor-calibrate-nodes"], IN_NAMESPACE)


def test_no_role_reaches_what_is_not_calibrates() -> None:
    rules = [rule for role in roles().values() for rule in role["rules"]]
    assert {name for rule in rules for name in rule["resources"]} == {
        "configmaps",
        "events",
        "namespaces",
        "nodes",
        "pods",
        "runtimeclasses",
    }
    assert "*" not in {verb for rule in rules for verb in rule["verbs"]}
    (whole,) = [role for name, role in roles().items() if name == "ClusterRole/memdoctor-calibrate"]
    assert "configmaps" not in {name for rule in whole["rules"] for name in rule["resources"]}


@pytest.mark.parametrize(
    ("user", "arguments"),
    [(NODE_OPERATOR, ("--save", "--runtime-class=measured")), (IN_NAMESPACE, ("-n", NAMESPACE))],
)
def test_the_roles_are_enough(
    calibrating: Calibrating, stand_ins: StandIns, bound: None, user: str, arguments: tuple[str, ...]
) -> None:
    if user == NODE_OPERATOR:
        metadata = {"name": "measured"}
        runtime_class = {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": metadata,
            "handler": "crun",
        }
        stand_ins.api.create(runtime_class)
    with PretendedNode(stand_ins, from_limit(3 * MIB)).running():
        ran = calibrating.quickly("--yes", *arguments, "--as", user)
    assert ran.code == 0, ran.err
    assert "pods start with a memory limit of 3Mi or more" in ran.out
    assert "forbidden" not in ran.err
    assert remains(stand_ins.api) == []


def test_the_role_cleans(calibrating: Calibrating, bound: None) -> None:
    ran = calibrating.run("--clean", "--yes", "--as", NODE_OPERATOR)
    assert (ran.code, ran.out) == (0, "")
    said, nothing = ran.err.splitlines()
    assert said.startswith("not looked for what runs with -n left: forbidden: configmaps is forbidden")
    assert nothing == "Nothing is left of earlier runs."


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("stranger", 'Error from server (Forbidden): nodes is forbidden: User "stranger" cannot list resource "nodes"'),
        (IN_NAMESPACE, 'Error from server (Forbidden): namespaces is forbidden: User "team-member" cannot create'),
    ],
)
def test_without_the_rights_nothing_is_made(
    calibrating: Calibrating, stand_ins: StandIns, bound: None, user: str, line: str
) -> None:
    ran = calibrating.quickly("--yes", "--as", user)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith(line)
    assert "removed" not in ran.err.splitlines()[-1]
    assert remains(stand_ins.api) == []
