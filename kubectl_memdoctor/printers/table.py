"""`-o table`: one row for each workload and rule, worst first; on a terminal too narrow for the row, two lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubectl_memdoctor import quantity
from kubectl_memdoctor.clean import cleaned
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.finding import Diagnosis, Finding, InvolvedObject
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.ink import columns, fold, severity_word, strong, table

NONE = "<none>"
"""kubectl's word in a column that does not apply."""
SEEN_IN = frozenset({"pod", "event", "node"})
"""Sources whose times say since when a finding is there; an owner's history is older."""


@dataclass(frozen=True, slots=True)
class Row:
    """The findings of one rule on one workload, or on one of its pods; worst first."""

    subject: InvolvedObject
    workload: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Finding:
        return self.findings[0]

    @property
    def pods(self) -> int:
        objects = (finding.involved_object for finding in self.findings)
        return len({(entry.uid, entry.name) for entry in objects if entry.kind == "Pod"})

    @property
    def limit(self) -> str:
        return _distinct(finding.memory.limit_quantity for finding in self.findings if finding.memory)

    @property
    def minimum(self) -> str:
        return _distinct(
            quantity.format_bytes(finding.memory.minimum_bytes)
            for finding in self.findings
            if finding.memory and finding.memory.minimum_bytes
        )

    @property
    def nodes(self) -> str:
        return _distinct(finding.node for finding in self.findings)

    @property
    def fix(self) -> str:
        remedy = self.worst.remedy
        return (remedy.command or remedy.text) if remedy else NONE

    def age(self, now: datetime) -> str:
        """Since the first time that anything was seen of it."""
        entries = (entry for finding in self.findings for entry in finding.evidence if entry.source in SEEN_IN)
        times = [time for entry in entries if (time := entry.first_time or entry.time)]
        return human_duration(now - min(times)) if times else NONE


def _distinct(texts: Iterable[str | None]) -> str:
    return ",".join(dict.fromkeys(text for text in texts if text)) or NONE


def rows(findings: Sequence[Finding], *, pods: bool) -> list[Row]:
    """Findings folded by workload and rule, or with `pods` by pod and rule, in their order."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        involved = finding.involved_object
        own = (involved.kind, involved.name, involved.uid or "") if pods else ()
        groups.setdefault((involved.namespace or "", workload_of(finding), finding.rule, *own), []).append(finding)
    return [Row(members[0].involved_object, workload_of(members[0]), tuple(members)) for members in groups.values()]


def workload_of(finding: Finding) -> str:
    """`deployment/web`; what the finding is about where it has no owner."""
    owner = finding.owner or finding.involved_object
    return f"{owner.kind.lower()}/{owner.name}"


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    report = cleaned(diagnosis.report)
    found = rows(report.findings, pods=layout.pods)
    cells = [row_cells(row, layout, report.taken_at) for row in found]
    yield from _fitting(cells, row_headers(layout), layout)


def row_headers(layout: Layout) -> list[str]:
    subject, count = ("POD", ()) if layout.pods else ("WORKLOAD", ("PODS",))
    return ["NAMESPACE", subject, "FINDING", "SEVERITY", "CONFIDENCE", "LIMIT", "MINIMUM", *count, "AGE"]


def row_cells(row: Row, layout: Layout, now: datetime) -> list[str]:
    worst = row.worst
    return [
        row.subject.namespace or NONE,
        f"{row.subject.kind.lower()}/{row.subject.name}" if layout.pods else row.workload,
        worst.rule,
        severity_word(worst.severity, color=layout.color),
        worst.confidence.value,
        row.limit,
        row.minimum,
        *(() if layout.pods else (str(row.pods or NONE),)),
        row.age(now),
    ]


def _fitting(cells: list[list[str]], headers: list[str], layout: Layout) -> Iterator[str]:
    wide = table([headers, *cells] if layout.headers and cells else cells)
    if layout.width is None or all(columns(line) <= layout.width for line in wide):
        yield from wide
        return
    for row in cells:
        yield from _two_lines(dict(zip(headers, row, strict=True)), layout)


def _two_lines(cell: dict[str, str], layout: Layout) -> Iterator[str]:
    subject = cell["POD"] if "POD" in cell else cell["WORKLOAD"]
    namespace = "" if cell["NAMESPACE"] == NONE else f"{cell['NAMESPACE']} "
    pods = "" if cell.get("PODS", NONE) in (NONE, "1") else f", {cell['PODS']} pods"
    yield from fold(
        f"{cell['SEVERITY']} {strong(namespace + subject, color=layout.color)}{pods}", layout.width, hanging="    "
    )
    words = [cell["FINDING"], cell["CONFIDENCE"]]
    words += [f"{name.lower()} {cell[name]}" for name in ("LIMIT", "MINIMUM", "AGE")]
    about = ", ".join(word for word in words if not word.endswith(NONE))
    yield from fold(about, layout.width, indent="  ", hanging="  ")
