"""Measures what has not been measured yet: `PYTHONPATH=tests python -m node.enclosure python -m lab [NAME...]`.

Names are those of conditions (`v2-machine-4-always`) and of runtimes (`runc-1.1.12`); all when none is given. With
LAB_FULL=1 all runtimes are measured under all conditions. Each finished measurement is written at once: a run that was
stopped goes on behind it, and what is to be measured anew is deleted from tests/lab/measured/ first.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cluster.go_programs import BuildError, alone
from node import enclosure, requirements
from node.build import build
from node.images import PAUSE, images
from node.programs import GENERATIONS, generation

from .bisection import Effort, Search, SearchError, grid
from .containerd import Containerd, containerd
from .measurement import Conditions, Measurement, file_of, measured_steps, own_huge_pages, read, write
from .place import FAILURES, Place, host, obstacle, virtual
from .runtimes import Runtime, runtimes

LIMITS = grid(16 << 10, 64 << 20)
UNLIMITED_TRIES = 3
ON_HOST = Effort(tries=10, agreeing=3, beyond=10, fill=True)
IN_MACHINE = Effort(tries=6, agreeing=2, beyond=3, fill=False)
"""A try in a machine takes seconds."""
COMPARING = Effort(tries=5, agreeing=2, beyond=2, fill=False)
"""For what more or fewer CPUs change."""
REFERENCES = ("runc-1.1.12", "runc-1.1.15", "runc-1.4.0", "crun-sid")
"""Measured with every number of CPUs; the others with two."""


@dataclass(frozen=True, slots=True)
class Part:
    conditions: Conditions
    effort: Effort
    handlers: tuple[str, ...]
    """Empty: all."""


def plan() -> tuple[Part, ...]:
    """Each set of conditions, the most telling first."""
    own = own_huge_pages()
    return (
        *(Part(Conditions(where="host", cgroup="v1", cpus=cpus, huge_pages=own), ON_HOST, ()) for cpus in (2, 1)),
        _virtual("v2", 2, "always", IN_MACHINE),
        _virtual("v2", 2, "madvise", IN_MACHINE),
        _virtual("v2", 8, "always", COMPARING, REFERENCES),
        _virtual("v1", 2, "always", COMPARING, REFERENCES),
        _virtual("v1", 8, "always", COMPARING, REFERENCES),
        _virtual("v2", 4, "always", COMPARING, REFERENCES),
        _virtual("v2", 1, "always", COMPARING, REFERENCES),
        _virtual("v1", 4, "always", COMPARING, REFERENCES),
    )


def _virtual(
    cgroup: Literal["v1", "v2"],
    cpus: int,
    pages: Literal["always", "madvise"],
    effort: Effort,
    handlers: tuple[str, ...] = (),
) -> Part:
    return Part(Conditions(where="machine", cgroup=cgroup, cpus=cpus, huge_pages=pages), effort, handlers)


def main(arguments: Sequence[str]) -> int:
    absent = requirements.missing()
    if not enclosure.inside() or absent:
        reason = f"apt-get install {' '.join(absent)}" if absent else "it runs inside the enclosure: make lab"
        print(f"error: no lab: {reason}", file=sys.stderr)
        return 1
    try:
        _measure_all(arguments)
    except (BuildError, SearchError, *FAILURES) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _measure_all(names: Sequence[str]) -> None:
    """Raises BuildError for a name that is none, and SearchError."""
    parts = {part.conditions.name: part for part in plan()}
    present = {runtime.handler: runtime for runtime in runtimes()}
    unknown = set(names) - set(parts) - set(present)
    if unknown:
        raise BuildError(f"{', '.join(sorted(unknown))}: known are {', '.join((*parts, *present))}")
    asked = [handler for handler in names if handler in present]
    for part in [parts[name] for name in names if name in parts] or parts.values():
        chosen = asked or _of_part(part, present)
        _measure_part(part, [present[handler] for handler in chosen])


def _of_part(part: Part, handlers: Iterable[str]) -> list[str]:
    if part.handlers and not os.environ.get("LAB_FULL"):
        return list(part.handlers)
    return sorted(handlers, key=lambda handler: handler not in REFERENCES)


def _measure_part(part: Part, chosen: Sequence[Runtime]) -> None:
    reason = obstacle() if part.conditions.where == "host" else ""
    if reason:
        print(f"{part.conditions.name}: {reason}", file=sys.stderr)
        return
    wanted = [runtime for runtime in chosen if not _is_measured(runtime, part)]
    if not wanted:
        return
    with tempfile.TemporaryDirectory() as folder, _place(part.conditions, wanted, Path(folder)) as place:
        for runtime in wanted:
            # Another run may share the work.
            if not _is_measured(runtime, part):
                _measure(place, runtime, part.effort)


def _measure(place: Place, runtime: Runtime, effort: Effort) -> None:
    started = time.monotonic()
    measurement = measured(place, runtime, effort)
    write(measurement)
    failed, ran = measurement.edges
    said = f"fails up to {failed >> 10}Ki, starts from {ran >> 10}Ki ({time.monotonic() - started:.0f} s)"
    print(f"{place.conditions.name} {runtime.handler} {runtime.version}: {said}", file=sys.stderr, flush=True)


def _is_measured(runtime: Runtime, part: Part) -> bool:
    """This very program: sid's package changes."""
    file = file_of(part.conditions, runtime.handler)
    if not file.exists():
        return False
    before = read(file)
    return (before.version, before.binary_bytes) == (runtime.version, runtime.binary_bytes)


@contextmanager
def _place(conditions: Conditions, wanted: Sequence[Runtime], folder: Path) -> Iterator[Place]:
    containerds = _containerds(wanted)
    if conditions.where == "host":
        with host(containerds, conditions.cpus) as place:
            yield place
    else:
        with virtual(containerds, conditions, folder) as place:
            yield place


def _containerds(wanted: Sequence[Runtime]) -> tuple[Containerd, ...]:
    chosen = [generation(name) for name in GENERATIONS]
    with alone():
        for each in chosen:
            build(each)
    return tuple(one for one in (containerd(each, wanted) for each in chosen) if one.runtimes)


def measured(place: Place, runtime: Runtime, effort: Effort) -> Measurement:
    """Raises SearchError."""
    attempt = place.attempt(runtime)
    unlimited = attempt(0, UNLIMITED_TRIES, "")
    if not all(made.started for made in unlimited):
        raise SearchError(f"{runtime.handler} fails without a limit: {[made.error for made in unlimited]}")
    search = Search(LIMITS, effort, attempt)
    search.run()
    return Measurement(
        handler=runtime.handler,
        runtime=runtime.kind,
        version=runtime.version,
        build=runtime.build,
        binary_bytes=runtime.binary_bytes,
        conditions=place.conditions,
        kernel=place.kernel,
        cpus_by=place.cpus_by,
        containerd=place.containerd_of(runtime).version,
        pause_bytes=_pause_bytes(),
        tries=effort.tries,
        settle_seconds=place.settle_seconds,
        taken=datetime.now(UTC).date().isoformat(),
        unlimited_peak_bytes=tuple(made.peak_bytes for made in unlimited),
        steps=measured_steps(search.steps),
    )


def _pause_bytes() -> int:
    with tarfile.open(images()[PAUSE]) as image:
        layer = image.extractfile("layer.tar")
        assert layer is not None
        with tarfile.open(fileobj=layer) as files:
            return files.getmember("pause").size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
