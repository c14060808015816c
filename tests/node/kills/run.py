"""Makes the pods on one node, waits for what happens to them, and takes down what its logs and the API say of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path

from cluster.api import Api, Json, Refused, path_of

from node.cluster import NodeCluster, node_cluster, own_cgroup
from node.configuration import ctr
from node.machine.kernel import OLDER_SUITE
from node.matrix.happened import Facts
from node.pods import delete
from node.programs import generation
from node.syslog import KERNEL_LOG, kernel_logged

from .pods import ALL_PODS_MIB, GENERATION, Scenario, scenarios
from .truth import Container, Kill, containers, is_incomplete, kills

NAMESPACE = "shop"
POLL_SECONDS = 2.0
HAPPENED_SECONDS = 900.0
"""Far more than anything takes: the machine may be busy, and a node emulated."""
APART_SECONDS = 1.5
"""Between two pods: the kernel leaves out reports when there are more than ten in five seconds.
https://github.com/torvalds/linux/blob/v5.10/include/linux/ratelimit.h (DEFAULT_RATELIMIT_BURST)"""
AT_ONCE = 3
"""Pods that are not over: each start takes an emulated node much."""
TRIES = 4
"""How often a pod is made whose kill the kernel has left out: others on this machine have theirs killed, too."""
ALL_PODS_LIMIT = {"v1": "memory/kubepods/memory.limit_in_bytes", "v2": "kubepods/memory.max"}
LOG_GOES_ON_SECONDS = 17.0
"""So long after the last end the kernel log must go on before it tells that nothing else was killed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of node. `suite`: whose kernel its machine has; None where it is whatever the tests run nodes on."""

    cgroup: str
    suite: str | None = None

    @property
    def on_machine(self) -> bool:
        return self.suite is not None or self.cgroup != own_cgroup()


KINDS = {"v1": Kind("v1"), "v2": Kind("v2"), "older kernel": Kind("v2", OLDER_SUITE)}


@dataclass(frozen=True, slots=True)
class Happened:
    """All of it, when it was over; the cluster still runs. Logs are those since the first pod was made."""

    kind: Kind
    cluster: NodeCluster
    node: str
    scenarios: Sequence[Scenario]
    facts: dict[str, Facts]
    """By the scenario's name."""
    logs: dict[str, Path]
    """`kern.log`, `dmesg.txt`, `kubelet.log`, `containerd.log`, `cadvisor.txt`."""

    def pod(self, name: str) -> Json:
        return self.facts[name].pod

    def uid(self, name: str) -> str:
        uid: str = self.pod(name)["metadata"]["uid"]
        return uid

    def kills(self) -> list[Kill]:
        """Also those of others, where the kernel is not only this node's."""
        return kills(self.logs["kern.log"].read_text())

    def containers(self) -> dict[str, Container]:
        return containers(self.logs["containerd.log"].read_text())

    @property
    def kernel_log_is_whole(self) -> bool:
        """Whether nothing is missing, also not in what the kernel of this machine has kept of the time before."""
        return not is_incomplete(self.kernel_log)

    @property
    def kernel_log(self) -> str:
        return self.cluster.node(self.node).place.get(KERNEL_LOG).decode(errors="replace")

    @property
    def kubelet_sees_its_cgroups(self) -> bool:
        """On this machine it is in a cgroup namespace, below the root that the kernel's paths begin at."""
        return self.kind.on_machine


def happened(kind: Kind, folder: Path, stack: ExitStack) -> Happened:
    """`stack` ends the cluster. Raises AssertionError where something does not come about."""
    cluster = stack.enter_context(
        node_cluster(generation(GENERATION), folder, (kind.cgroup,), kind.suite, evicts=False)
    )
    node = cluster.nodes[kind.cgroup]
    stack.enter_context(kernel_logged(cluster.node(node).place))
    return _Run(kind, cluster, node, folder, scenarios(kind.cgroup)).whole()


