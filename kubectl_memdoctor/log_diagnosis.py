"""Logs and listings of nodes, by themselves or with a recording of the cluster, to a report.

Without a recording a pod is what the logs call it, and what they prove of it is all that there is. With one, every pod
that the logs tell of goes through the rules; those that are not in it are treated as if there were none.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from kubectl_memdoctor import node_ooms
from kubectl_memdoctor.cluster.source import NotRecorded, Source
from kubectl_memdoctor.context import ClusterContext
from kubectl_memdoctor.diagnosis import NODE_LOG, NodeLook, counts, diagnose_namespaces
from kubectl_memdoctor.evidence.node_evidence import KernelKill, NodeEvidence
from kubectl_memdoctor.evidence.pod_join import EvidenceIndex, container_ids, pod_uids, same_host
from kubectl_memdoctor.examination import worst_first
from kubectl_memdoctor.finding import (
    Cluster,
    Diagnosis,
    Finding,
    LogFacts,
    NotChecked,
    Note,
    PodNotes,
    Report,
    Summary,
)
from kubectl_memdoctor.log_findings import log_findings
from kubectl_memdoctor.logged_pods import LoggedPod, evidence_of, joined, logged_pods, short
from kubectl_memdoctor.measured_minimum import Measurement
from kubectl_memdoctor.objects import PODS, Pod
from kubectl_memdoctor.pod_facts import pod_status
from kubectl_memdoctor.pod_notes import ids_in, notes_outside, pod_notes
from kubectl_memdoctor.selection import Selection

STANDARD_INPUT = "-"
"""As a name: it can be read only once."""
UNKNOWN_NODE = "unknown"
"""That no log names, in a log without a name."""
UNDECIDED = (
    "undecided: what these logs tell of pods fits more than one cause; the pod's memory limit (-f) or the node's kernel"
    " log would decide"
)
NO_POD = "no pod is concerned: what was killed is in no pod that these logs name"
NOTHING = "nothing about memory found in these logs"
NOT_RECORDED = "not in the recording"


class Logs(Struct, frozen=True):
    """What was read. `files`: what each of them was; `problems`: a line for each, or part of it, that could not be
    read; `names`: as they were given."""

    evidence: NodeEvidence
    files: tuple[Note, ...]
    problems: tuple[str, ...]
    names: tuple[str, ...]


def diagnose_logs(
    logs: Logs,
    *,
    now: datetime,
    minimum_bytes: int | None = None,
    measured: tuple[Measurement, ...] | None = None,
) -> Diagnosis:
    """The logs alone. The report was taken at their newest time; `now` where they have none."""
    evidence = joined(logs.evidence)
    taken_at = newest_time(evidence) or now
    cluster = ClusterContext(
        now=taken_at, minimum_bytes=minimum_bytes, measured=measured or (), node_evidence=EvidenceIndex(evidence)
    )
    pods = logged_pods(evidence)
    findings = _worst_first(_found_again(finding, logs.names) for finding in _by_logs(pods, cluster))
    report = Report(
        cluster=Cluster(recording=", ".join(logs.names)),
        taken_at=taken_at,
        summary=Summary(len(pods), len(_hosts(evidence)), counts(findings)),
        findings=findings,
        not_checked=tuple(NotChecked(resource=NODE_LOG, reason=problem) for problem in logs.problems),
    )
    notes = [_logged_notes(pod, cluster, "") for pod in pods]
    outside = tuple(notes_outside(evidence, ids_in(evidence)))
    return Diagnosis(report, logs=_facts(logs, _in_order(notes, findings), outside))


def diagnose_logs_with(
    logs: Logs,
    source: Source,
    *,
    minimum_bytes: int | None = None,
    measured: tuple[Measurement, ...] | None = None,
) -> Diagnosis:
    """The pods of a recording that the logs tell of, by all rules. Raises AccessError when it cannot be read."""
    evidence = joined(logs.evidence)
    look = NodeLook(evidence, logs.problems)
    whole = diagnose_namespaces(
        source, Selection(), minimum_bytes=minimum_bytes, measured=measured, nodes_look=look
    ).report
    cluster = ClusterContext(
        now=whole.taken_at, minimum_bytes=minimum_bytes, measured=measured or (), node_evidence=EvidenceIndex(evidence)
    )
    recorded = _told_of(source, evidence)
    unlisted = tuple(pod for pod in logged_pods(evidence) if not any(pod.key in _keys(known) for known in recorded))
    by_rules = [finding for finding in whole.findings if _is_told_of(finding, recorded, evidence)]
    findings = _worst_first((*by_rules, *_by_logs(unlisted, cluster)))
    summary = Summary(len(recorded) + len(unlisted), whole.summary.nodes, counts(findings))
    report = msgspec.structs.replace(whole, findings=findings, summary=summary)
    notes = [_recorded_notes(pod, cluster) for pod in recorded]
    notes += [_logged_notes(pod, cluster, NOT_RECORDED) for pod in unlisted]
    known_ids = ids_in(evidence) | {name for pod in recorded for name in container_ids(pod)}
    outside = tuple(notes_outside(evidence, known_ids))
    return Diagnosis(report, logs=_facts(logs, _in_order(notes, findings), outside))


def _facts(logs: Logs, of_pods: Sequence[PodNotes], outside: Sequence[PodNotes]) -> LogFacts:
    verdict = UNDECIDED if of_pods else NO_POD if outside else NOTHING
    return LogFacts(verdict, logs.files, (*of_pods, *outside))


def newest_time(evidence: NodeEvidence) -> datetime | None:
    """Of all that was read; local times only where there are no others."""
    found = [*_times(evidence)]
    known = [time for time, zone_known in found if zone_known]
    return max(known or (time for time, _ in found), default=None)


def _times(evidence: NodeEvidence) -> Iterator[tuple[datetime, bool]]:
    """Each with whether its zone is known."""
    yield from ((kill.time, kill.zone_known) for kill in evidence.kills if kill.time)
    yield from ((entry.last, entry.zone_known) for entry in evidence.allocation_failures if entry.last)
    yield from ((entry.last, entry.zone_known) for entry in evidence.sandbox_failures if entry.last)
    yield from ((span.last, span.zone_known) for span in evidence.spans if span.last)
    yield from ((oom.time, oom.line is None or oom.line.zone_known) for oom in evidence.kubelet_ooms if oom.time)
    yield from ((oom.time, oom.line is None or oom.line.zone_known) for oom in evidence.runtime_ooms if oom.time)


def _by_logs(pods: Iterable[LoggedPod], cluster: ClusterContext) -> Iterator[Finding]:
    for pod in pods:
        yield from log_findings(pod, cluster)
    by_node: dict[str, list[KernelKill]] = {}
    for kill in node_ooms.kills_of_no_pod(cluster.node_evidence.whole):
        by_node.setdefault(kill.node or _file(kill), []).append(kill)
    for node, kills in by_node.items():
        yield node_ooms.by_kernel(node, kills, cluster)


def _file(kill: KernelKill) -> str:
    """What a node is called that no log names."""
    return next((line.file for line in kill.lines if line.file), UNKNOWN_NODE)


def _hosts(evidence: NodeEvidence) -> set[str]:
    hosts = {kill.node for kill in evidence.kills} | {entry.node for entry in evidence.allocation_failures}
    hosts |= {entry.node for entry in evidence.sandbox_failures}
    return (hosts | {span.node for span in evidence.spans}) - {""}


def _worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=worst_first))


def _found_again(finding: Finding, names: Sequence[str]) -> Finding:
    """With the command that looks at the pod itself, where its limit is written."""
    involved, remedy = finding.involved_object, finding.remedy
    if remedy is None or involved.kind != "Pod" or STANDARD_INPUT in names:
        return finding
    pod = ("pod", involved.name, "-n", involved.namespace) if involved.namespace else ("ns", "--all")
    words = ("kubectl", "memdoctor", *pod, *(word for name in names for word in ("--node-log", name)))
    text = f"{remedy.text} While the pod is there, the command shows where that is and how to change it."
    remedy = msgspec.structs.replace(remedy, text=text, command=shlex.join(words))
    return msgspec.structs.replace(finding, remedy=remedy)


def _told_of(source: Source, evidence: NodeEvidence) -> list[Pod]:
    """The pods of the recording in which something was killed, or whose sandbox fails."""
    keys = {pod.key for pod in logged_pods(evidence)}
    ids = {short(oom.container_id) for oom in evidence.runtime_ooms}
    try:
        pods = (pod for page in source.list(PODS) for pod in page.items)
        return [pod for pod in pods if keys & _keys(pod) or ids & set(map(short, container_ids(pod)))]
    except NotRecorded:
        return []


def _keys(pod: Pod) -> set[str]:
    return {*pod_uids(pod), _title(pod)}


def _title(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _is_told_of(finding: Finding, recorded: Iterable[Pod], evidence: NodeEvidence) -> bool:
    involved = finding.involved_object
    if involved.kind == "Node":
        return any(same_host(involved.name, host) for host in _hosts(evidence))
    return involved.kind == "Pod" and f"{involved.namespace}/{involved.name}" in map(_title, recorded)


def _recorded_notes(pod: Pod, cluster: ClusterContext) -> PodNotes:
    notes = pod_notes(cluster.node_evidence.of(pod), container_ids(pod))
    return PodNotes(_title(pod), f"uid {pod.metadata.uid}, {pod_status(pod)}", notes)


def _logged_notes(pod: LoggedPod, cluster: ClusterContext, remark: str) -> PodNotes:
    notes = pod_notes(evidence_of(pod, cluster.node_evidence), {})
    return PodNotes(pod.title, ", ".join(filter(None, (pod.called, remark))), notes)


def _in_order(notes: Iterable[PodNotes], findings: Sequence[Finding]) -> list[PodNotes]:
    """As the findings come, worst first; then those without."""
    involved = [finding.involved_object for finding in findings]
    titles = [f"{entry.namespace}/{entry.name}" if entry.namespace else entry.name for entry in involved]
    places = {title: place for place, title in reversed([*enumerate(titles)])}
    return sorted(notes, key=lambda entry: (places.get(entry.title, len(places)), entry.title))
