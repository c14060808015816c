"""What a rule gets to see: one pod (or node, or namespace) with everything that was read about it.

A context is made once per object and holds no connection: what a rule asks of it is either there already or worked out
from what is there. `traits` is the quick look that decides which rules a pod is shown to at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Flag, auto
from functools import cached_property, lru_cache

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.evidence.event_groups import EventGroup, group_events
from kubectl_memdoctor.evidence.node_evidence import PodEvidence
from kubectl_memdoctor.evidence.pod_join import EvidenceIndex, pod_uids
from kubectl_memdoctor.evidence.runtime_errors import RuntimeFailure, read_runtime_error
from kubectl_memdoctor.finding import Evidence, InvolvedObject, Memory
from kubectl_memdoctor.measured_minimum import Measurement
from kubectl_memdoctor.objects import (
    Condition,
    ContainerState,
    ContainerStatus,
    Event,
    LimitRange,
    Node,
    Pod,
    ResourceRequirements,
    StateTerminated,
)
from kubectl_memdoctor.pod_limit import ContainerLimit, PodLimit, container_memory_limit, pod_memory_limit
from kubectl_memdoctor.sandbox_minimum import (
    ClusterBounds,
    SandboxMinimum,
    largest_known_minimum_bytes,
    sandbox_minimum,
)
from kubectl_memdoctor.usage import ContainerKey, Usage, is_near_limit

SANDBOX_CONDITIONS = ("PodReadyToStartContainers", "PodHasNetwork")
"""False until the sandbox is ready; PodHasNetwork was its name in Kubernetes 1.25 to 1.27."""

SANDBOX_REASONS = frozenset({"FailedCreatePodSandBox", "FailedSandbox"})
BEFORE_START = frozenset({"ContainerCreating", "PodInitializing"})
START_FAILED = frozenset({"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"})
SIGKILL_EXIT = 137

RECENT_FAILURES = timedelta(minutes=20)
"""Failures this close to the newest one are read together: retries alternate between wordings."""

SETTLING = timedelta(minutes=1)
"""A pod younger than this without any failure may simply still be starting."""


class Trait(Flag):
    """What can be told of a pod at a glance. Rules name the traits that concern them."""

    NONE = 0
    STARTING = auto()
    """Its sandbox is not ready, though it is on a node and not at its end."""
    START_FAILED = auto()
    """A container could not be created or started."""
    KILLED = auto()
    """A container ended with reason OOMKilled or exit code 137, now or the last time."""
    SMALL_LIMIT = auto()
    """A memory limit below the largest minimum that is known of any runtime."""
    FRACTIONAL = auto()
    """A memory quantity that is not a whole number of bytes."""
    FAILED = auto()
    """Phase Failed with a reason: evicted, rejected ..."""
    UNSCHEDULED = auto()
    """The scheduler has no node for it."""
    RESIZING = auto()
    """An in-place resize is pending or in progress."""
    SEEN_KILLED = auto()
    """Its node's logs or counters tell of a process that was OOM-killed in it."""
    NEAR_LIMIT = auto()
    """A container uses as much of its memory limit as the user asked for."""


NO_TRAITS = Trait.NONE
"""Flags are slow to name and to join: what 100,000 healthy pods have is told by identity."""

_TELLING_CONDITIONS = frozenset({*SANDBOX_CONDITIONS, "PodScheduled", "PodResizePending", "PodResizeInProgress"})
"""Most conditions of most pods are none of these."""


class ContainerEnd(Struct, frozen=True):
    """One known end of a container: of `state` (it is down now) or `lastState` (it was started again)."""

    container: str
    kind: str
    """containers, initContainers or ephemeralContainers: the list in the pod's spec."""
    terminated: StateTerminated
    current: bool
    field: str
    """Where it stands: `status.containerStatuses{app}.lastState.terminated`."""

    def lasted(self) -> timedelta | None:
        start, end = self.terminated.started_at, self.terminated.finished_at
        return end - start if start and end and end >= start else None


_STATUS_LISTS: tuple[tuple[str, str, Callable[[Pod], tuple[ContainerStatus, ...]]], ...] = (
    ("containers", "containerStatuses", lambda pod: pod.status.container_statuses),
    ("initContainers", "initContainerStatuses", lambda pod: pod.status.init_container_statuses),
    ("ephemeralContainers", "ephemeralContainerStatuses", lambda pod: pod.status.ephemeral_container_statuses),
)


