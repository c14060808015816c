"""The page of `node`: the worst that is the matter, everything about memory on the node, its findings, and the fix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import structs

from kubectl_memdoctor.finding import AnyReport, Diagnosis, Finding
from kubectl_memdoctor.printers import Layout, page, table
from kubectl_memdoctor.printers.cleaned import cleaned
from kubectl_memdoctor.printers.notes import node_lines
from kubectl_memdoctor.printers.wording import heading

INDENT = "    "


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    diagnosis = cleaned(diagnosis)
    report = diagnosis.report
    for number, node in enumerate(diagnosis.nodes):
        if number:
            yield ""
        found = page.findings_on(node, report)
        yield from page.node_headline(node, found, layout)
        yield from node_lines(node, report.taken_at, layout)
        if number == 0:
            yield from page.not_checked_lines(report.not_checked, layout)
        yield from _findings(found, report, layout)


def _findings(findings: Sequence[Finding], report: AnyReport, layout: Layout) -> Iterator[str]:
    if not findings:
        return
    yield heading("FINDINGS", layout)
    narrower = structs.replace(layout, width=layout.width - len(INDENT) if layout.width else None)
    listed = Diagnosis(msgspec.structs.replace(report, findings=tuple(findings)))
    yield from (f"{INDENT}{line}" for line in table.lines(listed, narrower))
    if findings[0].remedy is not None:
        yield from page.fix_lines(findings[0].remedy, layout)
