"""A kubelet's /metrics/cadvisor -> the memory counters of containers, of pods and of the node.

https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level, read_cgroup_path
from kubectl_memdoctor.evidence.metric_lines import Sample, read_sample
from kubectl_memdoctor.evidence.node_evidence import ContainerCounters, NodeEvidence

MOST_CGROUPS = 20_000
"""Far more than a node has: what comes after them is left out."""
UNLIMITED_BYTES = 1 << 62
"""As in cAdvisor's specMemoryValue: the kernel rounds what stands for no limit.
https://github.com/google/cadvisor/blob/v0.49.0/metrics/prometheus.go"""

_OOM_EVENTS = "container_oom_events_total"
_FIELDS = {
    _OOM_EVENTS: "oom_events",
    "container_memory_failcnt": "failcnt",
    "container_memory_usage_bytes": "usage_bytes",
    "container_memory_max_usage_bytes": "max_usage_bytes",
    "container_memory_working_set_bytes": "working_set_bytes",
    "container_spec_memory_limit_bytes": "limit_bytes",
}
_OPEN_METRICS_COUNTER = "_total"
"""OpenMetrics ends every counter's name with it."""
_BEGINNINGS = tuple(f"{name}{ending}{{".encode() for name in _FIELDS for ending in ("", _OPEN_METRICS_COUNTER))
_SANDBOX = "POD"
_UNKNOWN_AS_ZERO = frozenset({"failcnt", "max_usage_bytes"})
"""What is 0 where cAdvisor does not know: cgroup v2 has no failcnt, and kernels before 5.19 no memory.peak."""


class _Counted(Struct):
    """One cgroup of a container, a pod or the node. `nested_oom_events` are those of cgroups below it."""

    named: ContainerCounters
    numbers: dict[str, int] = field(default_factory=dict)
    nested_oom_events: int | None = None

    def counters(self) -> ContainerCounters:
        numbers: dict[str, int | None] = {**self.numbers}
        if self.nested_oom_events is not None:
            numbers["oom_events"] = self.numbers.get("oom_events", 0) + self.nested_oom_events
        # What mypy cannot see: the keys are names of numbers.
        return replace(self.named, **numbers)


class _Place(NamedTuple):
    """Where the numbers of a cgroup go. `is_nested`: it is below the container's own."""

    counted: _Counted
    is_nested: bool


class CadvisorReader:
    """Takes line after line; what it keeps grows with the containers only."""

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._counted: dict[tuple[str, ...], _Counted] = {}
        self._places: dict[bytes, _Place | None] = {}
        """By the text of the labels, which every metric of a cgroup repeats."""

    def read_line(self, line: bytes) -> None:
        if not line.startswith(_BEGINNINGS):
            return
        sample = read_sample(line)
        if sample is not None and math.isfinite(sample.value) and sample.value >= 0:
            self._read(sample)

    def evidence(self) -> NodeEvidence:
        """Of the lines so far."""
        return NodeEvidence(counters=tuple(counted.counters() for counted in self._counted.values()))

    def _read(self, sample: Sample) -> None:
        if sample.label_text not in self._places:
            if len(self._places) >= MOST_CGROUPS:
                return
            self._places[sample.label_text] = self._place(sample.labels())
        place = self._places[sample.label_text]
        if place is None:
            return
        number = _FIELDS.get(sample.name) or _FIELDS[sample.name.removesuffix(_OPEN_METRICS_COUNTER)]
        value = int(sample.value)
        if not place.is_nested and _tells(number, value):
            place.counted.numbers[number] = value
        elif place.is_nested and number == _FIELDS[_OOM_EVENTS]:
            # Of an inner cgroup only the kills are its own: what it uses is part of the container's use already.
            place.counted.nested_oom_events = (place.counted.nested_oom_events or 0) + value

    def _place(self, labels: Mapping[str, str]) -> _Place | None:
        """None for cgroups of no interest."""
        identity = labels.get("id")
        path = read_cgroup_path(identity) if identity else None
        if path is not None and _is_below_container(path):
            named = ContainerCounters("", "", "", path, node=self._node)
            return _Place(self._counted.setdefault((path.container_id,), _Counted(named)), is_nested=True)
        named = replace(_named(labels, path), node=self._node)
        key = _key(named)
        if key is None:
            return None
        counted = self._counted.setdefault(key, _Counted(named))
        counted.named = named
        return _Place(counted, is_nested=False)


def _named(labels: Mapping[str, str], path: CgroupPath | None) -> ContainerCounters:
    """Before Kubernetes 1.16 the labels had other names: https://github.com/kubernetes/kubernetes/pull/80376"""
    pod = labels.get("pod") or labels.get("pod_name", "")
    container = labels.get("container") or labels.get("container_name", "")
    if path is not None and path.level is Level.CONTAINER and pod and not container:
        container = _SANDBOX
    return ContainerCounters(labels.get("namespace", ""), pod, container, path)


def _key(named: ContainerCounters) -> tuple[str, ...] | None:
    """What tells one cgroup from others; None for those of no interest."""
    path = named.cgroup
    if path is not None and path.level is Level.CONTAINER:
        return (path.container_id,)
    if path is not None and path.level in (Level.POD, Level.NODE):
        return ("", path.path)
    # Where the container runtime counts, instead of cAdvisor, its ids need not be paths.
    return (named.namespace, named.pod, named.container) if named.pod else None


def _is_below_container(path: CgroupPath) -> bool:
    return path.level is Level.CONTAINER and path.container_id not in path.path.rstrip("/").rpartition("/")[2]


def _tells(number: str, value: int) -> bool:
    if number == "limit_bytes":
        return 0 < value < UNLIMITED_BYTES
    return value > 0 or number not in _UNKNOWN_AS_ZERO