def container_ends(pod: Pod) -> Iterator[ContainerEnd]:
    """Every known end, the current one of a container before its last one."""
    for kind, list_name, statuses in _STATUS_LISTS:
        for status in statuses(pod):
            for field_name, state in (("state", status.state), ("lastState", status.last_state)):
                if state.terminated is not None:
                    where = f"status.{list_name}{{{status.name}}}.{field_name}.terminated"
                    yield ContainerEnd(status.name, kind, state.terminated, field_name == "state", where)


def small_below(minimum_bytes: int | None, measured: Iterable[Measurement]) -> int:
    """Below which limit (bytes) a sandbox may be in trouble: the user's figure, or the largest that is known."""
    return minimum_bytes or max([largest_known_minimum_bytes(), *(entry.ready_bytes for entry in measured)])


def is_killed(terminated: StateTerminated) -> bool:
    return terminated.reason == "OOMKilled" or terminated.exit_code == SIGKILL_EXIT


def traits(pod: Pod, small_below: int) -> Trait:
    """The quick look. `small_below` (bytes): limits under it are small."""
    found = _spec_traits(pod, small_below)
    status, is_deleted = pod.status, pod.metadata.deletion_timestamp is not None
    for statuses in (status.container_statuses, status.init_container_statuses, status.ephemeral_container_statuses):
        for container in statuses:
            for state in (container.state, container.last_state):
                if state.terminated is None and state.waiting is None:
                    continue
                given = _state_traits(state)
                if given is not NO_TRAITS:
                    found |= given
    if is_deleted:
        # It starts no more: only what already happened counts.
        found &= Trait.KILLED
    if status.phase == "Failed":
        return found | Trait.FAILED if status.reason else found
    return found if is_deleted or status.phase == "Succeeded" else _with_condition_traits(found, pod)


def _state_traits(state: ContainerState) -> Trait:
    if state.terminated is not None:
        if is_killed(state.terminated):
            return Trait.KILLED
        return Trait.START_FAILED if state.terminated.reason in START_FAILED else NO_TRAITS
    if state.waiting is not None and state.waiting.reason in START_FAILED:
        return Trait.START_FAILED
    return NO_TRAITS


def _with_condition_traits(found: Trait, pod: Pod) -> Trait:
    sandbox_ready: bool | None = None
    for condition in pod.status.conditions:
        if condition.type not in _TELLING_CONDITIONS:
            continue
        if condition.type in SANDBOX_CONDITIONS:
            sandbox_ready = condition.status == "True"
        elif condition.type != "PodScheduled":
            found |= Trait.RESIZING
        elif condition.status == "False":
            found |= Trait.UNSCHEDULED
    if pod.status.resize:
        found |= Trait.RESIZING
    if pod.spec.node_name and not (has_begun(pod) if sandbox_ready is None else sandbox_ready):
        found |= Trait.STARTING
    return found


def has_begun(pod: Pod) -> bool:
    """Whether any container has got as far as to run, end or fail on its own: then there is, or was, a sandbox."""
    for statuses in (pod.status.container_statuses, pod.status.init_container_statuses):
        for status in statuses:
            state = status.state
            if state.running is not None or state.terminated is not None or status.last_state.terminated is not None:
                return True
            if state.waiting is not None and state.waiting.reason not in BEFORE_START:
                return True
    return pod.status.phase == "Running"


def may_be_resized(pod: Pod) -> bool:
    """Whether its sandbox may have started under another limit than the one that stands there now. Once a resize is
    done, spec and status agree again; the generation of a pod grows with every change of its spec (Kubernetes 1.33).
    https://kubernetes.io/docs/concepts/workloads/pods/#pod-generation
    """
    return pod.metadata.generation > 1


def _spec_traits(pod: Pod, small_below: int) -> Trait:
    spec = pod.spec
    found = _resources_traits(spec.resources, small_below)
    for containers in (spec.containers, spec.init_containers):
        for container in containers:
            given = _resources_traits(container.resources, small_below)
            if given is not NO_TRAITS:
                found |= given
    return found


def _resources_traits(resources: ResourceRequirements, small_below: int) -> Trait:
    return _memory_traits(resources.limits.get("memory"), resources.requests.get("memory"), small_below)


