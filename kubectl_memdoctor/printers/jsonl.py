"""`-o jsonl`: each finding a line as soon as it is certain, then a line that sums up; see docs/report.schema.json.

Only the last line has a `kind`. Where it is absent, the run ended before it could say what it has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from kubectl_memdoctor.finding import (
    AnyReport,
    ClustersReport,
    ClustersReportSummary,
    Diagnosis,
    Finding,
    ReportSummary,
)
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.json import one_line


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    return Stream(layout).end(diagnosis, diagnosis.report.findings)


class Stream:
    """One run's lines."""

    def __init__(self, layout: Layout) -> None:
        """A line is the same on every terminal."""

    def found(self, findings: Sequence[Finding], now: datetime) -> Iterator[str]:
        return map(one_line, findings)

    def end(self, diagnosis: Diagnosis, rest: Sequence[Finding]) -> Iterator[str]:
        yield from map(one_line, rest)
        yield one_line(_summary(diagnosis.report, complete=not diagnosis.is_interrupted))


def _summary(report: AnyReport, *, complete: bool) -> ReportSummary | ClustersReportSummary:
    if isinstance(report, ClustersReport):
        return ClustersReportSummary(
            clusters=report.clusters,
            taken_at=report.taken_at,
            complete=complete,
            summary=report.summary,
            not_checked=report.not_checked,
        )
    return ReportSummary(
        cluster=report.cluster,
        taken_at=report.taken_at,
        complete=complete,
        summary=report.summary,
        not_checked=report.not_checked,
    )
