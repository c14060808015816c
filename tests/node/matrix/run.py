"""Runs cases on a live cluster: makes their pods in batches, waits for a state, looks, and takes them away again."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from cluster.api import Api, Json, Refused, path_of

from node.cluster import NodeCluster
from node.images import PAUSE

from .case import Case, Wait
from .doctor import Doctor, NoReport
from .happened import Facts, KernelKill, Stage, kernel_kills
from .look import Judged, Look
from .save import recorded, replayed

POLL_SECONDS = 3.0
RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
LOOKS = 4
"""How often a case is looked at whose pod changes under the look."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a node can bear."""

    batch: int
    steady_seconds: float
    """For so long a pod must run without a change to count as running."""
    overdue_seconds: float


PACES = {"v1": Pace(42, 12, 240), "v2": Pace(22, 40, 900)}
"""The node with cgroup v2 is usually an emulated machine."""


@dataclass(slots=True)
class _Watched:
    """A case that was made, and how it has fared."""

    case: Case
    pod: Json
    signature: tuple[object, ...] = ()
    since: float = field(default_factory=time.monotonic)
    done: bool = False
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Runner:
    """Cases of one generation on the nodes of one cluster."""

    cluster: NodeCluster
    api: Api
    doctor: Doctor
    tell: Callable[[str], None]
    paces: dict[str, Pace] = field(default_factory=lambda: PACES)
    prefix: str = "matrix"
    """Of the names of its namespaces."""

    def run(self, cases: Iterable[Case]) -> list[Judged]:
        """Both nodes at once. Raises what the cluster raises."""
        by_cgroup: dict[str, list[Case]] = {}
        for case in cases:
            by_cgroup.setdefault(case.place.cgroup, []).append(case)
        with ThreadPoolExecutor(len(by_cgroup) or 1) as pool:
            return list(itertools.chain.from_iterable(pool.map(self._on_node, by_cgroup.values())))

    def _on_node(self, cases: list[Case]) -> list[Judged]:
        cgroup = cases[0].place.cgroup
        judged: list[Judged] = []
        for number, batch in enumerate(_batches(cases, self.paces[cgroup].batch)):
            judged += self._batch(batch, f"{self.prefix}-{cgroup}-{number}")
        return judged

    def _batch(self, batch: list[Case], namespace: str) -> list[Judged]:
        cgroup = batch[0].place.cgroup
        node, began = self.cluster.nodes[cgroup], time.monotonic()
        with self.cluster.without_image(node, PAUSE) if batch[0].without_sandbox_image else contextlib.nullcontext():
            watched: list[_Watched] = []
            try:
                watched.extend(self._made(batch, node, namespace))
                self._wait(watched, self.paces[cgroup])
                judged = self._look(watched, node)
            finally:
                for entry in watched:
                    self._remove(entry)
        late = [entry.case.pod_name for entry in judged if entry.overdue]
        told = f", overdue: {', '.join(late)}" if late else ""
        self.tell(f"{namespace}: {len(batch)} cases in {time.monotonic() - began:.0f} s{told}")
        return judged

    def _made(self, batch: list[Case], node: str, namespace: str) -> Iterator[_Watched]:
        self._namespace(namespace)
        for case in batch:
            own = f"{namespace}-{case.pod_name}" if case.own_namespace else namespace
            if case.own_namespace:
                self._namespace(own)
            for entry in case.objects:
                self._object(entry, own)
            yield _Watched(case, self.api.create(case.manifest(node, own)))

    def _namespace(self, name: str) -> None:
        """Waits for what pods need of it: else the first thing that a pod meets is their absence."""
        _create(self.api, "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for target in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
            for _ in range(300):
                if self.api.raw(f"/api/v1/namespaces/{name}/{target}").status == 200:
                    break
                time.sleep(0.2)

    def _object(self, entry: Json, namespace: str) -> None:
        if entry["kind"] == "RuntimeClass":
            _create(self.api, RUNTIME_CLASSES, entry)
            return
        self.api.create({**entry, "metadata": {**entry["metadata"], "namespace": namespace}})

    def _wait(self, watched: list[_Watched], pace: Pace) -> None:
        deadline = time.monotonic() + pace.overdue_seconds
        while time.monotonic() < deadline and not all(entry.done for entry in watched):
            time.sleep(POLL_SECONDS)
            facts = self._facts(watched, [])
            for entry in watched:
                self._follow(entry, facts[_key(entry.pod)], pace)

    def _follow(self, entry: _Watched, facts: Facts, pace: Pace) -> None:
        if facts.signature != entry.signature:
            entry.signature, entry.since = facts.signature, time.monotonic()
        if entry.case.delete_when_running and facts.running and not entry.deleted:
            entry.deleted = True
            grace = entry.case.spec["terminationGracePeriodSeconds"]
            self.api.call("DELETE", path_of(entry.pod), {"gracePeriodSeconds": grace})
        steady = time.monotonic() - entry.since >= pace.steady_seconds
        entry.done = _is_there(entry.case, facts, steady)

    def _look(self, watched: list[_Watched], node: str) -> list[Judged]:
        kills = self._kernel_kills(node)
        before = self._facts(watched, kills)
        reports = {name: _said(partial(self.doctor.namespace, name)) for name in {_key(e.pod)[0] for e in watched}}
        after = self._facts(watched, kills)
        judged = []
        for number, entry in enumerate(watched):
            key = _key(entry.pod)
            findings, error = reports[key[0]]
            found = _about(findings, key[1], entry.case)
            of_namespace = Look(before[key], found, after[key], entry.case.own_namespace, error)
            of_pod = self._look_at_pod(entry, kills, through_kubectl=number == 0)
            objects = recorded(of_pod.after, self._others(entry, node))
            replay, error = _said(partial(replayed, objects))
            of_recording = Look(of_pod.after, replay, of_pod.after, whole_namespace=True, error=error)
            judged.append(Judged(entry.case, of_pod, of_namespace, of_recording, objects, not entry.done))
        return judged

    def _look_at_pod(self, entry: _Watched, kills: list[KernelKill], *, through_kubectl: bool) -> Look:
        """Looks again when the pod changed meanwhile and what was said does not fit."""
        namespace, name = _key(entry.pod)
        for left in reversed(range(LOOKS)):
            before = self._facts([entry], kills)[namespace, name]
            findings, error = _said(partial(self.doctor.pod, namespace, name, through_kubectl=through_kubectl))
            after = self._facts([entry], kills)[namespace, name]
            look = Look(before, findings, after, error=error)
            if not left or not (look.changed or error) or not look.fault(entry.case, 0):
                break
        return look

    def _facts(self, watched: list[_Watched], kills: list[KernelKill]) -> dict[tuple[str, str], Facts]:
        """Pods by namespace and name."""
        found: dict[tuple[str, str], Facts] = {}
        wanted = {_key(entry.pod): entry.pod for entry in watched}
        for namespace in {key[0] for key in wanted}:
            events: dict[str, list[Json]] = {}
            for event in self.api.items("v1", "Event", namespace):
                events.setdefault(event["involvedObject"].get("uid", ""), []).append(event)
            for pod in self.api.items("v1", "Pod", namespace):
                key, uid = _key(pod), pod["metadata"]["uid"]
                if key in wanted:
                    told = sorted(events.get(uid, []), key=_moment)
                    found[key] = Facts(pod, tuple(told), tuple(kill for kill in kills if kill.pod_uid == uid))
        return {key: found.get(key, Facts(pod, ())) for key, pod in wanted.items()}

    def _kernel_kills(self, node: str) -> list[KernelKill]:
        return kernel_kills(self.cluster.run(node, ["dmesg"]))

    def _others(self, entry: _Watched, node: str) -> list[Json]:
        """As the API server has them."""
        namespace, _ = _key(entry.pod)
        found = [item for item in self.api.items("v1", "Node") if item["metadata"]["name"] == node]
        if entry.case.own_namespace:
            found += self.api.items("v1", "LimitRange", namespace)
        named = entry.pod["spec"].get("runtimeClassName")
        if named:
            runtime_class = self.api.call("GET", f"{RUNTIME_CLASSES}/{named}")
            found.append({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", **runtime_class})
        return found

    def _remove(self, entry: _Watched) -> None:
        with contextlib.suppress(Refused):
            if entry.case.delete_when_running:
                released = {"metadata": {"finalizers": None}}
                self.api.call("PATCH", path_of(entry.pod), released, content_type="application/merge-patch+json")
            self.api.delete(entry.pod)


def _batches(cases: list[Case], size: int) -> Iterator[list[Case]]:
    """Those without a sandbox image come last, by themselves: the node can do nothing else meanwhile."""
    others = [case for case in cases if not case.without_sandbox_image]
    without = [case for case in cases if case.without_sandbox_image]
    yield from (others[start : start + size] for start in range(0, len(others), size))
    if without:
        yield without


def _is_there(case: Case, facts: Facts, steady: bool) -> bool:
    """Whether the case is in the state in which it is judged."""
    if case.wait is Wait.ENDED:
        return bool(facts.killed)
    if case.wait is Wait.KILLED:
        return bool(facts.killed) and facts.restarts >= 2
    again = facts.sandbox_failures + facts.count("SandboxChanged")
    reached = {
        Stage.RUNNING: steady,
        Stage.VOLUME: facts.volume_failures >= 2,
        Stage.SANDBOX: again >= 2,
        Stage.CONTAINER: facts.restarts >= 2 or facts.count("Failed") >= 2 or steady,
        Stage.KILLED: facts.restarts >= 2,
    }
    return reached.get(facts.stage, False)


def _said(look: Callable[[], list[Json]]) -> tuple[list[Json], str]:
    """The findings, and what was printed instead where there is no report."""
    try:
        return look(), ""
    except NoReport as error:
        return [], str(error)


def _about(findings: list[Json], pod: str, case: Case) -> list[Json]:
    """The findings about one pod, and of a namespace of its own all others."""
    if case.own_namespace:
        return findings
    return [f for f in findings if f["involvedObject"]["kind"] == "Pod" and f["involvedObject"]["name"] == pod]


def _key(pod: Json) -> tuple[str, str]:
    """Namespace and name."""
    return str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])


def _moment(event: Json) -> str:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return f"{str(last or event['metadata']['creationTimestamp'])[:19]} {event['metadata']['name']}"


def _create(api: Api, target: str, body: Json) -> None:
    """Nothing when it is there already."""
    try:
        api.call("POST", target, body)
    except Refused as refused:
        if "already exists" not in refused.message:
            raise