@lru_cache(quantity.DIFFERENT_TEXTS)
def _memory_traits(limit: str | None, request: str | None, small_below: int) -> Trait:
    found = NO_TRAITS
    if limit is not None and _is_small(limit, small_below):
        found |= Trait.SMALL_LIMIT
    if not all(_is_whole(text) for text in (limit, request) if text is not None):
        found |= Trait.FRACTIONAL
    return found


def _is_small(limit: str, small_below: int) -> bool:
    try:
        return 0 < quantity.value(limit) < small_below
    except quantity.QuantityError:
        return False


def _is_whole(text: str) -> bool:
    try:
        return quantity.is_whole(text)
    except quantity.QuantityError:
        return True


class SandboxError(Struct, frozen=True):
    """One kind of FailedCreatePodSandBox message and what it proves by itself."""

    events: EventGroup
    failure: RuntimeFailure


class Siblings(Struct, frozen=True):
    """The pods of one controller that were seen, and how many of them have an OOM-killed container."""

    total: int = 1
    oom_killed: int = 0


ALONE = Siblings()


@dataclass(frozen=True)
class ClusterContext:
    """What was read beside the pods. `unreadable` maps a resource's name to the reason why it could not be read."""

    now: datetime
    nodes: Mapping[str, Node] = field(default_factory=dict)
    pod_events: Mapping[str, list[Event]] = field(default_factory=dict)
    """By the pod's uid; events without a uid by "namespace/name"."""
    node_events: Mapping[str, list[Event]] = field(default_factory=dict)
    owner_events: Mapping[str, list[Event]] = field(default_factory=dict)
    """FailedCreate and the like on workloads, by namespace."""
    limit_ranges: Mapping[str, list[LimitRange]] = field(default_factory=dict)
    runtime_handlers: Mapping[str, str] = field(default_factory=dict)
    """RuntimeClass name -> handler."""
    requested: Mapping[str, int] | None = None
    """Node -> sum of its pods' memory requests in bytes; None when not all pods were seen."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    minimum_bytes: int | None = None
    """The user's own figure instead of the measured table."""
    measured: tuple[Measurement, ...] = ()
    """Measured on the cluster's own nodes."""
    node_evidence: EvidenceIndex = field(default_factory=EvidenceIndex)
    """What kernels, kubelets, runtimes and counters of nodes say."""
    usages: Mapping[ContainerKey, Usage] = field(default_factory=dict)
    """What is known of the use of the containers that were asked about."""
    near_limit: float | None = None
    """From which share of its limit (0 to 1) a container counts as near it; None where nobody asked."""

    @property
    def small_below(self) -> int:
        """Limits under it (bytes) are small enough to be looked at."""
        return small_below(self.minimum_bytes, self.measured)


