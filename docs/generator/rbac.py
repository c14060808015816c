"""docs/rbac.md: which rights the program uses, what for, and roles that hold just these.

The verbs and reasons stand here, once; tests/docs/test_rights.py holds them to what the program really asks for.
Which rules miss a resource comes from the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from msgspec.structs import replace

from kubectl_memdoctor.cluster.prometheus import SERVICES
from kubectl_memdoctor.measured_minimum import CONFIG_MAP_NAME, CONFIG_MAP_NAMESPACE
from kubectl_memdoctor.objects import (
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    LIMIT_RANGES,
    NAMESPACES,
    NODE_PROXY,
    NODES,
    POD_METRICS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    RUNTIME_CLASSES,
    STATEFUL_SETS,
    Resource,
)
from kubectl_memdoctor.rules import Rule, rules

from . import GENERATED

API = "rbac.authorization.k8s.io"
NAME = "memdoctor"
NAMESPACE = "default"
"""Of the Role: one that every cluster has, so that the example applies as it stands."""


@dataclass(frozen=True, slots=True)
class Right:
    """What the program asks of one resource. `lost` is what is missing without it, beside what rules say of it.
    `names` are the only objects that it asks for; `namespace` is the only one that they are in."""

    resource: Resource[Any]
    verbs: tuple[str, ...]
    purpose: str
    lost: str = ""
    names: tuple[str, ...] = ()
    namespace: str = ""


GET, LIST, BOTH = ("get",), ("list",), ("get", "list")
BY_NAME = "`pod {}/NAME` does not work"
UNREAD_TEMPLATE = (
    "the fix raises the limit alone where the request should follow it, and does not say that Helm, Argo CD or Flux"
    " writes the object"
)

RIGHTS = (
    Right(PODS, BOTH, "the pods themselves; the other pods of a node and of a workload, to compare with"),
    Right(EVENTS, LIST, "what kubelet, runtime and scheduler reported"),
    Right(NODES, BOTH, "runtime, kernel, size and conditions of the nodes that pods are on"),
    Right(LIMIT_RANGES, LIST, "default limits, and whether a pod's limit comes from one"),
    Right(
        NAMESPACES, GET, "whether a namespace without pods exists", "a namespace typed wrong looks like an empty one"
    ),
    Right(REPLICATION_CONTROLLERS, BOTH, "the pods of a ReplicationController given by name", BY_NAME.format("rc")),
    Right(
        REPLICA_SETS,
        BOTH,
        "which Deployment a pod comes from, its template and its earlier revisions",
        f"the Deployment is guessed from the pod's labels; since when its limit is what it is; {UNREAD_TEMPLATE}",
    ),
    Right(
        DEPLOYMENTS,
        BOTH,
        "whether Helm, Argo CD or Flux writes it; the pods of a Deployment given by name",
        f"the fix does not say that Argo CD or Flux writes the object; {BY_NAME.format('deploy')}",
    ),
    Right(STATEFUL_SETS, BOTH, "the template; pods by name", f"{UNREAD_TEMPLATE}; {BY_NAME.format('sts')}"),
    Right(DAEMON_SETS, BOTH, "the template; pods by name", f"{UNREAD_TEMPLATE}; {BY_NAME.format('ds')}"),
    Right(
        CONTROLLER_REVISIONS,
        LIST,
        "earlier revisions of StatefulSets and DaemonSets",
        "since when a limit is what it is, and the command that goes back",
    ),
    Right(
        JOBS,
        BOTH,
        "the template, and whether a CronJob made the Job; pods by name",
        f"the fix changes the Job, not its CronJob; {BY_NAME.format('job')}",
    ),
    Right(CRON_JOBS, BOTH, "the pods of a CronJob given by name", BY_NAME.format("cj")),
    Right(
        POD_METRICS,
        LIST,
        "how much the containers use that were killed, or all with `--near-limit`",
        "the limit to raise to follows from the limit alone; `--near-limit` lists nothing",
    ),
    Right(RUNTIME_CLASSES, LIST, "which runtime handler a RuntimeClass stands for"),
    Right(
        CONFIG_MAPS,
        GET,
        f"`{CONFIG_MAP_NAME}` in `{CONFIG_MAP_NAMESPACE}`, and no other: what `calibrate --save` measured on the nodes",
        "the shipped table speaks for the nodes",
        names=(CONFIG_MAP_NAME,),
        namespace=CONFIG_MAP_NAMESPACE,
    ),
)

SERVICE_PROXY = replace(SERVICES, name=f"{SERVICES.name}/proxy")
PROOF_RIGHTS = (
    Right(
        NODE_PROXY,
        GET,
        "counters, use and logs of a node, as its kubelet serves them: `pod`, `node`, `ns --node-evidence`",
        "processes killed inside a container that runs on are not found",
    ),
    Right(SERVICES, LIST, "`--prometheus auto`: the service that Prometheus is behind", "give its URL instead"),
    Right(SERVICE_PROXY, GET, "`--prometheus auto`: use in the last 7 days", "give its URL instead"),
)
"""What proves more, and may be too much to give to everyone."""

MOST_RULES = 4
"""Named one by one; of more, only how many they are."""

INTRODUCTION = """\
The program only reads: every request is a `get` or a `list`, and it never asks for a Secret. (`calibrate`, the one
command that writes, has [rights of its own](rbac-calibrate.md).) What may not be read is named as *not checked* in
every output, and the rest is looked at all the same; `--strict` turns that into exit code 2. Only pods have to be
readable. The server's version (`/version`) is open to every user by Kubernetes' own role
`system:public-info-viewer`."""

WHOLE = """\
## The whole cluster

