"""What was read on nodes: kernel kills, kubelet and runtime errors, counters, and how far each log reaches.

These are the records that the readers of logs and metrics make and that contexts hand to rules. Sizes are bytes, times
aware datetimes. Everything is found by pod uid and container id: names come back, uids do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level
from kubectl_memdoctor.evidence.log_line import LogLine, Writer

__all__ = [
    "LISTS",
    "AllocationFailures",
    "ContainerCounters",
    "ContainerUsage",
    "KernelKill",
    "KubeletOom",
    "Level",
    "LogSpan",
    "NodeEvidence",
    "PodEvidence",
    "RuntimeOom",
    "SandboxFailures",
    "SandboxListing",
    "Task",
    "VictimKind",
]


class VictimKind(StrEnum):
    """What a kill cost, as far as the victim's name and cgroup tell; main process or child stands in no kernel log."""

    RUNTIME_INIT = "runtime init"
    """The runtime's own process on its way to become a container: runc:[2:INIT], exe, crun ..."""
    PAUSE = "pause"
    """The sandbox's process."""
    PROCESS = "process"
    """A process of a container, or any other."""


class Task(Struct, frozen=True):
    """One row of the kernel's task table, or a victim as its kill line describes it."""

    pid: int
    name: str
    """The comm: at most 15 letters."""
    total_vm_bytes: int | None = None
    rss_bytes: int | None = None
    oom_score_adj: int | None = None


class KernelKill(Struct, frozen=True):
    """One report of the kernel's OOM killer. `victims` is empty where it found no killable process."""

    level: Level
    """Whose limit ran out: the container's, the pod's, a QoS class's, all pods', the node's memory."""
    oom_cgroup: CgroupPath | None
    """The cgroup whose limit it was; None for the node as a whole, or where the report does not say."""
    task_cgroup: CgroupPath | None
    """The victim's cgroup."""
    victims: tuple[Task, ...] = ()
    victim_kind: VictimKind = VictimKind.PROCESS
    invoker: str = ""
    """The process that asked for the memory: it need not be the victim."""
    usage_bytes: int | None = None
    limit_bytes: int | None = None
    """As the kernel prints it: 0 for a limit under one page. None: unlimited, or not printed."""
    failcnt: int | None = None
    kernel_memory_bytes: int | None = None
    """Kernel memory charged to the cgroup (kmem of cgroup v1)."""
    tasks: tuple[Task, ...] = ()
    """The task table, largest first, at most MOST_TASKS."""
    group: bool = False
    """memory.oom.group: all processes of the cgroup were killed."""
    no_killable: bool = False
    time: datetime | None = None
    zone_known: bool = True
    uptime_seconds: float | None = None
    node: str = ""
    """The node's name where it is known, else the log's host name."""
    whole: bool = True
    """Whether the report was read from its first line to its last."""
    lines: tuple[LogLine, ...] = ()
    """Those that prove it, as they stood: limit, cgroups, victim; at most MOST_LINES."""

    @property
    def pod_uid(self) -> str:
        """The pod in which it killed; "" when the victim was in none."""
        for cgroup in (self.task_cgroup, self.oom_cgroup):
            if cgroup is not None and cgroup.pod_uid:
                return cgroup.pod_uid
        return ""

    @property
    def container_id(self) -> str:
        """The container (or sandbox) whose process it killed; "" when that is not known."""
        return self.task_cgroup.container_id if self.task_cgroup else ""


MOST_TASKS = 20
MOST_LINES = 8


class AllocationFailures(Struct, frozen=True):
    """How often the kernel got no memory for itself that it would have charged to one cgroup (SLUB's reports before
    5.9, which name it). Nothing is killed then. Whether it was the cgroup's limit that was in the way or one above it,
    the lines do not say.
    """

    cgroup: CgroupPath
    """By its last name alone (read_cgroup_name): a container's does not say whose it is."""
    count: int = 1
    first: datetime | None = None
    last: datetime | None = None
    zone_known: bool = True
    node: str = ""
    lines: tuple[LogLine, ...] = ()
    """Of the newest report: what failed, and the cache that is named after the cgroup."""
    owner_uid: str = ""
    """The pod whose container it is, where other lines tell."""
    or_more: bool = False
    """Whether there were more cgroups than are kept, which may have been of the same pod."""

    @property
    def pod_uid(self) -> str:
        """Whose cgroup it is, "" where that is not known."""
        return self.cgroup.pod_uid or self.owner_uid


class KubeletOom(Struct, frozen=True):
    """The kubelet's own note of an OOM event in a cgroup, or ("/") of the node as a whole."""

    cgroup: CgroupPath | None
    """None: a system OOM."""
    time: datetime | None
    victim: str = ""
    node: str = ""
    line: LogLine | None = None


class SandboxFailures(Struct, frozen=True):
    """The failing sandboxes of one pod, as kubelet or runtime logged them, counted.

    `writer` is whose log it was: the same failure stands in the kubelet's and in the runtime's, so counts of different
    writers are never added up.
    """

    writer: Writer
    namespace: str = ""
    name: str = ""
    pod_uid: str = ""
    count: int = 1
    sandboxes: int = 0
    """Different sandbox ids among them; 0 where the lines name none."""
    first: datetime | None = None
    last: datetime | None = None
    zone_known: bool = True
    message: str = ""
    """The newest error, whole."""
    node: str = ""
    lines: tuple[LogLine, ...] = ()


class RuntimeOom(Struct, frozen=True):
    """The runtime heard of an OOM kill in a container (containerd's TaskOOM, CRI-O's and docker's oom)."""

    container_id: str
    time: datetime | None
    writer: Writer
    node: str = ""
    line: LogLine | None = None


