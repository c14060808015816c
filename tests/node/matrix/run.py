"""Runs cases on a live cluster: makes their pods, waits for a state of each, looks, and takes it away again."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
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
THROUGH_KUBECTL = frozenset({"300m", "oom-loop", "ample-with-token"})
"""Cases that are looked at as a person does it; the others, in this process."""
LOOKS = 4
"""How often a case is looked at whose pod changes under the look."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a node can bear."""

    at_once: int
    """Pods."""
    steady_seconds: float
    """For so long a pod must run without a change to count as running."""
    overdue_seconds: float


PACES = {"v1": Pace(40, 12, 300), "v2": Pace(14, 30, 900)}
"""The node with cgroup v2 is usually an emulated machine."""


@dataclass(slots=True)
class _Watched:
    """A case that was made, and how it has fared."""

    case: Case
    pod: Json
    signature: tuple[object, ...] = ()
    made: float = field(default_factory=time.monotonic)
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

    def run(self, cases: Iterable[Case]) -> list[Judged]:
        """In the order of `cases`; both nodes at once. Raises what the cluster raises."""
        wanted = list(cases)
        by_cgroup = {cgroup: [case for case in wanted if case.place.cgroup == cgroup] for cgroup in self.cluster.nodes}
        with ThreadPoolExecutor(len(by_cgroup)) as pool:
            judged = list(itertools.chain.from_iterable(pool.map(self._on_node, by_cgroup.items())))
        return sorted(judged, key=lambda entry: wanted.index(entry.case))

    def _on_node(self, asked: tuple[str, list[Case]]) -> list[Judged]:
        """Those without a sandbox image come last, by themselves: the node can do nothing else meanwhile."""
        cgroup, cases = asked
        node = self.cluster.nodes[cgroup]
        judged = self._each([case for case in cases if not case.without_sandbox_image], node, PACES[cgroup])
        left = [case for case in cases if case.without_sandbox_image]
        if left:
            with self.cluster.without_image(node, PAUSE):
                judged += self._each(left, node, PACES[cgroup])
        return judged

    def _each(self, cases: list[Case], node: str, pace: Pace) -> list[Judged]:
        """Makes the next ones as soon as others are through."""
        namespace = f"matrix-{node}"
        self._namespace(namespace)
        waiting, watched, judged = deque(cases), list[_Watched](), list[Judged]()
        try:
            while waiting or watched:
                while waiting and len(watched) < pace.at_once:
                    watched.append(self._made(waiting.popleft(), node, namespace))
                through = self._through(watched, pace)
                judged += self._look(through, node)
                for entry in through:
                    watched.remove(entry)
                    self._remove(entry)
                    self._tell(entry)
        finally:
            for entry in watched:
                self._remove(entry)
        return judged

    def _tell(self, entry: _Watched) -> None:
        seconds, late = time.monotonic() - entry.made, "" if entry.done else ", not as expected until then"
        self.tell(f"{entry.case.place.words}: {entry.case.name} ({seconds:.0f} s{late})")

    def _made(self, case: Case, node: str, namespace: str) -> _Watched:
        own = f"{namespace}-{case.pod_name}" if case.own_namespace else namespace
        if case.own_namespace:
            self._namespace(own)
        for entry in case.objects:
            self._object(entry, own)
        return _Watched(case, self.api.create(case.manifest(node, own)))

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

    def _through(self, watched: list[_Watched], pace: Pace) -> list[_Watched]:
        """Those that are in the state in which they are judged, or overdue."""
        time.sleep(POLL_SECONDS)
        facts = self._facts(watched, [])
        for entry in watched:
            self._follow(entry, facts[_key(entry.pod)], pace)
        return [e for e in watched if e.done or time.monotonic() - e.made >= pace.overdue_seconds]

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
        if not watched:
            return []
        kills = self._kernel_kills(node)
        before = self._facts(watched, kills)
        reports = {name: _said(partial(self.doctor.namespace, name)) for name in {_key(e.pod)[0] for e in watched}}
        after = self._facts(watched, kills)
        judged = []
        for entry in watched:
            key = _key(entry.pod)
            findings, error = reports[key[0]]
            found = _about(findings, key[1], entry.case)
            of_namespace = Look(before[key], found, after[key], entry.case.own_namespace, error)
            of_pod = self._look_at_pod(entry, kills, through_kubectl=entry.case.name in THROUGH_KUBECTL)
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


def _is_there(case: Case, facts: Facts, steady: bool) -> bool:
    """Whether the case is in the state in which it is judged."""
    if case.wait is Wait.ENDED:
        return bool(facts.ends)
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
