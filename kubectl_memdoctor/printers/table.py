"""`-o table`: one row for each workload and rule, worst first; on a terminal too narrow for the row, two lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.finding import Diagnosis, Finding, InvolvedObject, clock
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.cleaned import cleaned
from kubectl_memdoctor.printers.ink import columns, fold, severity_word, strong, table

NONE = "<none>"
"""kubectl's word in a column that does not apply."""
SEEN_IN = frozenset({"pod", "event", "node"})
"""Sources whose times say since when a finding is there; an owner's history is older."""


RowKey = tuple[str, ...]
"""Findings that have it in common are one row."""

STREAMED_COLUMNS = {
    "CONTEXT": 12,
    "NAMESPACE": 12,
    "WORKLOAD": 24,
    "POD": 36,
    "FINDING": 30,
    "SEVERITY": 8,
    "CONFIDENCE": 10,
}
"""Widths to begin with, where rows are printed before all are known; of the others, those of their headers."""
BETWEEN = "  "


class Row(Struct, frozen=True):
    """The findings of one rule on one workload, or on one of its pods; worst first."""

    subject: InvolvedObject
    workload: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Finding:
        return self.findings[0]

    @property
    def context(self) -> str | None:
        return self.worst.context

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
    groups: dict[RowKey, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(_key(finding, pods=pods), []).append(finding)
    return [_row(members) for members in groups.values()]


def _key(finding: Finding, *, pods: bool) -> RowKey:
    involved = finding.involved_object
    own = (involved.kind, involved.name, involved.uid or "") if pods else ()
    return finding.context or "", involved.namespace or "", workload_of(finding), finding.rule, *own


def _row(findings: Sequence[Finding]) -> Row:
    return Row(findings[0].involved_object, workload_of(findings[0]), tuple(findings))


def workload_of(finding: Finding) -> str:
    """`deployment/web`; what the finding is about where it has no owner."""
    owner = finding.owner or finding.involved_object
    return f"{owner.kind.lower()}/{owner.name}"


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    report = cleaned(diagnosis.report)
    found = rows(report.findings, pods=layout.pods)
    now = clock(report)
    cells = [row_cells(row, layout, now(row.context)) for row in found]
    yield from _fitting(cells, row_headers(layout), layout)


def row_headers(layout: Layout) -> list[str]:
    subject, count = ("POD", ()) if layout.pods else ("WORKLOAD", ("PODS",))
    place = ("CONTEXT", "NAMESPACE") if layout.contexts else ("NAMESPACE",)
    return [*place, subject, "FINDING", "SEVERITY", "CONFIDENCE", "LIMIT", "MINIMUM", *count, "AGE"]


def row_cells(row: Row, layout: Layout, now: datetime) -> list[str]:
    worst = row.worst
    return [
        *((row.context or NONE,) if layout.contexts else ()),
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


class Stream:
    """Rows on a terminal, as findings become certain. A row that has grown since is printed again, as `kubectl get -w`
    does; a column never becomes narrower, and a row that does not fit takes two lines. Where nothing was certain before
    the end, it is the whole table."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._headers = row_headers(layout)
        self._widths = [max(STREAMED_COLUMNS.get(name, 0), len(name)) for name in self._headers]
        self._groups: dict[RowKey, list[Finding]] = {}

    def found(self, findings: Sequence[Finding], now: datetime) -> Iterator[str]:
        if not self._groups and self._layout.headers and self._fits(self._widths):
            yield self._aligned(self._headers)
        changed: dict[RowKey, list[Finding]] = {}
        for finding in cleaned(tuple(findings)):
            key = _key(finding, pods=self._layout.pods)
            members = changed[key] = self._groups.setdefault(key, [])
            members.append(finding)
        for members in changed.values():
            yield from self._lines(row_cells(_row(members), self._layout, now))

    def end(self, diagnosis: Diagnosis, rest: Sequence[Finding]) -> Iterator[str]:
        if self._groups:
            return self.found(rest, diagnosis.report.taken_at)
        return lines(diagnosis, self._layout)

    def _lines(self, cells: list[str]) -> Iterator[str]:
        widths = [max(width, columns(cell)) for width, cell in zip(self._widths, cells, strict=True)]
        if not self._fits(widths):
            yield from _two_lines(dict(zip(self._headers, cells, strict=True)), self._layout)
            return
        self._widths = widths
        yield self._aligned(cells)

    def _fits(self, widths: Sequence[int]) -> bool:
        return self._layout.width is None or sum(widths) + len(BETWEEN) * (len(widths) - 1) <= self._layout.width

    def _aligned(self, cells: list[str]) -> str:
        padded = (cell + " " * (width - columns(cell)) for cell, width in zip(cells, self._widths, strict=True))
        return BETWEEN.join(padded).rstrip()


def _fitting(cells: list[list[str]], headers: list[str], layout: Layout) -> Iterator[str]:
    wide = table([headers, *cells] if layout.headers and cells else cells)
    if layout.width is None or all(columns(line) <= layout.width for line in wide):
        yield from wide
        return
    for row in cells:
        yield from _two_lines(dict(zip(headers, row, strict=True)), layout)


def _two_lines(cell: dict[str, str], layout: Layout) -> Iterator[str]:
    subject = cell["POD"] if "POD" in cell else cell["WORKLOAD"]
    context = f"{cell['CONTEXT']} " if "CONTEXT" in cell else ""
    namespace = "" if cell["NAMESPACE"] == NONE else f"{cell['NAMESPACE']} "
    pods = "" if cell.get("PODS", NONE) in (NONE, "1") else f", {cell['PODS']} pods"
    yield from fold(
        f"{cell['SEVERITY']} {strong(context + namespace + subject, color=layout.color)}{pods}",
        layout.width,
        hanging="    ",
    )
    words = [cell["FINDING"], cell["CONFIDENCE"]]
    words += [f"{name.lower()} {cell[name]}" for name in ("LIMIT", "MINIMUM", "AGE")]
    about = ", ".join(word for word in words if not word.endswith(NONE))
    yield from fold(about, layout.width, indent="  ", hanging="  ")