class SandboxListing(Struct, frozen=True):
    """The sandboxes of one pod in `docker ps -a` or `crictl pods`, counted."""

    namespace: str
    name: str
    pod_uid: str
    count: int
    states: Mapping[str, int]
    """State as the listing words it (Created, Exited, Ready, NotReady) -> how many."""
    highest_attempt: int | None = None
    file: str = ""
    node: str = ""


class ContainerCounters(Struct, frozen=True):
    """cAdvisor's counters of one container's cgroup (container "" is the pod's own, POD the sandbox's)."""

    namespace: str
    pod: str
    container: str
    cgroup: CgroupPath | None
    oom_events: int | None = None
    """Kernel reports of an OOM kill whose victim was in this cgroup, at whatever cgroup's limit: one report where a
    whole group was killed, none where the node itself ran out. A kubelet has them from the kernel's ring buffer, which
    it reads anew when it starts. https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/kubelet/oom/oom_counter.go"""
    failcnt: int | None = None
    """How often the limit was hit. None where it never was, too: of cgroup v2 cAdvisor always says 0."""
    usage_bytes: int | None = None
    max_usage_bytes: int | None = None
    working_set_bytes: int | None = None
    limit_bytes: int | None = None
    """None where there is none."""
    node: str = ""


class ContainerUsage(Struct, frozen=True):
    """A container's use of memory now, as kubelet or metrics API have it. `source` is evidence's: metrics, kubelet."""

    namespace: str
    pod: str
    container: str
    working_set_bytes: int
    source: str
    pod_uid: str = ""
    time: datetime | None = None
    node: str = ""


class LogSpan(Struct, frozen=True):
    """How far one log reaches, and whether nothing is missing in between.

    `gaps` says in words why a kill may be missing all the same (rate-limited reports, a garbled part, a filter of the
    query); () when there is no known gap. Only spans of the kernel's writer can refute a kernel kill.
    """

    writer: Writer
    file: str
    node: str = ""
    first: datetime | None = None
    last: datetime | None = None
    zone_known: bool = True
    first_uptime_seconds: float | None = None
    last_uptime_seconds: float | None = None
    gaps: tuple[str, ...] = ()
    read_until: datetime | None = None
    """When it was read on the node itself: since its last line nothing had come until then."""


class NodeEvidence(Struct, frozen=True):
    """All that was read, of one node or of several."""

    kills: tuple[KernelKill, ...] = ()
    allocation_failures: tuple[AllocationFailures, ...] = ()
    kubelet_ooms: tuple[KubeletOom, ...] = ()
    sandbox_failures: tuple[SandboxFailures, ...] = ()
    runtime_ooms: tuple[RuntimeOom, ...] = ()
    listings: tuple[SandboxListing, ...] = ()
    counters: tuple[ContainerCounters, ...] = ()
    usages: tuple[ContainerUsage, ...] = ()
    spans: tuple[LogSpan, ...] = ()
    cgroup_versions: Mapping[str, int] = field(default_factory=dict)
    """Node -> 1 or 2, where the kubelet says so."""
    boots: Mapping[str, datetime] = field(default_factory=dict)
    """Node -> when it started, where something says so: turns a raw dmesg's uptime into a time."""
    kubelet_starts: Mapping[str, datetime] = field(default_factory=dict)
    """Node -> when its kubelet started, where it says so: a counter of 0 says nothing of the time before."""

    def __bool__(self) -> bool:
        return self != NodeEvidence()


def merged(parts: Iterable[NodeEvidence]) -> NodeEvidence:
    """Several nodes' or files' evidence as one. The same line read twice stays twice: `NodeEvidence` holds what was
    read, and contexts compare."""
    everything = tuple(parts)

    def joined(name: str) -> tuple[object, ...]:
        return tuple(entry for part in everything for entry in getattr(part, name))

    lists = {name: joined(name) for name in LISTS}
    versions = {node: version for part in everything for node, version in part.cgroup_versions.items()}
    boots = {node: boot for part in everything for node, boot in part.boots.items()}
    starts = {node: start for part in everything for node, start in part.kubelet_starts.items()}
    return NodeEvidence(**lists, cgroup_versions=versions, boots=boots, kubelet_starts=starts)  # type: ignore[arg-type]


def read_whole(evidence: NodeEvidence, until: datetime) -> NodeEvidence:
    """Of a log that was read on its node up to its end, at that time."""
    return replace(evidence, spans=tuple(replace(span, read_until=until) for span in evidence.spans))


LISTS = (
    "kills",
    "allocation_failures",
    "kubelet_ooms",
    "sandbox_failures",
    "runtime_ooms",
    "listings",
    "counters",
    "usages",
    "spans",
)
"""NodeEvidence's fields whose entries are of one node each."""


class PodEvidence(Struct, frozen=True):
    """The part of a NodeEvidence that is about one pod (by uid; listings and counters also by name), and the spans of
    the logs of its node."""

    kills: tuple[KernelKill, ...] = ()
    node_kills: tuple[KernelKill, ...] = ()
    """Of the pod's node, at a level above the pod, whoever was the victim."""
    allocation_failures: tuple[AllocationFailures, ...] = ()
    kubelet_ooms: tuple[KubeletOom, ...] = ()
    sandbox_failures: tuple[SandboxFailures, ...] = ()
    runtime_ooms: tuple[RuntimeOom, ...] = ()
    listings: tuple[SandboxListing, ...] = ()
    counters: tuple[ContainerCounters, ...] = ()
    usages: tuple[ContainerUsage, ...] = ()
    kernel_spans: tuple[LogSpan, ...] = ()

    def counters_of(self, container: str) -> Iterator[ContainerCounters]:
        return (entry for entry in self.counters if entry.container == container)
