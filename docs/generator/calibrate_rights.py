"""docs/rbac-calibrate.md: the rights of the one command that writes, as roles of their own.

tests/cluster/test_calibrate_rights.py runs calibrate with just these.
"""

from __future__ import annotations

from typing import Any

import yaml

from kubectl_memdoctor.calibration.nodes import RUNTIMES
from kubectl_memdoctor.measured_minimum import CONFIG_MAP_NAME, CONFIG_MAP_NAMESPACE
from kubectl_memdoctor.objects import CONFIG_MAPS, EVENTS, NAMESPACES, PODS, Resource
from kubectl_memdoctor.temporary.places import PLACES

from . import GENERATED

API = "rbac.authorization.k8s.io"
NAME = "memdoctor-calibrate"
NAMESPACE = "default"
"""Of the Role: one that every cluster has, so that the example applies as it stands."""

Right = tuple[Resource[Any], tuple[str, ...]]

LOOKING: tuple[Right, ...] = ((PLACES, ("list",)), (RUNTIMES, ("get",)))
PODS_OF_STEPS: tuple[Right, ...] = ((PODS, ("list", "create", "delete")), (EVENTS, ("list",)))
OWN_NAMESPACE: tuple[Right, ...] = (*LOOKING, (NAMESPACES, ("get", "list", "create", "delete")), *PODS_OF_STEPS)
GIVEN_NAMESPACE: tuple[Right, ...] = (
    (NAMESPACES, ("get",)),
    *PODS_OF_STEPS,
    (CONFIG_MAPS, ("list", "create", "delete")),
)
SAVING: tuple[Right, ...] = ((CONFIG_MAPS, ("get", "create", "patch")),)

INTRODUCTION = """\
`calibrate` writes, so its rights are not in the [roles of the others](rbac.md): give them to
those few who may run pods on any node. It never reads or writes a Secret, and changes nothing that it has not made
itself, but for the ConfigMap of `--save`. [calibrate.md](calibrate.md) says what it makes."""

WHOLE = """\
## In a namespace of its own

Enough for `calibrate`, and for `calibrate --clean` of what such runs left. To have the result used by everybody,
`--save` needs the [role below](#to-keep-the-result) as well."""

GIVEN = f"""\
## In a namespace that is given

Enough for `calibrate -n {NAMESPACE}`: no right to make or delete namespaces, and pods in this one only. Nodes and
RuntimeClasses belong to no namespace."""

KEEPING = f"""\
## To keep the result

For `--save`, which writes the ConfigMap `{CONFIG_MAP_NAME}` in `{CONFIG_MAP_NAMESPACE}`. A right to create cannot be
limited to one name."""


def page() -> str:
    looking = f"{NAME}-nodes"
    parts = [GENERATED, "# Rights of calibrate", INTRODUCTION]
    parts += [WHOLE, _yaml(_role("ClusterRole", {"name": NAME}, OWN_NAMESPACE))]
    given = _role("Role", {"name": NAME, "namespace": NAMESPACE}, GIVEN_NAMESPACE)
    parts += [GIVEN, _yaml(given, _role("ClusterRole", {"name": looking}, LOOKING))]
    saving = {"name": f"{NAME}-save", "namespace": CONFIG_MAP_NAMESPACE}
    parts += [KEEPING, _yaml(_role("Role", saving, SAVING))]
    return "\n\n".join(parts) + "\n"


def _role(kind: str, metadata: dict[str, str], rights: tuple[Right, ...]) -> dict[str, Any]:
    rules = [
        {"apiGroups": [_group(resource)], "resources": [resource.name], "verbs": [*verbs]} for resource, verbs in rights
    ]
    return {"apiVersion": f"{API}/v1", "kind": kind, "metadata": metadata, "rules": rules}


def _group(resource: Resource[Any]) -> str:
    return resource.group_resource.partition(".")[2]


def _yaml(*objects: dict[str, Any]) -> str:
    text = yaml.safe_dump_all(objects, sort_keys=False, default_flow_style=None, width=110)
    return f"```yaml\n{text}```"
