"""All other pods: healthy ones, failures with the same look, limits that come from elsewhere, and kills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cluster.api import Json

from .case import Case, Made, Place, Wait
from .manifests import DEAF, container, memory_limit_range, runtime_class, sidecar, spec

SANDBOX = "sandbox-memory-limit-too-small"
NOT_MEMORY = "sandbox-failure-not-memory"
CONTAINER = "container-memory-limit-too-small"
OOM = "container-oom-killed"
CHILD = "container-child-oom-killed"
POD_OOM = "pod-oom-killed"
NOT_OOM = "container-killed-not-oom"

AMPLE = "256Mi"
TINY = "300m"
SMALL_REQUEST = "8Mi"
"""So that the scheduler finds room for many."""

POD_LEVEL_FROM = "current"
"""The generation that knows `spec.resources`: the API server of the other one drops it."""


def scenario_cases(place: Place) -> Iterator[Case]:
    yield from _healthy(place)
    yield from _limits_from_elsewhere(place)
    yield from _container_only(place)
    yield from _kills(place)
    if place.runtime == "runc":
        yield from _not_memory(place)


def absent(place: Place) -> Iterator[tuple[str, str]]:
    """What a place has none of: the words of a case, and why."""
    if place.generation != POD_LEVEL_FROM:
        for words in ("pod-level limit", "pod-level limit that one of two containers exceeds"):
            yield words, "Kubernetes 1.30 has no spec.resources"
    if place.cgroup == "v1":
        yield "a child uses 96, memory.oom.group as the kubelet sets it", "cgroup v1 has no memory.oom.group"
    if place.runtime != "runc":
        for words in ("network plugin fails", "runtime handler that is not configured", "no pause image on the node"):
            yield words, "fails before the OCI runtime is called: see runc"


def _healthy(place: Place) -> Iterator[Case]:
    ample = container("app", AMPLE, request=SMALL_REQUEST)
    well: tuple[tuple[str, str, Json], ...] = (
        ("ample", "limit 256Mi", spec(ample)),
        ("ample-with-token", "limit 256Mi, token volume", spec(ample, token=True)),
        ("no-limit", "no memory limit", spec(container("app", None), token=True)),
        ("ample-beside-unlimited", "limit 256Mi beside a container without", spec(ample, container("logs", None))),
    )
    for name, words, pod in well:
        yield Case(name, words, place, pod, Made.NOTHING, SANDBOX, representative=name == "ample-with-token")
    if place.generation == POD_LEVEL_FROM:
        pod = _pod_level(AMPLE, container("app", None), container("logs", None))
        yield Case("ample-pod-level", "pod-level limit 256Mi", place, pod, Made.NOTHING, SANDBOX)


def _pod_level(limit: str, *containers: Json, request: str = SMALL_REQUEST, **more: Any) -> Json:
    resources = {"limits": {"memory": limit}, "requests": {"memory": request}}
    return {**spec(*containers, **more), "resources": resources}


def _limits_from_elsewhere(place: Place) -> Iterator[Case]:
    """What the pod's cgroup gets is not what the container's manifest says."""
    if place.generation == POD_LEVEL_FROM:
        for limit in (TINY, "64Ki"):
            pod = _pod_level(limit, container("app", None), container("logs", None), request=limit)
            words = f"pod-level limit {limit}"
            yield Case(
                f"pod-level-{limit.lower()}", words, place, pod, Made.LIMIT, SANDBOX, representative=limit == TINY
            )
    small = container("app", TINY)
    setup = container("setup", "64Ki", "true")
    yield Case(
        "init-decides",
        "container 300m, init container 64Ki",
        place,
        spec(small, initContainers=[setup]),
        Made.LIMIT,
        SANDBOX,
        deciding_bytes=64 << 10,
        representative=True,
    )
    pod = spec(container("app", "32Ki"), initContainers=[sidecar("proxy", "32Ki")])
    words = "container 32Ki, sidecar 32Ki"
    yield Case("with-sidecar", words, place, pod, Made.LIMIT, SANDBOX, deciding_bytes=64 << 10)
    pod = spec(small, container("logs", TINY))
    yield Case("sum-of-two", "two containers of 300m each", place, pod, Made.LIMIT, SANDBOX)
    overhead = runtime_class(f"{place.runtime}-overhead-64ki", place.runtime, "64Ki")
    yield Case(
        "overhead",
        "limit 300m, RuntimeClass overhead 64Ki",
        place,
        spec(small),
        Made.LIMIT,
        SANDBOX,
        deciding_bytes=(64 << 10) + 1,
        objects=(overhead,),
        runtime_class=overhead["metadata"]["name"],
    )
    yield Case(
        "limitrange",
        "no limit, LimitRange default 300m",
        place,
        spec(container("app", None)),
        Made.LIMIT,
        SANDBOX,
        objects=(memory_limit_range("defaults", TINY),),
        representative=True,
    )


def _container_only(place: Place) -> Iterator[Case]:
    """The pod's cgroup has room enough, or no limit: the sandbox starts, the container is what may fail."""
    beside = container("logs", None)
    for limit in (TINY, "64Ki", "1Mi"):
        pod = spec(container("app", limit), beside)
        words = f"limit {limit} beside a container without"
        name = f"{limit.lower()}-beside-unlimited"
        yield Case(name, words, place, pod, Made.LIMIT, CONTAINER, representative=limit == TINY)
    small, ample = container("app", TINY), container("setup", "64Mi", "true", request=SMALL_REQUEST)
    pod = spec(small, initContainers=[ample])
    yield Case("300m-after-ample-init", "container 300m, init container 64Mi", place, pod, Made.LIMIT, CONTAINER)
    proxy = sidecar("proxy", "64Mi")
    proxy["resources"]["requests"]["memory"] = SMALL_REQUEST
    pod = spec(small, initContainers=[proxy])
    yield Case("300m-beside-ample-sidecar", "container 300m, sidecar 64Mi", place, pod, Made.LIMIT, CONTAINER)
    overhead = runtime_class(f"{place.runtime}-overhead-64mi", place.runtime, "64Mi")
    yield Case(
        "300m-with-ample-overhead",
        "limit 300m, RuntimeClass overhead 64Mi",
        place,
        spec(small),
        Made.LIMIT,
        CONTAINER,
        objects=(overhead,),
        runtime_class=overhead["metadata"]["name"],
    )
    absent = container("app", AMPLE, request=SMALL_REQUEST)
    absent["command"] = ["/opt/app/serve"]
    yield Case(
        "no-such-command",
        "limit 256Mi, the program is not in the image",
        place,
        spec(absent),
        Made.OTHER_CONTAINER,
        CONTAINER,
    )


