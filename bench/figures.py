"""What a run of the bench comes to: figures, and which of the bounds they keep. Nothing here measures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.measure import Taken

MEMDOCTOR = "`kubectl memdoctor ns --all -o json`"
MEMDOCTOR_ALONE = f"{MEMDOCTOR}, pods and findings only"
MEMDOCTOR_QUIET = f"{MEMDOCTOR}, no writes since the last compaction"
KUBECTL_JSON = "`kubectl get pods -A -o json`"
KUBECTL_TABLE = "`kubectl get pods -A`"
KUBECTL_NAME = "`kubectl get pods -A -o name`"
FLOOR_JSON = "bare loop: JSON, pages of 500"
FLOOR_JSON_GZIP = "bare loop: JSON, pages of 500, gzip"
FLOOR_PROTOBUF = "bare loop: protobuf, pages of 500"
FLOOR_PROTOBUF_GZIP = "bare loop: protobuf, pages of 500, gzip"
FLOOR_PROTOBUF_LARGE = "bare loop: protobuf, pages of 2,000"
IN_PAGES = (FLOOR_JSON, FLOOR_JSON_GZIP, FLOOR_PROTOBUF, FLOOR_PROTOBUF_GZIP, FLOOR_PROTOBUF_LARGE)
"""Loops over one connection and one consistent list, as memdoctor's own."""
FLOOR_QUIET = f"{FLOOR_PROTOBUF}, no writes since the last compaction"
POD = "`kubectl memdoctor pod NAME`"
KUBECTL_POD = "`kubectl get pod NAME -o json`"
HELP, VERSION = "`kubectl-memdoctor --help`", "`kubectl-memdoctor version`"
PYTHON = "Python that does nothing"
IMPORTS = "Python that imports what `pod` needs"
CONFIG = "`kubectl config view --raw -o json`"
THROUGH_KUBECTL = "`kubectl memdoctor version`"
LARGE = 100_000
"""Pods; the bounds are for so many."""


@dataclass(frozen=True, slots=True)
class Row:
    """One contender at one size, run several times. `found` of `seeded` and `others`: None where it looks for nothing.

    `note` says why it was not run, or what it said when it failed.
    """

    contender: str
    runs: tuple[Taken, ...] = ()
    found: int | None = None
    seeded: int = 0
    others: int = 0
    note: str = ""

    def wall(self) -> float:
        """The best run's seconds: the one that was disturbed least."""
        return min(run.wall for run in self.runs)

    def median_wall(self) -> float:
        return median(run.wall for run in self.runs)

    def cpu(self) -> float:
        return min(run.cpu for run in self.runs)

    def server_cpu(self) -> float:
        return min(run.server_cpu for run in self.runs)

    def median_server_cpu(self) -> float:
        return median(run.server_cpu for run in self.runs)

    def peak_mb(self) -> float:
        return max(run.peak_mb for run in self.runs)


@dataclass(frozen=True, slots=True)
class Size:
    """A filled cluster. `first_critical`: seconds until a terminal shows the first critical finding; None: never.

    `short`: commands about a single pod or none.
    """

    pods: int
    rows: tuple[Row, ...]
    first_critical: float | None
    short: tuple[Row, ...]

    def by_name(self) -> Mapping[str, Row]:
        return {row.contender: row for row in (*self.rows, *self.short) if row.runs}


@dataclass(frozen=True, slots=True)
class Bound:
    """`measured` is empty where this run has no figure for it."""

    what: str
    wanted: str
    measured: str
    reached: bool


def bounds(sizes: Sequence[Size]) -> Iterator[Bound]:
    """Of the largest size, and of the growth up to it."""
    largest = max(sizes, key=lambda size: size.pods)
    rows = largest.by_name()
    ours = rows[MEMDOCTOR]
    floor = min((name for name in IN_PAGES if name in rows), key=lambda name: rows[name].wall())
    ratios = (
        (f"wall, of the fastest loop in pages ({floor.removeprefix('bare loop: ')})", floor, Row.wall, 1.2),
        ("wall, of the bare loop with JSON", FLOOR_JSON, Row.wall, 0.5),
        ("wall, of `kubectl get pods -A`", KUBECTL_TABLE, Row.wall, 0.1),
        ("the API server's processor, of the bare loop with JSON", FLOOR_JSON, Row.server_cpu, 0.5),
        ("wall, of the same without events, nodes and ReplicaSets beside the pods", MEMDOCTOR_ALONE, Row.wall, 1.25),
    )
    for what, other, figure, wanted in ratios:
        if other in rows:
            yield _at_most(what, figure(ours) / figure(rows[other]), wanted, "x", digits=2)
    yield _at_most("peak memory", ours.peak_mb(), 100, "MB")
    yield from _growth(sizes)
    if largest.first_critical is not None:
        yield _at_most("first critical finding on a terminal", largest.first_critical, 1, "s", digits=2)
    yield from _short(rows)


def _growth(sizes: Sequence[Size]) -> Iterator[Bound]:
    ordered = sorted(sizes, key=lambda size: size.pods)
    for smaller, larger in itertools.pairwise(ordered):
        grown = larger.by_name()[MEMDOCTOR].peak_mb() - smaller.by_name()[MEMDOCTOR].peak_mb()
        yield _at_most(f"more memory for {larger.pods:,} pods than for {smaller.pods:,}", grown, 20, "MB")


def _short(rows: Mapping[str, Row]) -> Iterator[Bound]:
    if POD in rows and KUBECTL_POD in rows:
        ratio = rows[POD].median_wall() / rows[KUBECTL_POD].median_wall()
        yield _at_most(f"{POD}, of {KUBECTL_POD}", ratio, 4, "x", digits=2)
    for name in (HELP, VERSION):
        if name in rows and PYTHON in rows:
            more = (rows[name].median_wall() - rows[PYTHON].median_wall()) * 1000
            yield _at_most(f"{name}, more than {PYTHON}", more, 40, "ms")


def _at_most(what: str, measured: float, wanted: float, unit: str, digits: int = 0) -> Bound:
    return Bound(what, f"at most {wanted:g} {unit}", f"{measured:.{digits}f} {unit}", measured <= wanted)