Enough for every command, `ns --all` included."""

BINDING = """\
Give it to a group; a user or a service account goes the same way:"""

ONE_NAMESPACE = """\
## One namespace

Enough for `ns` and `pod` in that namespace. Nodes and RuntimeClasses belong to no namespace, and neither do the pods
of other namespaces on the same nodes: what a sandbox needs is then told by the errors alone, as a wider span. What
`calibrate --save` keeps in another namespace is not read either."""


PROOF = """\
## The nodes' own evidence

These rights make findings surer and find what no status shows ([node-evidence.md](node-evidence.md)); without them the
rest works as before. Mind that `get` on `nodes/proxy` is no small right: it reaches all that a kubelet serves, and a
kubelet also serves the running of commands in the pods of its node. Give it to those who may do that anyway."""


def page() -> str:
    parts = [GENERATED, "# Rights", INTRODUCTION, WHOLE, _yaml(_cluster_role()), BINDING, _yaml(_binding())]
    parts += [ONE_NAMESPACE, _yaml(_role(), _role_binding()), PROOF, _yaml(_proof_role())]
    parts += ["## What is lost without each right", "\n".join(_table())]
    return "\n\n".join(parts) + "\n"


def _cluster_role() -> dict[str, Any]:
    return _object("ClusterRole", {"name": NAME}, rules=_rules(RIGHTS))


def _proof_role() -> dict[str, Any]:
    return _object("ClusterRole", {"name": f"{NAME}-node-evidence"}, rules=_rules(PROOF_RIGHTS))


def _role() -> dict[str, Any]:
    """A Role grants `get` on its own Namespace, though namespaces are no namespaced resource."""
    inside = [
        right for right in RIGHTS if (right.resource.namespaced and not right.namespace) or right.resource is NAMESPACES
    ]
    return _object("Role", {"name": NAME, "namespace": NAMESPACE}, rules=_rules(inside))


def _binding() -> dict[str, Any]:
    return _object("ClusterRoleBinding", {"name": NAME}, roleRef=_reference("ClusterRole"), subjects=[_on_call()])


def _role_binding() -> dict[str, Any]:
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return _object("RoleBinding", metadata, roleRef=_reference("Role"), subjects=[_on_call()])


def _object(kind: str, metadata: dict[str, str], **rest: Any) -> dict[str, Any]:
    return {"apiVersion": f"{API}/v1", "kind": kind, "metadata": metadata, **rest}


def _reference(kind: str) -> dict[str, str]:
    return {"apiGroup": API, "kind": kind, "name": NAME}


def _on_call() -> dict[str, str]:
    return {"apiGroup": API, "kind": "Group", "name": "on-call"}


def _rules(rights: Iterable[Right]) -> list[dict[str, list[str]]]:
    """One rule for each API group, set of verbs and set of names."""
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for right in rights:
        group = right.resource.group_resource.partition(".")[2]
        groups.setdefault((group, right.verbs, right.names), []).append(right.resource.name)
    return [
        {
            "apiGroups": [group],
            "resources": resources,
            **({"resourceNames": [*names]} if names else {}),
            "verbs": [*verbs],
        }
        for (group, verbs, names), resources in sorted(groups.items())
    ]


def _yaml(*objects: dict[str, Any]) -> str:
    text = yaml.safe_dump_all(objects, sort_keys=False, default_flow_style=None, width=110)
    return f"```yaml\n{text}```"


def _table() -> Iterator[str]:
    yield "| resource | verbs | what for | lost without it |"
    yield "|---|---|---|---|"
    for right in (*RIGHTS, *PROOF_RIGHTS):
        lost = "; ".join(_lost(right))
        yield f"| {right.resource.group_resource} | {', '.join(right.verbs)} | {right.purpose} | {lost} |"


def _lost(right: Right) -> Iterator[str]:
    if right.resource is PODS:
        yield "nothing can be looked at: exit code 2"
        return
    blind = [rule for rule in rules() if right.resource in rule.needs]
    unsure = [rule for rule in rules() if right.resource in rule.uses]
    if blind:
        yield f"not checked: {_linked(blind)}"
    if unsure:
        yield f"less sure: {_linked(unsure)}"
    if right.lost:
        yield right.lost


def _linked(some: list[Rule]) -> str:
    if len(some) > MOST_RULES:
        return f"{len(some)} [rules](rules.md)"
    return ", ".join(f"[{rule.name}](rules.md#{rule.name})" for rule in some)