def _kills(place: Place) -> Iterator[Case]:
    eater = "sleep 3; exec eat 96"
    yield Case(
        "oom-loop",
        "container of 48Mi uses 96",
        place,
        spec(container("app", "48Mi", eater), token=True),
        Made.USE,
        OOM,
        wait=Wait.KILLED,
        representative=True,
    )
    migrate = container("migrate", "48Mi", eater)
    pod = spec(container("app", "48Mi"), initContainers=[migrate])
    yield Case("oom-init", "init container of 48Mi uses 96", place, pod, Made.USE, OOM, wait=Wait.KILLED)
    cache = {"name": "cache", "emptyDir": {"medium": "Memory"}}
    fill = "dd if=/dev/zero of=/cache/x bs=1M count=56; sleep 2; exec eat 32"
    filling = container("app", "64Mi", fill, request=SMALL_REQUEST)
    filling["volumeMounts"] = [{"name": "cache", "mountPath": "/cache"}]
    pod = spec(filling, volumes=[cache])
    yield Case("tmpfs-full", "64Mi: 56 in a tmpfs volume, 32 used", place, pod, Made.USE, OOM, wait=Wait.ENDED)
    if place.generation == POD_LEVEL_FROM:
        pod = _pod_level("64Mi", container("app", None, eater), container("logs", None))
        words = "pod-level limit 64Mi, one of two containers uses 96"
        yield Case("oom-pod-level", words, place, pod, Made.USE, POD_OOM, wait=Wait.KILLED, representative=True)
    yield from _child_kills(place)
    probe = {"exec": {"command": ["false"]}, "initialDelaySeconds": 3, "periodSeconds": 2, "failureThreshold": 2}
    probe["timeoutSeconds"] = 10
    pod = spec(container("app", "48Mi", DEAF, livenessProbe=probe))
    words = "liveness probe fails, SIGTERM is ignored"
    yield Case("liveness-kill", words, place, pod, Made.OTHER_KILL, NOT_OOM, wait=Wait.ENDED, representative=True)
    yield Case(
        "grace-period-over",
        "deleted, SIGTERM is ignored",
        place,
        spec(container("app", "48Mi", DEAF), grace_seconds=3),
        Made.OTHER_KILL,
        NOT_OOM,
        wait=Wait.ENDED,
        delete_when_running=True,
    )