@dataclass(slots=True)
class _Run:
    kind: Kind
    cluster: NodeCluster
    node: str
    folder: Path
    scenarios: list[Scenario]
    pods: dict[str, Json] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    """Pods that were killed by hand, or deleted."""
    dmesg: list[str] = field(default_factory=list)
    """What it printed so far: a kernel may keep less than a minute of reports."""
    last_line: str = ""
    """The last that it ever printed."""

    @property
    def api(self) -> Api:
        return self.cluster.plane.api()

    def whole(self) -> Happened:
        since, began = self.cluster.moment(self.node), datetime.now(UTC)
        self._take_dmesg()
        self.dmesg.clear()
        self._make_namespace()
        self._through(self.scenarios, began)
        facts = self._facts()
        self._wait_for_kernel_log(max(_ends(facts.values())) + timedelta(seconds=LOG_GOES_ON_SECONDS))
        self._take_dmesg()
        logs = {
            "kern.log": self._kernel_log(began),
            "dmesg.txt": "".join(self.dmesg),
            "kubelet.log": self.cluster.log(self.node, "kubelet", since),
            "containerd.log": self.cluster.log(self.node, "containerd", since),
            "cadvisor.txt": self.api.raw(f"/api/v1/nodes/{self.node}/proxy/metrics/cadvisor").data.decode(),
        }
        files = {name: self.folder / name for name in logs}
        for name, text in logs.items():
            files[name].write_text(text)
        return Happened(self.kind, self.cluster, self.node, self.scenarios, facts, files)

    def _through(self, chosen: list[Scenario], began: datetime) -> None:
        for _ in range(TRIES):
            for scenario in chosen:
                self._wait_until(lambda facts: self._under_way(facts) < AT_ONCE)
                self.pods[scenario.name] = self._made(scenario)
                time.sleep(APART_SECONDS)
            self._wait_until(partial(_are_over, chosen))
            chosen = self._untold(chosen, began)
            if not chosen:
                return
            delete(self.api, *(self.pods[scenario.name] for scenario in chosen))
        raise AssertionError(f"the kernel log leaves out {[scenario.name for scenario in chosen]}")

    def _make_namespace(self) -> None:
        """With what pods need of it."""
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        deadline = time.monotonic() + HAPPENED_SECONDS
        for needed in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
            while self.api.raw(f"/api/v1/namespaces/{NAMESPACE}/{needed}").status != HTTPStatus.OK:
                assert time.monotonic() < deadline, f"no {needed}"
                time.sleep(0.2)

    def _made(self, scenario: Scenario) -> Json:
        manifest = scenario.case.manifest(self.node, NAMESPACE)
        if scenario.of_all_pods:
            limit = f"/sys/fs/cgroup/{ALL_PODS_LIMIT[self.kind.cgroup]}"
            self.cluster.run(self.node, ["sh", "-c", f"echo {ALL_PODS_MIB}M > {limit}"])
        for entry in scenario.case.objects:
            self._object(entry)
        return self.api.create(manifest)

    def _object(self, entry: Json) -> None:
        try:
            self.api.create(entry)
        except Refused as refused:
            if "already exists" not in refused.message:
                raise

    def _wait_until(self, met: Callable[[Mapping[str, Facts]], bool]) -> None:
        """Does to the pods what is to be done to them meanwhile."""
        deadline = time.monotonic() + HAPPENED_SECONDS
        while True:
            self._take_dmesg()
            facts = self._facts()
            for scenario in self.scenarios:
                if scenario.name in facts:
                    self._touch(scenario, facts[scenario.name])
            if met(facts):
                return
            assert time.monotonic() < deadline, {name: found.words() for name, found in facts.items()}
            time.sleep(POLL_SECONDS)

    def _under_way(self, facts: Mapping[str, Facts]) -> int:
        made = [scenario for scenario in self.scenarios if scenario.name in facts]
        return sum(not scenario.until(facts[scenario.name]) for scenario in made)

    def _touch(self, scenario: Scenario, facts: Facts) -> None:
        """Kills or deletes it, once it runs."""
        if not facts.running or scenario.name in self.touched:
            return
        if scenario.by_hand:
            (status,) = facts.statuses
            self.cluster.run(self.node, ctr("tasks", "kill", "--signal", "SIGKILL", bare(status["containerID"])))
        elif scenario.case.delete_when_running:
            grace = scenario.case.spec["terminationGracePeriodSeconds"]
            self.api.call("DELETE", path_of(facts.pod), {"gracePeriodSeconds": grace})
        else:
            return
        self.touched.add(scenario.name)

    def _facts(self) -> dict[str, Facts]:
        pods = {entry["metadata"]["name"]: entry for entry in self.api.items("v1", "Pod", NAMESPACE)}
        events: dict[str, list[Json]] = {}
        for event in self.api.items("v1", "Event", NAMESPACE):
            events.setdefault(event["involvedObject"].get("uid", ""), []).append(event)
        names = {name: pods[made["metadata"]["name"]] for name, made in self.pods.items()}
        return {name: Facts(pod, tuple(events.get(pod["metadata"]["uid"], ()))) for name, pod in names.items()}

    def _untold(self, chosen: list[Scenario], began: datetime) -> list[Scenario]:
        """Those in which something was killed of which the kernel log has no report."""
        told = {kill.pod_uid for kill in kills(self._kernel_log(began))}
        return [
            scenario
            for scenario in chosen
            if scenario.killed_in and self.pods[scenario.name]["metadata"]["uid"] not in told
        ]

    def _take_dmesg(self) -> None:
        printed = self.cluster.run(self.node, ["dmesg"]).splitlines(keepends=True)
        known = self.last_line in printed
        self.dmesg += printed[printed.index(self.last_line) + 1 :] if known else printed
        self.last_line = printed[-1]

    def _kernel_log(self, since: datetime) -> str:
        """What was written since then; the kernel's clock is told by whole seconds."""
        lines = self.cluster.node(self.node).place.get(KERNEL_LOG).decode(errors="replace").splitlines(keepends=True)
        return "".join(line for line in lines if _time(line) >= since - timedelta(seconds=2))

    def _wait_for_kernel_log(self, until: datetime) -> None:
        deadline = time.monotonic() + HAPPENED_SECONDS
        while not self._kernel_log(until):
            self._take_dmesg()
            assert time.monotonic() < deadline, "the kernel says nothing more"
            time.sleep(POLL_SECONDS)


def _are_over(chosen: Iterable[Scenario], facts: Mapping[str, Facts]) -> bool:
    return all(scenario.until(facts[scenario.name]) for scenario in chosen)


def _time(line: str) -> datetime:
    return datetime.fromisoformat(line.partition(" ")[0])


def _ends(facts: Iterable[Facts]) -> Iterator[datetime]:
    for each in facts:
        for ended in _terminated(each.statuses):
            if ended.get("finishedAt"):
                yield datetime.fromisoformat(ended["finishedAt"])


def _terminated(statuses: Iterable[Json]) -> Iterator[Json]:
    for status in statuses:
        for state in (status.get("state", {}), status.get("lastState", {})):
            if "terminated" in state:
                yield state["terminated"]


def ids_of(pod: Json) -> set[str]:
    """Of the containers that the status knows."""
    status = pod["status"]
    entries = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return {bare(entry["containerID"]) for entry in (*entries, *_terminated(entries)) if entry.get("containerID")}


def bare(container_id: str) -> str:
    """`containerd://0123` -> `0123`"""
    return re.sub(r"^\w+://", "", container_id)
