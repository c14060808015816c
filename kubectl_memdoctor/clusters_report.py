"""What was found in several clusters, as one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from kubectl_memdoctor.examination import worst_first
from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.finding import (
    CLUSTER,
    SEVERITIES,
    CheckedCluster,
    Cluster,
    ClustersReport,
    Diagnosis,
    Finding,
    NotChecked,
    Report,
    Summary,
)
from kubectl_memdoctor.objects import NAMESPACES


class Look(Struct, frozen=True):
    """What came of one context: a diagnosis of its cluster, or the reason why there is none.

    `missing` are the lines about namespaces that do not exist there, where that is the reason; `told` are findings that
    were shown before the cluster went away, and stay true.
    """

    context: str
    diagnosis: Diagnosis | None = None
    reason: str = ""
    missing: tuple[str, ...] = ()
    told: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.diagnosis.report.findings if self.diagnosis else self.told


def in_context(finding: Finding, context: str) -> Finding:
    return msgspec.structs.replace(finding, context=context)


def merged(looks: Sequence[Look], *, is_interrupted: bool = False) -> Diagnosis:
    """One report of all clusters that were looked at; the others are not checked. Findings name their context already.

    A namespace that does not exist is an error only where no cluster has it. Raises CouldNotLook, with a line for each
    context, where none could be looked at.
    """
    checked = [(look.context, look.diagnosis) for look in looks if look.diagnosis is not None]
    if not checked:
        raise CouldNotLook("\n".join(f"{look.context}: {look.reason}" for look in looks))
    nowhere = _missing_everywhere(looks)
    clusters = tuple(_checked(context, diagnosis) for context, diagnosis in checked)
    findings = sorted((finding for look in looks for finding in look.findings), key=worst_first)
    report = ClustersReport(
        clusters=clusters,
        taken_at=max(cluster.taken_at for cluster in clusters),
        summary=_sum((cluster.summary for cluster in clusters), findings),
        findings=tuple(findings),
        not_checked=tuple(entry for look in looks for entry in _not_checked(look, nowhere)),
    )
    ended_early = is_interrupted or not all(cluster.complete for cluster in clusters)
    return Diagnosis(report, errors=nowhere, is_interrupted=ended_early)


def _checked(context: str, diagnosis: Diagnosis) -> CheckedCluster:
    report = diagnosis.report
    cluster = report.cluster if isinstance(report, Report) else Cluster()
    return CheckedCluster(
        # In a pod, what a context leaves open is the pod's own cluster, which has no name.
        cluster=msgspec.structs.replace(cluster, context=context),
        taken_at=report.taken_at,
        complete=not diagnosis.is_interrupted,
        summary=report.summary,
    )


def _sum(summaries: Iterable[Summary], findings: Iterable[Finding]) -> Summary:
    pods = nodes = 0
    for summary in summaries:
        pods += summary.pods
        nodes += summary.nodes
    counts = Counter(finding.severity for finding in findings)
    return Summary(pods, nodes, {str(severity): counts[severity] for severity in SEVERITIES})


def _missing(look: Look) -> tuple[str, ...]:
    return look.diagnosis.errors if look.diagnosis else look.missing


def _missing_everywhere(looks: Iterable[Look]) -> tuple[str, ...]:
    """Lines that every cluster says that was asked for the namespaces."""
    said = [_missing(look) for look in looks if look.diagnosis or look.missing]
    return tuple(line for line in said[0] if all(line in lines for lines in said))


def _not_checked(look: Look, nowhere: Sequence[str]) -> Iterator[NotChecked]:
    missing = [line for line in _missing(look) if line not in nowhere]
    yield from (NotChecked(context=look.context, resource=NAMESPACES.name, reason=line) for line in missing)
    if look.diagnosis is None and not look.missing:
        yield NotChecked(context=look.context, resource=CLUSTER, reason=look.reason)
    if look.diagnosis is not None:
        entries = look.diagnosis.report.not_checked
        yield from (msgspec.structs.replace(entry, context=look.context) for entry in entries)


def of_context(context: str, diagnosis: Diagnosis, findings: Iterable[Finding]) -> Look:
    """`findings` are the diagnosis' own, with their context."""
    report = msgspec.structs.replace(diagnosis.report, findings=tuple(findings))
    return Look(context, msgspec.structs.replace(diagnosis, report=report))
