"""`-o prometheus`: the report as metrics, in the text format that Prometheus, node-exporter and Pushgateway read.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
Findings are counted by workload: pods come and go, and each of their names would be a new series. Only a pod that
nothing controls is named itself. Of several clusters, each series has its context as a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.finding import (
    CLUSTER,
    SEVERITIES,
    AnyReport,
    CheckedCluster,
    ClustersReport,
    Diagnosis,
    Finding,
)
from kubectl_memdoctor.printers import Layout

MOST_WORKLOADS = 2_000
"""Series of single workloads, the worst; how many more there would be is a metric of its own."""
LONGEST_LABEL = 253
"""Letters: no name of an object in Kubernetes is longer.
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names"""

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    report = diagnosis.report
    workloads = Counter(map(_workload, report.findings))
    clusters = _clusters(diagnosis)
    yield from _metric("findings", "Findings by rule, severity and namespace.", _counted(map(_group, report.findings)))
    yield from _metric(
        "workload_findings",
        "Findings by workload, or by the object itself where nothing controls it: the worst ones.",
        islice(workloads.items(), MOST_WORKLOADS),
    )
    left_out = max(len(workloads) - MOST_WORKLOADS, 0)
    yield from _metric(
        "workloads_left_out", "Series of workloads that are left out, since they are many.", [((), left_out)]
    )
    by_severity = (
        ((*place, *_labels(severity=severity)), cluster.summary.findings[severity])
        for place, cluster in clusters
        for severity in SEVERITIES
    )
    yield from _metric("severity_findings", "Findings by severity, also where there are none.", by_severity)
    pods = ((place, cluster.summary.pods) for place, cluster in clusters)
    yield from _metric("checked_pods", "Pods that were looked at.", pods)
    nodes = ((place, cluster.summary.nodes) for place, cluster in clusters)
    yield from _metric("checked_nodes", "Nodes that were looked at.", nodes)
    yield from _metric("not_checked", "What could not be looked at, by resource and rule.", _not_checked(report))
    yield from _metric("complete", "1, or 0 where the run ended early.", _complete(clusters, report))
    times = ((place, cluster.taken_at.timestamp()) for place, cluster in clusters)
    yield from _metric("taken_timestamp_seconds", "When it was looked at, by the server's clock.", times)


def _clusters(diagnosis: Diagnosis) -> list[tuple[Labels, CheckedCluster]]:
    """Those that were looked at, each with the label that says which one it is; none where there is only one."""
    report = diagnosis.report
    if isinstance(report, ClustersReport):
        return [(_place(entry.cluster.context), entry) for entry in report.clusters]
    complete = not diagnosis.is_interrupted
    checked = CheckedCluster(
        cluster=report.cluster, taken_at=report.taken_at, complete=complete, summary=report.summary
    )
    return [((), checked)]


def _place(context: str | None) -> Labels:
    return () if context is None else _labels(context=context)


def _complete(clusters: Iterable[tuple[Labels, CheckedCluster]], report: AnyReport) -> Iterator[Sample]:
    yield from ((place, int(cluster.complete)) for place, cluster in clusters)
    down = dict.fromkeys(_place(entry.context) for entry in report.not_checked if entry.resource == CLUSTER)
    yield from ((place, 0) for place in down)


def _group(finding: Finding) -> Labels:
    namespace = finding.involved_object.namespace or ""
    return _place(finding.context) + _labels(namespace=namespace, rule=finding.rule, severity=finding.severity)


def _workload(finding: Finding) -> Labels:
    subject = finding.owner or finding.involved_object
    return _place(finding.context) + _labels(
        namespace=finding.involved_object.namespace or "",
        kind=subject.kind,
        name=subject.name,
        rule=finding.rule,
        severity=finding.severity,
        confidence=finding.confidence,
    )


def _not_checked(report: AnyReport) -> Iterable[Sample]:
    return _counted(
        _place(entry.context) + _labels(resource=entry.resource, rule=entry.rule or "") for entry in report.not_checked
    )


def _counted(labels: Iterable[Labels]) -> Iterable[Sample]:
    return Counter(labels).items()


def _labels(**texts: str) -> Labels:
    """Cleaned and cut, so that what then is the same is one series."""
    return tuple((name, clean(str(text))[:LONGEST_LABEL]) for name, text in texts.items())


def _metric(name: str, help_text: str, samples: Iterable[Sample]) -> Iterator[str]:
    full = f"memdoctor_{name}"
    yield f"# HELP {full} {help_text}"
    yield f"# TYPE {full} gauge"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"{full}{f'{{{inside}}}' if inside else ''} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _escaped(text: str) -> str:
    """Of a clean text, which has no line feed to be escaped."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
