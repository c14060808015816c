"""Pods in which something is killed, or which only look like it, and what must be said of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from node.matrix.case import Case, Made, Place, Wait
from node.matrix.happened import Facts, Stage
from node.matrix.limits import limit_cases
from node.matrix.manifests import SLEEPING, container, spec
from node.matrix.scenarios import CHILD, NOT_MEMORY, NOT_OOM, OOM, POD_OOM, SANDBOX, scenario_cases

GENERATION = "current"
"""The one that knows pod-level limits."""
NODE_OOM = "node-oom-killed"
SURE, LIKELY, POSSIBLE = "confirmed", "likely", "possible"
ALL_PODS_MIB = 256


@dataclass(frozen=True, slots=True)
class Told:
    """A finding's rule and confidence."""

    rule: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Scenario:
    case: Case
    until: Callable[[Facts], bool]
    """When it has happened."""
    by_node: Told | None
    """What must be said with the node's kernel log, whole; None: nothing."""
    by_status: tuple[Told, ...]
    """What may be said without it, each at most so sure; (): nothing."""
    killed_in: tuple[str, ...] = ()
    """Containers in which the kernel kills; "" is the sandbox."""
    at: str = ""
    """Whose limit is reached: `container`, `pod` or `above`; "": either of the first two."""
    by_hand: bool = False
    """Its container is killed with SIGKILL from the node, once it runs."""
    goes_on: bool = False
    """Its container is killed again and again: the newest time may be after the logs were taken."""
    of_all_pods: bool = False
    """Before it is made, all pods together may use no more than ALL_PODS_MIB, as with a kubelet's systemReserved."""

    @property
    def name(self) -> str:
        return self.case.name

    @property
    def is_for_memory(self) -> bool:
        return self.by_node is not None and self.by_node.rule not in (NOT_OOM, NOT_MEMORY)


def scenarios(cgroup: str) -> list[Scenario]:
    """In the order in which they are best made: what goes on and on keeps a node busy."""
    place = Place(GENERATION, cgroup, "runc")
    made = {case.name: case for case in (*scenario_cases(place), *limit_cases(place))}
    return [*_killed_once(made, place), *_killed_otherwise(made, place), *_going_on(made), _all_pods(place)]


def _killed_once(made: dict[str, Case], place: Place) -> Iterator[Scenario]:
    by_own = Told(OOM, SURE)
    for name, where in (("oom-init", "migrate"), ("tmpfs-full", "app"), ("child-killed-with-all", "app")):
        if name in made:
            yield Scenario(_once(made[name]), _ended, by_own, (by_own,), (where,))
    yield Scenario(_own_limit(place), _ended, by_own, (by_own,), ("app",), at="container")
    by_pods = Told(POD_OOM, SURE)
    yield Scenario(_once(made["oom-pod-level"]), _ended, by_pods, (Told(POD_OOM, LIKELY),), ("app",), at="pod")
    # Without the kernel's word it looks as if the container's own limit had been reached.
    either = (Told(OOM, LIKELY), Told(POD_OOM, LIKELY))
    yield Scenario(_pod_level_beside_own(place), _ended, by_pods, either, ("app",), at="pod")
    for name in ("child-killed", "child-killed-in-nested-cgroup"):
        if name in made:
            yield Scenario(_once(made[name]), _ended, Told(CHILD, SURE), (Told(CHILD, LIKELY),), ("app",))


def _killed_otherwise(made: dict[str, Case], place: Place) -> Iterator[Scenario]:
    by_other = Told(NOT_OOM, SURE)
    for name in ("liveness-kill", "grace-period-over"):
        yield Scenario(_once(made[name]), _ended, by_other, (by_other,))
    yield Scenario(_by_hand(place), _ended, by_other, (Told(NOT_OOM, POSSIBLE),), by_hand=True)


def _going_on(made: dict[str, Case]) -> Iterator[Scenario]:
    yield Scenario(made["ample"], _running, None, ())
    yield Scenario(made["child-killed-runs-on"], _running, Told(CHILD, SURE), (), ("app",))
    # Of most containers in which it is killed its status soon knows nothing any more.
    yield Scenario(made["oom-loop"], _killed_again, Told(OOM, SURE), (Told(OOM, SURE),), ("app",), goes_on=True)
    failing = Told(NOT_MEMORY, SURE)
    yield Scenario(made["network-ample"], _sandbox_failed, failing, (failing,))
    by_pods = Told(SANDBOX, SURE)
    # So little that there is nothing that could be killed.
    yield Scenario(made["300m"], _sandbox_failed, by_pods, (by_pods,))
    for name in ("64ki", "1mi"):
        yield Scenario(made[name], _sandbox_failed, by_pods, (by_pods,), ("",), at="pod")


def _all_pods(place: Place) -> Scenario:
    pod = spec(container("app", None, f"sleep 3; exec eat {ALL_PODS_MIB}"), restartPolicy="Never")
    words = "no limit, uses all that pods may use together"
    case = Case("all-pods", words, place, pod, Made.USE, NODE_OOM, wait=Wait.ENDED)
    by_node, by_status = Told(NODE_OOM, SURE), (Told(NODE_OOM, LIKELY),)
    return Scenario(case, _ended, by_node, by_status, ("app",), at="above", of_all_pods=True)


def _own_limit(place: Place) -> Case:
    pod = spec(container("app", "48Mi", "sleep 3; exec eat 96"), container("logs", None), restartPolicy="Never")
    words = "container of 48Mi uses 96, the pod has no limit"
    return Case("own-limit", words, place, pod, Made.USE, OOM, wait=Wait.ENDED)


def _pod_level_beside_own(place: Place) -> Case:
    """app stays below its own limit, and is the larger one when both reach the pod's."""
    app = container("app", "88Mi", "sleep 8; exec eat 80 20", request="8Mi")
    logs = container("logs", "48Mi", "eat 32 & " + SLEEPING, request="8Mi")
    resources = {"limits": {"memory": "96Mi"}, "requests": {"memory": "16Mi"}}
    pod = {**spec(app, logs, restartPolicy="Never"), "resources": resources}
    words = "pod-level limit 96Mi, of which two containers below their own limits use 112"
    return Case("pod-level-beside-own-limits", words, place, pod, Made.USE, POD_OOM, wait=Wait.ENDED)


def _by_hand(place: Place) -> Case:
    pod = spec(container("app", "64Mi", request="8Mi"), restartPolicy="Never")
    words = "killed with SIGKILL by somebody on the node"
    return Case("killed-by-hand", words, place, pod, Made.OTHER_KILL, NOT_OOM, wait=Wait.ENDED)


def _once(case: Case) -> Case:
    """What has happened stays in the status."""
    return replace(case, spec={**case.spec, "restartPolicy": "Never"})


def _ended(facts: Facts) -> bool:
    return any(end.current for end in facts.ends)


def _killed_again(facts: Facts) -> bool:
    return bool(facts.killed) and facts.restarts >= 2


def _running(facts: Facts) -> bool:
    return facts.running


def _sandbox_failed(facts: Facts) -> bool:
    return facts.stage is Stage.SANDBOX and facts.sandbox_failures + facts.count("SandboxChanged") >= 2
