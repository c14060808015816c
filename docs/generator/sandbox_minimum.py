"""docs/sandbox-minimum.md: the measured table that the program decides by, with where each figure comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_memdoctor.quantity import format_bytes
from kubectl_memdoctor.sandbox_minimum import HEADROOM, Refusal, Row, Unmeasured, table

from . import GENERATED

INTRODUCTION = """\
How small a pod-level memory limit a sandbox still starts with, per runtime, version and cgroup version. Between the two
figures of a row some tries started and some did not. A row stands for all versions that are given with it. How these
figures are used stands in [how-it-knows.md](how-it-knows.md#what-a-sandbox-needs); `--minimum` replaces them."""

REFUSALS = """\
Some engines refuse a limit under a minimum of their own, before any runtime is asked. A minimum that is not fixed can
be changed in the engine's configuration."""

UNMEASURED = f"""\
Runtimes that nobody has measured get a wide span, from one page up: under it a limit is suspected, memory is ruled out
only from the second figure on. For measured runtimes memory is ruled out from {HEADROOM} times their largest figure."""

TAKEN_OVER = """\
Nothing was measured under these engines, nor with larger pages than 4Ki. What was measured elsewhere is taken over;
known larger pages round the figures up and widen what is not ruled out. A finding that rests on it says so."""


def page() -> str:
    known = table()
    parts = [
        GENERATED,
        "# What a sandbox needs, measured",
        INTRODUCTION,
        _table(
            ["runtime", "versions", "cgroup", "none started up to", "all started from", "where", "when", "how"],
            map(_row, known.rows),
        ),
        "## What engines refuse",
        REFUSALS,
        _table(["engine", "versions", "runtime", "minimum", "fixed", "from source"], map(_refusal, known.refusals)),
        "## Not measured",
        UNMEASURED,
        _table(["runtime", "suspected under", "ruled out from", "why"], map(_unmeasured, known.unmeasured)),
        TAKEN_OVER,
        _table(["what", "why"], _taken_over()),
    ]
    return "\n\n".join(parts) + "\n"


def _row(row: Row) -> list[str]:
    measured = f"{_versions(row.since, row.before)} (measured: {row.version})"
    figures = [format_bytes(row.failed_bytes), format_bytes(row.ran_bytes)]
    return [row.runtime, measured, row.cgroup, *figures, row.where, row.taken, row.how]


def _refusal(entry: Refusal) -> list[str]:
    fixed = "yes" if entry.fixed else "no"
    versions = _versions(entry.since, entry.before)
    return [entry.engine, versions, entry.runtime or "any", format_bytes(entry.minimum_bytes), fixed, entry.reference]


def _unmeasured(entry: Unmeasured) -> list[str]:
    figures = [format_bytes(entry.high_bytes), format_bytes(entry.ample_bytes)]
    return [entry.title, *figures, _from_source(entry.note, entry.reference)]


def _from_source(note: str, reference: str) -> str:
    return f"from source: {note}; {reference}" if reference else note


def _taken_over() -> Iterator[list[str]]:
    for engine in table().engines:
        yield [engine.engine, _from_source(engine.note, engine.reference)]
    for pages in table().page_sizes:
        kernels = [pages.architecture or "any architecture", *([f"kernel {pages.kernel}"] if pages.kernel else [])]
        what = f"pages of {format_bytes(pages.page_bytes)} ({', '.join(kernels)})"
        yield [what, _from_source(pages.note, pages.reference)]


def _versions(since: str, before: str) -> str:
    if since and before:
        return f"{since} to before {before}"
    if since:
        return f"{since} and newer"
    return f"before {before}" if before else "all"


def _table(headers: Sequence[str], rows: Iterator[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headers, ["---"] * len(headers), *rows))