_OWN = "own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); "
"""A privileged container sees the cgroups of the whole node."""
_ALONE = f"{_OWN}echo 0 > $own/memory.oom.group; "
"""Has the kernel kill single processes, as the kubelet's `singleProcessOOMKill` does."""
_NESTED = (
    f"{_OWN}mkdir $own/main $own/worker; for p in $(cat $own/cgroup.procs); do echo $p > $own/main/cgroup.procs; done; "
    "echo +memory > $own/cgroup.subtree_control; echo 24M > $own/worker/memory.max; export own; "
)
"""A cgroup of its own below the container's, with a limit of its own, as a build tool or a systemd inside makes it."""


_CHILD = "(eat 96 >/dev/null 2>&1); sleep 12; exit 3"
_NESTED_CHILD = "(sh -c 'echo 0 > $own/worker/cgroup.procs; exec eat 96' >/dev/null 2>&1); sleep 12; exit 3"


def _child_kills(place: Place) -> Iterator[Case]:
    alone = _ALONE if place.cgroup == "v2" else ""
    if place.cgroup == "v2":
        pod = spec(container("app", "48Mi", _CHILD))
        words = "a child uses 96, memory.oom.group as the kubelet sets it"
        yield Case("child-killed-with-all", words, place, pod, Made.USE, OOM, wait=Wait.ENDED, representative=True)
        pod = spec(_privileged(_NESTED + _NESTED_CHILD))
        words = "a child in a nested cgroup of 24Mi uses 96"
        yield Case("child-killed-in-nested-cgroup", words, place, pod, Made.CHILD_USE, CHILD, wait=Wait.ENDED)
    off = ", memory.oom.group off" if alone else ""
    pod, words = spec(_privileged(alone + _CHILD)), f"a child uses 96, PID 1 ends later with 3{off}"
    yield Case("child-killed", words, place, pod, Made.CHILD_USE, CHILD, wait=Wait.ENDED, representative=True)
    app = _privileged(f"{alone}(eat 96 >/dev/null 2>&1); echo $? > /tmp/code; sleep 100000")
    # Ready as soon as the child was killed: the kernel log may leave that out.
    probe = {"exec": {"command": ["grep", "-q", "137", "/tmp/code"]}, "periodSeconds": 3, "timeoutSeconds": 10}
    app["readinessProbe"] = probe
    words = f"a child uses 96, PID 1 runs on{off}"
    yield Case("child-killed-runs-on", words, place, spec(app), Made.CHILD_USE, CHILD)


def _privileged(script: str) -> Json:
    return {**container("app", "48Mi", script), "securityContext": {"privileged": True}}


def _not_memory(place: Place) -> Iterator[Case]:
    """Independent of the OCI runtime: it does not get that far."""
    ample, none, tiny = container("app", AMPLE, request=SMALL_REQUEST), container("app", None), container("app", TINY)
    for name, handler, what, error in (
        ("network", "broken-network", "network plugin fails", "network for sandbox|[Cc][Nn][Ii]"),
        ("handler", "nosuch", "runtime handler that is not configured", "no runtime for|unknown handler"),
    ):
        own: dict[str, Any] = {"objects": (runtime_class(handler, handler),), "error_words": error}
        own["runtime_class"] = handler
        with_token = spec(ample, token=True)
        yield Case(
            f"{name}-ample",
            f"{what}, limit 256Mi",
            place,
            with_token,
            Made.OTHER_START,
            NOT_MEMORY,
            representative=True,
            **own,
        )
        yield Case(f"{name}-no-limit", f"{what}, no limit", place, spec(none), Made.OTHER_START, NOT_MEMORY, **own)
        yield Case(f"{name}-300m", f"{what}, limit 300m", place, spec(tiny), Made.BOTH, NOT_MEMORY, **own)
    yield Case(
        "no-sandbox-image",
        "the node has no pause image, limit 256Mi",
        place,
        spec(ample),
        Made.OTHER_START,
        NOT_MEMORY,
        without_sandbox_image=True,
        error_words="sandbox image",
    )
