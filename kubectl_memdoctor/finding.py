"""Findings and the report: what is printed, in the names and order in which it is printed.

The JSON form (`-o json`, `-o yaml`) is this module's structs as they stand: apiVersion memdoctor.dev/v1, camelCase,
a field that does not apply is absent. docs/report.schema.json describes it. Sizes are bytes, times are RFC 3339.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

API_VERSION = "memdoctor.dev/v1"


class Severity(StrEnum):
    """How bad it is for the user, independent of how sure the program is."""

    CRITICAL = "critical"
    """Cannot start, or keeps dying now."""
    WARNING = "warning"
    """Happened, or will at the next start."""
    INFO = "info"
    """Context, or memory ruled out."""


SEVERITIES = tuple(Severity)
"""Worst first."""


class Confidence(StrEnum):
    """How sure the program is of the cause."""

    CONFIRMED = "confirmed"
    """Words that mean only this, or arithmetic that leaves nothing else."""
    LIKELY = "likely"
    """Symptom and limit agree."""
    POSSIBLE = "possible"
    """Only the limit speaks, or it lies where runtimes differ."""


CONFIDENCES = tuple(Confidence)
"""Surest first."""


class Printed(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Base: camelCase, defaults left out."""


class InvolvedObject(Printed, frozen=True, kw_only=True):
    """What a finding is about; `field_path` as in events: `spec.containers{app}`."""

    kind: str
    namespace: str | None = None
    name: str
    uid: str | None = None
    field_path: str | None = None


class Owner(Printed, frozen=True, kw_only=True):
    """The object that holds the pod template, as far up as it can be changed: Deployment rather than ReplicaSet."""

    kind: str
    namespace: str
    name: str


class Memory(Printed, frozen=True, kw_only=True):
    """The limit in force (bytes, and as written), where it comes from, and the minimum it is held against."""

    limit_bytes: int | None = None
    limit_quantity: str | None = None
    limit_source: str | None = None
    """containers, pod or limitRange."""
    request_bytes: int | None = None
    minimum_bytes: int | None = None


class Evidence(Printed, frozen=True, kw_only=True):
    """One thing that was seen. `source`: pod, event, node, lab, limitRange, owner; kernel, kubelet, runtime, cadvisor,
    metrics where the node was asked or its logs were given: `field` is then the log's file and line, or the counter's
    name. A repeated event is one entry with its `count` and `first_time`."""

    source: str
    object: str | None = None
    field: str | None = None
    value: str
    count: int | None = None
    first_time: datetime | None = None
    time: datetime | None = None


class RuledOut(Printed, frozen=True, kw_only=True):
    """A cause that the facts exclude."""

    cause: str
    because: str


class MemoryChange(Printed, frozen=True, kw_only=True):
    """The change that mends: new quantities for one container, or for the pod as a whole (`container` absent)."""

    container: str | None = None
    limit: str | None = None
    request: str | None = None


class Remedy(Printed, frozen=True, kw_only=True):
    """What to do. `command` is complete and can be pasted; `patch` is the same change as a strategic merge patch of the
    finding's owner; `rollback` is the command that goes back to the revision before."""

    text: str
    command: str | None = None
    patch: dict[str, Any] | None = None
    changes: tuple[MemoryChange, ...] = ()
    rollback: str | None = None


