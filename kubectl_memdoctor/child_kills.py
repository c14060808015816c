"""Processes that were OOM-killed inside a container which did not end by it: only the node's logs and counters tell.

The status shows nothing of them while the container runs, and little once it has ended in another way.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from kubectl_memdoctor.container_kills import LimitInForce, limit_in_force
from kubectl_memdoctor.context import PodContext, is_killed
from kubectl_memdoctor.evidence.node_evidence import ContainerCounters, KernelKill
from kubectl_memdoctor.evidence.pod_join import bare_id
from kubectl_memdoctor.finding import Evidence, InvolvedObject
from kubectl_memdoctor.kernel_verdict import kernel_evidence
from kubectl_memdoctor.objects import ContainerStatus
from kubectl_memdoctor.pod_limit import is_windows


class ChildKills(Struct, frozen=True):
    """A container whose present run lost processes and lived on. `kernel` are the kills that the log shows, oldest
    first; `counted` is what the kubelet counted for the run, None where it was not asked."""

    pod: PodContext
    kind: str
    """containers, initContainers or ephemeralContainers."""
    status: ContainerStatus
    kernel: tuple[KernelKill, ...]
    counters: ContainerCounters | None
    limit: LimitInForce | None

    @property
    def count(self) -> int:
        """At least so many processes."""
        seen = sum(max(len(kill.victims), 1) for kill in self.kernel)
        return max(seen, (self.counters.oom_events or 0) if self.counters else 0)

    @property
    def is_running(self) -> bool:
        return self.status.state.running is not None

    def involved(self) -> InvolvedObject:
        return self.pod.involved(f"spec.{self.kind}{{{self.status.name}}}")

    def evidence(self) -> Iterator[Evidence]:
        if self.limit is not None:
            yield self.pod.evidence(self.limit.field, self.limit.quantity)
        if self.counters is not None and self.counters.oom_events:
            node = self.pod.pod.spec.node_name or self.counters.node
            field = f'container_oom_events_total{{container="{self.status.name}"}}'
            value = str(self.counters.oom_events)
            yield Evidence(source="cadvisor", object=f"node/{node}" if node else None, field=field, value=value)
        if self.kernel:
            yield from kernel_evidence(self.pod, self.kernel[-1])


def child_kills(pod: PodContext) -> Iterator[ChildKills]:
    """Of each container's present run, unless that run itself ended by a kill: then its end tells."""
    if is_windows(pod.pod):
        return
    for kind, status in _statuses(pod):
        ended = status.state.terminated
        container_id = bare_id(status.container_id)
        if not container_id or (ended is not None and is_killed(ended)):
            continue
        kernel = tuple(kill for kill in pod.node_evidence.kills if kill.container_id == container_id)
        counters = _counters(pod, status.name, container_id)
        if kernel or (counters is not None and counters.oom_events):
            yield ChildKills(pod, kind, status, kernel, counters, limit_in_force(pod, status.name))


def _statuses(pod: PodContext) -> Iterator[tuple[str, ContainerStatus]]:
    status = pod.pod.status
    yield from (("containers", entry) for entry in status.container_statuses)
    yield from (("initContainers", entry) for entry in status.init_container_statuses)
    yield from (("ephemeralContainers", entry) for entry in status.ephemeral_container_statuses)


def _counters(pod: PodContext, name: str, container_id: str) -> ContainerCounters | None:
    """Of this very run: the counters of an earlier one may still be there for a while."""
    return next(
        (
            entry
            for entry in pod.node_evidence.counters_of(name)
            if entry.cgroup is not None and entry.cgroup.container_id == container_id
        ),
        None,
    )
