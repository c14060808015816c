"""The memory limit that the kubelet gives a pod's cgroup, and where it comes from.

The kubelet's ResourceConfigForPod, over PodLimits of component-helpers; tests/test_pod_limit.py holds this to them:
https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/cm/helpers_linux.go
https://github.com/kubernetes/component-helpers/blob/v0.37.2/resource/helpers.go
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.objects import Container, Pod, PodSpec, ResourceRequirements

LIMIT_RANGER_ANNOTATION = "kubernetes.io/limit-ranger"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
POD_LEVEL_FIELD = "spec.resources.limits.memory"
WINDOWS_REASON = "Windows pod: no cgroups, its limits work differently"
CUMULATIVE_MINORS = range(28, 37)
"""Kubelets 1.28 to 1.36 look at an init container together with the sidecars before it, all others at it alone.
https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/kubelet/cm/helpers_linux.go (ContainerFn)"""


class LimitSource(StrEnum):
    """Where a pod-level limit comes from. LIMIT_RANGE: admission gave it to every container that decides."""

    CONTAINERS = "containers"
    POD = "pod"
    LIMIT_RANGE = "limitRange"


class ContainerLimit(Struct, frozen=True):
    """One container's memory limit. `field` is where it is written, `field_path` names the container as events do,
    `quantity` is the text; absent and "0" are both no limit."""

    name: str
    field: str
    field_path: str
    quantity: str | None
    init: bool
    sidecar: bool
    """An init container with restartPolicy Always: it runs beside the containers."""
    from_limit_range: bool


class PodLimit(Struct, frozen=True):
    """`limit_bytes` is what the pod's cgroup gets, None for no limit; `quantity` says it as written where one quantity
    decides alone, else as the exact sum. `overhead_bytes` is the part that the RuntimeClass adds."""

    limit_bytes: int | None = None
    quantity: str | None = None
    source: LimitSource | None = None
    deciding: tuple[ContainerLimit, ...] = ()
    """The containers whose limits make up the figure; none when the pod's own limit is it."""
    others: tuple[ContainerLimit, ...] = ()
    """Those whose limit takes no part in the figure: they run at another time, or the pod's own limit is it."""
    unlimited: tuple[str, ...] = ()
    """The containers without a memory limit, which is why the pod has none."""
    overhead_bytes: int = 0
    qos_class: str = ""
    resized: bool = False
    """What is in force now (status) is not what the spec says."""
    not_checked_reason: str | None = None


def is_windows(pod: Pod) -> bool:
    if pod.spec.os.name:
        return pod.spec.os.name == "windows"
    return pod.spec.node_selector.get("kubernetes.io/os") == "windows"


def is_static(pod: Pod) -> bool:
    """A mirror of a pod that the kubelet runs from a file on its node: the API cannot change it."""
    return MIRROR_ANNOTATION in pod.metadata.annotations


def pod_memory_limit(pod: Pod, kubelet_version: str = "") -> PodLimit:
    """The pod-level limit by the kubelet's rule: the sum of exact quantities, rounded up once.

    `kubelet_version` as in nodeInfo ("v1.36.3"); without it the newest rule holds. A quantity that the API server
    would refuse (in a recording) is a reason not to check, never an error.
    """
    qos_class = pod.status.qos_class or compute_qos_class(pod.spec)
    if is_windows(pod):
        return PodLimit(qos_class=qos_class, not_checked_reason=WINDOWS_REASON)
    limits = tuple(_container_limits(pod))
    reason = _unreadable(pod.spec, limits)
    if reason is not None:
        return PodLimit(qos_class=qos_class, not_checked_reason=reason)
    pod_level = pod.spec.resources.limits.get("memory")
    if pod_level is None:
        total, deciding = _aggregate(limits)
        unlimited = _undeclared(limits, _minor(kubelet_version) in CUMULATIVE_MINORS)
    else:
        total, deciding = _nano(pod_level), ()
        unlimited = () if total else _undeclared(limits, cumulative=False)
    resized = _is_resized(pod)
    if not total or qos_class == "BestEffort" or (unlimited and qos_class != "Guaranteed"):
        return PodLimit(unlimited=unlimited, qos_class=qos_class, resized=resized)
    overhead = _nano(pod.spec.overhead.get("memory"))
    return PodLimit(
        limit_bytes=_rounded_up(total + overhead),
        quantity=_as_written(pod_level, deciding, total, overhead),
        source=_source(pod_level, deciding),
        deciding=deciding,
        others=tuple(entry for entry in limits if _nano(entry.quantity) and entry not in deciding),
        overhead_bytes=_rounded_up(overhead),
        qos_class=qos_class,
        resized=resized,
    )


