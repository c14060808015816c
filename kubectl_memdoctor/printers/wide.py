"""`-o wide`: the table with the node and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.finding import Diagnosis, clock
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.cleaned import cleaned
from kubectl_memdoctor.printers.ink import table
from kubectl_memdoctor.printers.table import row_cells, row_headers, rows


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    report = cleaned(diagnosis.report)
    found = rows(report.findings, pods=layout.pods)
    now = clock(report)
    cells = [[*row_cells(row, layout, now(row.context)), row.nodes, row.fix] for row in found]
    yield from table([[*row_headers(layout), "NODE", "FIX"], *cells] if layout.headers and cells else cells)