class Finding(Printed, frozen=True, kw_only=True):
    """One cause on one object. `details` are the sentences under the headline, in reading order."""

    context: str | None = None
    """Of several clusters, the one that it is about."""
    rule: str
    severity: Severity
    confidence: Confidence
    involved_object: InvolvedObject
    owner: Owner | None = None
    node: str | None = None
    """The node that the pod is on."""
    message: str
    details: tuple[str, ...] = ()
    memory: Memory | None = None
    evidence: tuple[Evidence, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    remedy: Remedy | None = None


LOOKED_WITHOUT = " (looked without it)"
"""Ends the reason of a NotChecked whose rule did look, less sure than it would have been."""


class NotChecked(Printed, frozen=True, kw_only=True):
    """What could not be looked at: `rule` is absent when the resource concerns the run as a whole."""

    context: str | None = None
    rule: str | None = None
    resource: str
    reason: str


class Cluster(Printed, frozen=True, kw_only=True):
    server: str | None = None
    version: str | None = None
    context: str | None = None
    recording: str | None = None


class Summary(Struct, frozen=True, rename="camel"):
    pods: int
    nodes: int
    findings: dict[str, int]


class Report(Struct, frozen=True, rename="camel", kw_only=True):
    """Everything one run found. Findings come worst first, then by namespace and name."""

    api_version: str = API_VERSION
    kind: str = "Report"
    cluster: Cluster
    taken_at: datetime
    summary: Summary
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = field(default=())


class ReportSummary(Struct, frozen=True, rename="camel", kw_only=True):
    """The last line of `-o jsonl`: the report without its findings, each of which has a line of its own before it."""

    api_version: str = API_VERSION
    kind: str = "ReportSummary"
    cluster: Cluster
    taken_at: datetime
    complete: bool
    summary: Summary
    not_checked: tuple[NotChecked, ...] = field(default=())


class CheckedCluster(Struct, frozen=True, rename="camel", kw_only=True):
    """One of several clusters, as far as it was looked at."""

    cluster: Cluster
    taken_at: datetime
    complete: bool
    summary: Summary


class ClustersReport(Struct, frozen=True, rename="camel", kw_only=True):
    """Everything one run found in several clusters; worst finding first, whichever cluster it is in. A cluster that
    could not be looked at is just a NotChecked of the resource CLUSTER."""

    api_version: str = API_VERSION
    kind: str = "ClustersReport"
    clusters: tuple[CheckedCluster, ...]
    taken_at: datetime
    summary: Summary
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = field(default=())


class ClustersReportSummary(Struct, frozen=True, rename="camel", kw_only=True):
    """The last line of `-o jsonl` where several clusters were looked at."""

    api_version: str = API_VERSION
    kind: str = "ClustersReportSummary"
    clusters: tuple[CheckedCluster, ...]
    taken_at: datetime
    complete: bool
    summary: Summary
    not_checked: tuple[NotChecked, ...] = field(default=())


AnyReport = Report | ClustersReport

CLUSTER = "cluster"
"""As the resource of a NotChecked: a whole cluster."""


def clock(report: AnyReport) -> Callable[[str | None], datetime]:
    """What "now" is for a finding of this context: each cluster goes by its own clock."""
    if isinstance(report, Report):
        return lambda context: report.taken_at
    times = {entry.cluster.context: entry.taken_at for entry in report.clusters}
    return lambda context: times.get(context, report.taken_at)


class Termination(Struct, frozen=True):
    """One known end of a container. `lasted_seconds` is None when the start is not known."""

    container: str
    reason: str
    exit_code: int
    finished_at: datetime | None
    lasted_seconds: int | None


class TimeLineEntry(Struct, frozen=True):
    """Something that happened, `count` times from `time` to `until`. `source`: event, status, kernel, kubelet ..."""

    time: datetime
    source: str
    text: str
    count: int = 1
    until: datetime | None = None


class TimeLine(Struct, frozen=True):
    """Oldest first, by the node's clock, which is `skew_seconds` ahead of the API server's (0: about the same)."""

    entries: tuple[TimeLineEntry, ...]
    skew_seconds: int = 0


class PodFacts(Struct, frozen=True):
    """What the `pod` page says of a pod beside its findings. Not part of the JSON report."""

    namespace: str
    name: str
    status: str
    """kubectl's STATUS column: Running, ContainerCreating, CrashLoopBackOff ..."""
    ready: str
    """kubectl's READY column: 1/2."""
    node: str
    qos_class: str
    limit: str
    """One line: the pod-level limit as written and in bytes and where it comes from, or why there is none."""
    minimum: str
    """One line: what a sandbox needs on this node, and how that is known."""
    terminations: tuple[Termination, ...]
    warning: Evidence | None
    """The newest Warning event of a pod that is not well."""
    time_line: TimeLine | None = None
    """Across all sources, where the node's logs were read."""


class Note(Struct, frozen=True):
    """What one source tells, `count` times (or more) from `first` to `last`: the node's local times where its log names
    no zone. `source`: kernel, kubelet, containerd, cri-o, docker, runtime, cadvisor, status, event."""

    source: str
    text: str
    count: int = 1
    first: datetime | None = None
    last: datetime | None = None
    zone_known: bool = True
    or_more: bool = False


class PodNotes(Struct, frozen=True):
    """What a node's sources tell of kills and failing sandboxes in one pod, or outside of pods."""

    title: str
    """namespace/name; the uid of a pod that nothing names; words for what is no pod."""
    remark: str
    """What is to be known of the pod itself: its uid where the title is a name, that it is deleted."""
    notes: tuple[Note, ...]


class NodeFacts(Struct, frozen=True):
    """What the `node` page says of a node beside its findings, most of it in one line each. Not part of the report."""

    name: str
    conditions: str
    capacity: str
    requests: str
    """What its pods request of its allocatable memory."""
    limits: str
    """What its pods may use at most, and how many have no limit."""
    use: str
    """What is in use now, and how that is known."""
    versions: str
    """Runtime, kubelet, kernel, architecture, cgroup version."""
    minimum: str
    """What a sandbox needs on this node, and how that is known."""
    events: tuple[Note, ...]
    """Of the node, as far as they are about memory."""
    evictions: tuple[Note, ...]
    small_limits: tuple[str, ...]
    """A line for each pod whose limit is under the sandbox's minimum."""
    pods: tuple[PodNotes, ...]


class LogFacts(Struct, frozen=True):
    """What the `logs` page says beside its findings. Not part of the report."""

    verdict: str
    """The headline where there is no finding."""
    files: tuple[Note, ...]
    """What each file was: `source` is its name."""
    pods: tuple[PodNotes, ...]


class Diagnosis(Struct, frozen=True):
    """What the commands print: the report, and the facts of what was asked for: of pods, nodes, logs.

    `errors` are lines for stderr about names that do not exist, while others do.
    """

    report: AnyReport
    pods: tuple[PodFacts, ...] = ()
    errors: tuple[str, ...] = ()
    nodes: tuple[NodeFacts, ...] = ()
    logs: LogFacts | None = None
    is_interrupted: bool = False
    """Whether somebody ended the run before all was looked at."""