def container_memory_limit(pod: Pod, name: str) -> ContainerLimit | None:
    """The limit of one container's cgroup: its own, else the pod-level one (1.34 and newer). None without any.

    https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_container_linux.go
    (getMemoryLimit)
    """
    own = next((entry for entry in _container_limits(pod, ephemeral=True) if entry.name == name), None)
    if own is None or _nano(own.quantity):
        return own
    pod_level = pod.spec.resources.limits.get("memory")
    if not _nano(pod_level):
        return None
    return ContainerLimit(name, POD_LEVEL_FIELD, own.field_path, pod_level, own.init, own.sidecar, False)


def pod_memory_request(pod: Pod) -> int:
    """Bytes that the scheduler sets aside for the pod: requests and overhead, by the same rule as limits."""
    spec = pod.spec
    pod_level = spec.resources.requests.get("memory")
    if pod_level is not None:
        total = _nano(pod_level)
    elif len(spec.containers) == 1 and not spec.init_containers:
        total = _nano(spec.containers[0].resources.requests.get("memory"))
    else:
        total = _aggregate_requests(spec)
    if spec.overhead:
        total += _nano(spec.overhead.get("memory"))
    return _rounded_up(total)


def compute_qos_class(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort, as the API server writes it into a pod's status.

    https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/v1/helper/qos/qos.go
    """
    if _is_pod_level(spec.resources):
        classes = set(_qos_classes(spec.resources))
    else:
        containers = (*spec.containers, *spec.init_containers)
        classes = {qos for container in containers for qos in _qos_classes(container.resources)}
    return classes.pop() if len(classes) == 1 else "Burstable" if classes else "BestEffort"


def _qos_classes(resources: ResourceRequirements) -> Iterator[str]:
    for name in ("cpu", "memory"):
        limit = _nano(resources.limits.get(name))
        # Admission copies a limit to a missing request; a manifest that was never admitted lacks that copy.
        request = _nano(resources.requests.get(name, resources.limits.get(name)))
        yield "Burstable" if request != limit else "Guaranteed" if limit else "BestEffort"


def _is_pod_level(resources: ResourceRequirements) -> bool:
    names = (*resources.limits, *resources.requests)
    return any(name in ("cpu", "memory") or name.startswith("hugepages-") for name in names)


def _container_limits(pod: Pod, *, ephemeral: bool = False) -> Iterator[ContainerLimit]:
    given = _given_by_limit_range(pod.metadata.annotations)
    spec = pod.spec
    yield from _limits_of("containers", spec.containers, given)
    yield from _limits_of("initContainers", spec.init_containers, given)
    if ephemeral:
        yield from _limits_of("ephemeralContainers", spec.ephemeral_containers, given)


def _limits_of(kind: str, containers: Iterable[Container], given: frozenset[str]) -> Iterator[ContainerLimit]:
    init = kind == "initContainers"
    for index, container in enumerate(containers):
        yield ContainerLimit(
            name=container.name,
            field=f"spec.{kind}[{index}].resources.limits.memory",
            field_path=f"spec.{kind}{{{container.name}}}",
            quantity=container.resources.limits.get("memory"),
            init=init,
            sidecar=init and _is_sidecar(container),
            from_limit_range=container.name in given,
        )


def _is_sidecar(container: Container) -> bool:
    return container.restart_policy == "Always"


def _given_by_limit_range(annotations: Mapping[str, str]) -> frozenset[str]:
    """The containers whose memory limit admission took from a LimitRange. It leaves a note such as
    "LimitRanger plugin set: cpu, memory request for container app; memory limit for init container setup".

    https://github.com/kubernetes/kubernetes/blob/v1.37.2/plugin/pkg/admission/limitranger/admission.go
    (mergeContainerResources)
    """
    note = annotations.get(LIMIT_RANGER_ANNOTATION)
    return _read_limit_ranger_note(note) if note else frozenset()


def _read_limit_ranger_note(note: str) -> frozenset[str]:
    entries = (entry.partition(" limit for ") for entry in note.partition(": ")[2].split("; "))
    return frozenset(who.rpartition("container ")[2] for what, _, who in entries if "memory" in what.split(", "))


def _unreadable(spec: PodSpec, limits: Iterable[ContainerLimit]) -> str | None:
    """The first quantity of the sum that is none."""
    written = [(POD_LEVEL_FIELD, spec.resources.limits.get("memory"))]
    written += [("spec.overhead.memory", spec.overhead.get("memory"))]
    written += [(entry.field, entry.quantity) for entry in limits]
    for field, text in written:
        if text is not None and not _is_amount(text):
            return f"{field}: {text[:40]!r} is not a memory quantity"
    return None


def _is_amount(text: str) -> bool:
    try:
        return quantity.nano(text) >= 0
    except quantity.QuantityError:
        return False


def _undeclared(limits: Iterable[ContainerLimit], cumulative: bool) -> tuple[str, ...]:
    """The containers for which the kubelet sees no limit."""
    names = []
    sidecars = 0
    for entry in limits:
        amount = _nano(entry.quantity)
        if not amount and not (cumulative and entry.init and sidecars):
            names.append(entry.name)
        if entry.sidecar:
            sidecars += amount
    return tuple(names)


def _aggregate(limits: tuple[ContainerLimit, ...]) -> tuple[int, tuple[ContainerLimit, ...]]:
    """The sum in nano units, and the containers that it is made of: those that run side by side, or an init container
    and the sidecars started before it, whatever is more."""
    written = [(entry, amount) for entry in limits if (amount := _nano(entry.quantity))]
    running = [(entry, amount) for entry, amount in written if entry.sidecar or not entry.init]
    most, deciding = sum(amount for _, amount in running), tuple(entry for entry, _ in running)
    sidecars: tuple[ContainerLimit, ...] = ()
    below = 0
    for entry, amount in written:
        if entry.sidecar:
            sidecars, below = (*sidecars, entry), below + amount
        elif entry.init and amount + below > most:
            most, deciding = amount + below, (*sidecars, entry)
    return most, deciding


def _aggregate_requests(spec: PodSpec) -> int:
    running = sum(_nano(container.resources.requests.get("memory")) for container in spec.containers)
    most = sidecars = 0
    for container in spec.init_containers:
        amount = _nano(container.resources.requests.get("memory"))
        most = max(most, amount + sidecars)
        if _is_sidecar(container):
            sidecars += amount
    return max(running + sidecars, most)


def _as_written(pod_level: str | None, deciding: tuple[ContainerLimit, ...], total: int, overhead: int) -> str:
    alone = pod_level if pod_level is not None else deciding[0].quantity if len(deciding) == 1 else None
    return quantity.format_nano(total + overhead) if overhead or alone is None else alone


def _source(pod_level: str | None, deciding: tuple[ContainerLimit, ...]) -> LimitSource:
    if pod_level is not None:
        return LimitSource.POD
    return LimitSource.LIMIT_RANGE if all(entry.from_limit_range for entry in deciding) else LimitSource.CONTAINERS


def _is_resized(pod: Pod) -> bool:
    """Whether a limit in force differs from the spec's. In bytes, since the kubelet reports what the runtime says."""
    spec, status = pod.spec, pod.status
    if status.resources is not None and _differs(spec.resources, status.resources):
        return True
    statuses = {entry.name: entry.resources for entry in (*status.container_statuses, *status.init_container_statuses)}
    for container in (*spec.containers, *spec.init_containers):
        in_force = statuses.get(container.name)
        if in_force is not None and _differs(container.resources, in_force):
            return True
    return False


def _differs(wanted: ResourceRequirements, in_force: ResourceRequirements) -> bool:
    before, after = in_force.limits.get("memory"), wanted.limits.get("memory")
    if before is None or after is None or before == after:
        return False
    return _rounded_up(_nano(before)) != _rounded_up(_nano(after))


def _minor(kubelet_version: str) -> int:
    found = re.match(r"v1\.([0-9]{1,4})", kubelet_version)
    return int(found[1]) if found else max(CUMULATIVE_MINORS) + 1


@lru_cache(quantity.DIFFERENT_TEXTS)
def _nano(text: str | None) -> int:
    """What is no quantity counts as absent here; `_unreadable` has said so where it matters."""
    if text is None:
        return 0
    try:
        return quantity.nano(text)
    except quantity.QuantityError:
        return 0


def _rounded_up(amount: int) -> int:
    """Whole bytes. Go's own result over 2**63-1 depends on the way there; no node has that much."""
    return min(-(-amount // quantity.NANO), quantity.MAX_INT64)
