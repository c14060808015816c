"""A whole cluster: control plane, controllers, scheduler, and a node for each cgroup version that is asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.api import Api, Json, Refused, path
from cluster.control_plane import KUBELET_CLIENT, USERS, ControlPlane, control_plane, running

from . import cgroups, enclosure
from .configuration import RUNTIME_CLASSES, Node, programs_and_images, settings
from .host_node import clear, lay_out, may_lower_oom_score
from .machine.kernel import SUITE
from .machine.node import machine_node
from .place import SECONDS
from .programs import Generation
from .running_node import Log, Moment, RunningNode

READY_SECONDS = 180.0
"""Far more than a node takes, also an emulated one: the machine may be busy."""
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
NODE_GROUP = "system:nodes"
PODS_ON_HOST = "10.78.0.0/24"


@dataclass(frozen=True, slots=True)
class NodeCluster:
    """A running cluster; `nodes` has the name of the node of each cgroup version."""

    generation: Generation
    plane: ControlPlane
    running: dict[str, RunningNode]

    @property
    def nodes(self) -> dict[str, str]:
        return {cgroup: found.node.name for cgroup, found in self.running.items()}

    def run(self, node: str, argv: Sequence[str], seconds: float = SECONDS) -> str:
        """What the program prints on stdout, run on that node."""
        return self.node(node).place.run(argv, seconds)

    def node(self, name: str) -> RunningNode:
        return next(found for found in self.running.values() if found.node.name == name)

    def moment(self, node: str) -> Moment:
        return self.node(node).moment()

    def log(self, node: str, name: Log, since: Moment) -> str:
        return self.node(node).log(name, since)

    @contextlib.contextmanager
    def without_image(self, node: str, reference: str) -> Iterator[None]:
        """The image is not on that node, and nowhere to be had, until the block is left."""
        with self.node(node).without_image(reference):
            yield

    def restart_kubelet(self, node: str) -> None:
        """Returns when the node is ready again."""
        self.node(node).stop_kubelet()
        self.node(node).start_kubelet()
        wait_until_ready(self.plane.api(), node)


@contextlib.contextmanager
def node_cluster(
    generation: Generation,
    folder: Path,
    cgroups: Sequence[str] = ("v1", "v2"),
    suite: str | None = None,
    *,
    evicts: bool = True,
) -> Iterator[NodeCluster]:
    """Runs until the block is left, however that happens; all nodes are ready. Only inside an enclosure.

    With `suite`, one of machine.kernel's SUITES, the only node is a machine with that kernel, whatever its cgroup
    version. Without `evicts` no pod is evicted for memory. The control plane's logs are in `folder`. Raises
    RuntimeError, BuildError and what a machine raises.
    """
    if not enclosure.inside():
        raise RuntimeError("a node is started in an enclosure only: python -m node.enclosure COMMAND")
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(_plane(generation, folder, [_name(cgroup) for cgroup in cgroups]))
        nodes: dict[str, RunningNode] = {}
        for cgroup in sorted(cgroups, key=lambda wanted: wanted == own_cgroup()):
            nodes[cgroup] = stack.enter_context(_node(generation, plane, cgroup, folder, suite, evicts))
        for node in nodes.values():
            with node.logs_in_errors():
                wait_until_ready(plane.api(), node.node.name)
        yield NodeCluster(generation, plane, nodes)


def own_cgroup() -> str:
    """The cgroup version of this machine."""
    return cgroups.version()


def _name(cgroup: str) -> str:
    return f"worker-{cgroup}"


@contextlib.contextmanager
def _plane(generation: Generation, folder: Path, nodes: list[str]) -> Iterator[ControlPlane]:
    """Ready to make pods: the controllers have made what a pod's admission needs."""
    users = {
        **USERS,
        CONTROLLER_MANAGER: CONTROLLER_MANAGER,
        SCHEDULER: SCHEDULER,
        **{f"system:node:{name}": NODE_GROUP for name in nodes},
    }
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(
            control_plane(generation.plane, folder, address=enclosure.PLANE_ADDRESS, users=users)
        )
        stack.enter_context(running(folder, _controller_manager(generation, plane)))
        stack.enter_context(running(folder, _scheduler(generation, plane)))
        api = plane.api()
        _let_api_server_ask_kubelets(api)
        for name in RUNTIME_CLASSES:
            meta = {"name": name}
            api.create({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": meta, "handler": name})
        _wait_for(api, path("v1", "ServiceAccount", "default", "default"))
        _wait_for(api, path("v1", "ConfigMap", "default", "kube-root-ca.crt"))
        yield plane


def _controller_manager(generation: Generation, plane: ControlPlane) -> list[str]:
    """As kubeadm starts it."""
    return [
        str(generation.kubernetes / "kube-controller-manager"),
        f"--kubeconfig={plane.kubeconfig(CONTROLLER_MANAGER)}",
        f"--root-ca-file={plane.authority_file}",
        f"--service-account-private-key-file={plane.folder / 'service-accounts.key'}",
        "--bind-address=127.0.0.1",
        "--controllers=*",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
    ]


def _scheduler(generation: Generation, plane: ControlPlane) -> list[str]:
    return [
        str(generation.kubernetes / "kube-scheduler"),
        f"--kubeconfig={plane.kubeconfig(SCHEDULER)}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def _let_api_server_ask_kubelets(api: Api) -> None:
    """https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/"""
    api.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": KUBELET_CLIENT},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:kubelet-api-admin",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": KUBELET_CLIENT}],
        }
    )


@contextlib.contextmanager
def _node(
    generation: Generation, plane: ControlPlane, cgroup: str, folder: Path, suite: str | None, evicts: bool
) -> Iterator[RunningNode]:
    if suite is None and cgroup == own_cgroup():
        with _host_node(generation, plane, cgroup, evicts) as node:
            yield node
    else:
        with machine_node(generation, plane, cgroup, folder, suite or SUITE, evicts=evicts) as node:
            yield node


@contextlib.contextmanager
def _host_node(generation: Generation, plane: ControlPlane, cgroup: str, evicts: bool) -> Iterator[RunningNode]:
    node = Node(_name(cgroup), enclosure.NODE_ADDRESS, PODS_ON_HOST, may_lower_oom_score(), evicts)
    place = lay_out(programs_and_images(generation), node.name)
    try:
        started = RunningNode(node, place)
        started.configure(settings(generation, node, plane))
        started.start()
        yield started
    finally:
        clear()


def wait_until_ready(api: Api, node: str) -> None:
    """Ready, and free of the taint that it has until the controllers have seen that. Raises RuntimeError."""
    _wait_for(api, path("v1", "Node", name=node), _is_ready)


def _is_ready(node: Json) -> bool:
    conditions = node["status"].get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not node["spec"].get("taints")


def _wait_for(api: Api, target: str, met: Callable[[Json], bool] = bool) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(Refused):
            if met(api.call("GET", target)):
                return
        time.sleep(0.1)
    raise RuntimeError(f"{target} is not as expected after {READY_SECONDS:.0f} s")
