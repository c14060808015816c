"""docs/performance.md: its tables stand between marks, each written by the part of the bench that measured it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Bound, Row, Size

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def write_block(name: str, content: str) -> None:
    """Raises ValueError where the page has no such marks."""
    PAGE.write_text(with_block(PAGE.read_text(encoding="utf-8"), name, content), encoding="utf-8")
    print(content)


def with_block(page: str, name: str, content: str) -> str:
    first, last = f"<!-- measured: {name} -->\n", f"<!-- end: {name} -->\n"
    before, opened, rest = page.partition(first)
    _, closed, after = rest.partition(last)
    if not (opened and closed):
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{first}\n{content.strip()}\n\n{last}{after}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headers, ["---"] * len(headers), *rows))


def taken_on() -> str:
    """When and on what machine, as a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    busy = os.getloadavg()[2] / (os.cpu_count() or 1)
    return (
        f"Taken on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()} on {os.cpu_count()} CPUs and "
        f"{memory:.0f} GB that server and client share; load of the last 15 minutes: {busy:.1f} a CPU."
    )


def cluster_block(sizes: Sequence[Size], programs: str) -> str:
    """Tables of all sizes, largest first."""
    ordered = sorted(sizes, key=lambda size: -size.pods)
    parts = [f"{taken_on()} {programs}"]
    for size in ordered:
        parts += [f"### {size.pods:,} pods", _rows(size), _first(size), _short(size)]
    return "\n\n".join(part for part in parts if part)


def bounds_block(bounds: Iterable[Bound]) -> str:
    rows = ((bound.what, bound.wanted, bound.measured, "yes" if bound.reached else "**no**") for bound in bounds)
    return table(["", "wanted", "measured", "reached"], rows)


def _rows(size: Size) -> str:
    headers = [
        "",
        "wall s, best / median",
        "own CPU s",
        "API server's CPU s, best / median",
        "peak MB",
        "exit code",
        "findings",
    ]
    return table(headers, map(_row, size.rows))


def _row(row: Row) -> list[str]:
    if not row.runs:
        return [row.contender, row.note, "", "", "", "", ""]
    codes = ", ".join(dict.fromkeys(str(run.exit_code) for run in row.runs))
    return [
        row.contender,
        f"{row.wall():.2f} / {row.median_wall():.2f}",
        f"{row.cpu():.2f}",
        f"{row.server_cpu():.2f} / {row.median_server_cpu():.2f}",
        f"{row.peak_mb():.0f}",
        f"{codes}: {row.note}" if row.note else codes,
        _found(row),
    ]


def _found(row: Row) -> str:
    if row.found is None:
        return ""
    return f"{row.found} of {row.seeded}" + (f", and {row.others} others" if row.others else "")


def _first(size: Size) -> str:
    if size.first_critical is None:
        return "No critical finding was shown on a terminal."
    return f"The first critical finding stands on a terminal after {size.first_critical:.2f} s (best)."


def _short(size: Size) -> str:
    rows = ([row.contender, f"{row.wall():.3f} / {row.median_wall():.3f}", f"{row.cpu():.3f}"] for row in size.short)
    return table(["", "wall s, best / median", "own CPU s"], rows) if size.short else ""