@dataclass(frozen=True)
class PodContext:
    """One pod and what was read about it."""

    pod: Pod
    cluster: ClusterContext
    bounds: ClusterBounds | None = None
    siblings: Siblings = ALONE

    @cached_property
    def traits(self) -> Trait:
        seen = self.node_evidence.kills or any(entry.oom_events for entry in self.node_evidence.counters)
        found = traits(self.pod, self.cluster.small_below) | (Trait.SEEN_KILLED if seen else Trait.NONE)
        return found | (Trait.NEAR_LIMIT if self._is_near_limit() else Trait.NONE)

    def _is_near_limit(self) -> bool:
        share = self.cluster.near_limit
        if share is None:
            return False
        spec = self.pod.spec
        found = ((entry.name, self.usage(entry.name)) for entry in (*spec.containers, *spec.init_containers))
        used = {name: usage.now_bytes for name, usage in found if usage is not None and usage.now_bytes is not None}
        return is_near_limit(self.pod, share, used)

    def usage(self, container: str) -> Usage | None:
        metadata = self.pod.metadata
        return self.cluster.usages.get((metadata.namespace, metadata.name, container))

    @cached_property
    def node_evidence(self) -> PodEvidence:
        return self.cluster.node_evidence.of(self.pod)

    @property
    def now(self) -> datetime:
        return self.cluster.now

    @property
    def name(self) -> str:
        return f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"

    @cached_property
    def events(self) -> tuple[EventGroup, ...]:
        """Only this pod's: an earlier pod of the same name has another uid. Newest first."""
        return group_events(self.own_events)

    @cached_property
    def own_events(self) -> list[Event]:
        """A static pod's events carry its config hash as uid, since the kubelet does not wait for the mirror pod."""
        return [
            event for uid in sorted(pod_uids(self.pod) | {self.name}) for event in self.cluster.pod_events.get(uid, ())
        ]

    def events_of(self, *reasons: str) -> tuple[EventGroup, ...]:
        return tuple(group for group in self.events if group.reason in reasons)

    @cached_property
    def node(self) -> Node | None:
        return self.cluster.nodes.get(self.pod.spec.node_name)

    @cached_property
    def limit(self) -> PodLimit:
        kubelet_version = self.node.status.node_info.kubelet_version if self.node else ""
        return pod_memory_limit(self.pod, kubelet_version)

    def container_limit(self, name: str) -> ContainerLimit | None:
        return container_memory_limit(self.pod, name)

    @property
    def limit_ranges(self) -> list[LimitRange]:
        return list(self.cluster.limit_ranges.get(self.pod.metadata.namespace, ()))

    @cached_property
    def handler(self) -> str | None:
        name = self.pod.spec.runtime_class_name
        return self.cluster.runtime_handlers.get(name, name) if name else None

    @cached_property
    def sandbox_condition(self) -> Condition | None:
        return self.pod.status.condition(*SANDBOX_CONDITIONS)

    @cached_property
    def sandbox_errors(self) -> tuple[SandboxError, ...]:
        """The current trouble only: failures within RECENT_FAILURES of the newest, newest first."""
        groups = [group for group in self.events if group.reason in SANDBOX_REASONS]
        if not groups:
            return ()
        newest = groups[0].last
        return tuple(
            SandboxError(group, read_runtime_error(group.message))
            for group in groups
            if newest is None or group.last is None or newest - group.last <= RECENT_FAILURES
        )

    @cached_property
    def minimum(self) -> SandboxMinimum:
        return sandbox_minimum(
            self.node,
            handler=self.handler,
            failures=tuple(error.failure for error in self.sandbox_errors),
            bounds=self.bounds,
            measured=self.cluster.measured,
            override_bytes=self.cluster.minimum_bytes,
            cgroup_version=self.cluster.node_evidence.whole.cgroup_versions.get(self.pod.spec.node_name),
        )

    @cached_property
    def ends(self) -> tuple[ContainerEnd, ...]:
        return tuple(container_ends(self.pod))

    def waiting_since(self) -> timedelta:
        """How long the sandbox has not been ready: since the condition turned, else since the pod was made."""
        condition = self.sandbox_condition
        since = condition.last_transition_time if condition else None
        since = since or self.pod.status.start_time or self.pod.metadata.creation_timestamp
        return self.now - since if since else timedelta.max

    def statuses(self) -> Iterator[ContainerStatus]:
        status = self.pod.status
        yield from status.container_statuses
        yield from status.init_container_statuses
        yield from status.ephemeral_container_statuses

    def involved(self, field_path: str | None = None) -> InvolvedObject:
        metadata = self.pod.metadata
        return InvolvedObject(
            kind="Pod",
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid or None,
            field_path=field_path,
        )

    def pod_memory(self) -> Memory:
        """The pod-level limit against the sandbox's minimum."""
        limit = self.limit
        return Memory(
            limit_bytes=limit.limit_bytes,
            limit_quantity=limit.quantity,
            limit_source=limit.source.value if limit.source else None,
            minimum_bytes=self.minimum.high_bytes,
        )

    def evidence(self, field_name: str, value: str, time: datetime | None = None) -> Evidence:
        """Something that stands in the pod itself."""
        return Evidence(source="pod", object=f"pod/{self.pod.metadata.name}", field=field_name, value=value, time=time)


@dataclass(frozen=True)
class NodeContext:
    """One node and what was read about it."""

    node: Node
    cluster: ClusterContext

    @cached_property
    def events(self) -> tuple[EventGroup, ...]:
        return group_events(self.cluster.node_events.get(self.node.metadata.name, ()))


@dataclass(frozen=True)
class NamespaceContext:
    """One namespace: its LimitRanges and the events on its workloads."""

    name: str
    cluster: ClusterContext

    @property
    def limit_ranges(self) -> Iterable[LimitRange]:
        return self.cluster.limit_ranges.get(self.name, ())

    @property
    def owner_events(self) -> Iterable[Event]:
        return self.cluster.owner_events.get(self.name, ())
