"""What a measurement leaves: one file in measured/ for each runtime under each of the conditions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from .bisection import Step, edges

MEASURED = Path(__file__).parent / "measured"
MASKS = ((r"\b[0-9a-f]{64}\b", "<id>"), (r"pod\d+-\d+", "<pod>"), (r"(/proc|pid|process) ?/?\d+", r"\1 <pid>"))
"""What differs from try to try in an error that is the same."""


HugePages = Literal["always", "madvise", "never"]
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


class _Entry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: a field that nobody knows is an error."""


class Conditions(_Entry, frozen=True, kw_only=True):
    where: Literal["host", "machine"]
    """`machine`: a virtual one, in qemu's software emulation."""
    cgroup: Literal["v1", "v2"]
    cpus: int
    huge_pages: HugePages
    """Transparent ones. With `always` whatever a Go program touches first of its heap may cost it 2 MiB."""

    @property
    def name(self) -> str:
        return f"{self.cgroup}-{self.where}-{self.cpus}-{self.huge_pages}"


class Measured(_Entry, frozen=True, kw_only=True):
    """All tries with one limit."""

    limit_bytes: int
    tries: int
    started: int
    peak_bytes: int
    """The most that a pod used."""
    errors: dict[str, int]
    """What was said when it did not start -> how often."""


class Measurement(_Entry, frozen=True, kw_only=True):
    handler: str
    runtime: str
    version: str
    build: str
    binary_bytes: int
    conditions: Conditions
    kernel: str
    cpus_by: str
    """How the number of CPUs came about."""
    containerd: str
    pause_bytes: int
    """Of the program in the pause image."""
    tries: int
    """For each limit that decides."""
    settle_seconds: float
    """How long a sandbox had to stay ready."""
    taken: str
    """The day, as 2026-11-24."""
    unlimited_peak_bytes: tuple[int, ...]
    """What pods without a limit used at most, one figure a try."""
    steps: tuple[Measured, ...]

    @property
    def edges(self) -> tuple[int, int]:
        """Bytes: the largest limit up to which none started, the smallest one from which on all did."""
        return edges({step.limit_bytes: Step(step.tries, step.started) for step in self.steps})

    @property
    def file(self) -> Path:
        return file_of(self.conditions, self.handler)


def own_huge_pages() -> HugePages:
    """How this machine is set: the file reads `always [madvise] never`."""
    text = HUGE_PAGES.read_text() if HUGE_PAGES.exists() else "[never]"
    settings: tuple[HugePages, ...] = ("always", "madvise", "never")
    return next(setting for setting in settings if f"[{setting}]" in text)


def file_of(conditions: Conditions, handler: str) -> Path:
    return MEASURED / conditions.name / f"{handler}.json"


def measured_steps(steps: dict[int, Step]) -> tuple[Measured, ...]:
    return tuple(
        Measured(
            limit_bytes=limit,
            tries=step.tries,
            started=step.started,
            peak_bytes=step.peak_bytes,
            errors=dict(step.errors.most_common()),
        )
        for limit, step in sorted(steps.items())
    )


def masked(error: str) -> str:
    """Without ids, in one line."""
    for pattern, name in MASKS:
        error = re.sub(pattern, name, error)
    return " ".join(error.split())


def written(measurement: Measurement) -> bytes:
    return msgspec.json.format(msgspec.json.encode(measurement), indent=1) + b"\n"


def write(measurement: Measurement) -> None:
    """The file appears only when it is whole, so that a run that was stopped goes on behind it."""
    measurement.file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = measurement.file.with_suffix(".unfinished")
    unfinished.write_bytes(written(measurement))
    unfinished.replace(measurement.file)


def read(file: Path) -> Measurement:
    """Raises msgspec.ValidationError."""
    return msgspec.json.decode(file.read_bytes(), type=Measurement)


def all_measured() -> tuple[Measurement, ...]:
    return tuple(read(file) for file in sorted(MEASURED.glob("*/*.json")))
