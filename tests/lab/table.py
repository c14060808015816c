"""Makes the shipped table of the measurements, and of what others report: `PYTHONPATH=tests python -m lab.table`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from kubectl_memdoctor.runtime_kind import version_key
from kubectl_memdoctor.sandbox_minimum import Row, Table

from .measurement import Measurement, all_measured

FROM_SOURCE = Path(__file__).parent / "from_source.json"
"""What cannot be measured here, or was not measured by the lab."""
SHIPPED = Path(__file__).parents[2] / "kubectl_memdoctor/data/sandbox_minimum.json"
ERAS = {
    "runc": ("1.0.0", "1.1.0", "1.1.15", "1.2.0", "1.3.0"),
    "crun": ("", "1.21", "1.28"),
}
"""First versions: a measurement stands for all versions of its era. runc 1.1.15 changed how runc copies itself, 1.2.0
where (https://github.com/opencontainers/runc/issues/4427). crun has one era for each version that was measured."""
SETTINGS = {"always", "madvise"}
"""Of huge pages: what distributions' kernels come with."""
WHERE = {"host": "on a machine as it is", "machine": "in a virtual machine (qemu, tcg)"}


def shipped_table(measurements: Iterable[Measurement]) -> Table:
    known = msgspec.json.decode(FROM_SOURCE.read_bytes(), type=Table)
    measured = [_row(one) for one in measurements]
    kept = [row for row in known.rows if not _is_superseded(row, measured)]
    rows = sorted((*kept, *measured), key=_order)
    return msgspec.structs.replace(known, rows=tuple(rows))


def _is_superseded(row: Row, measured: Iterable[Row]) -> bool:
    """Where the lab measured the same versions with every setting of huge pages; which setting it was before, nobody
    noted."""
    own = (
        other
        for other in measured
        if (other.runtime, other.cgroup, other.since) == (row.runtime, row.cgroup, row.since)
    )
    return not row.source and {other.huge_pages for other in own} >= SETTINGS


def _order(row: Row) -> tuple[Any, ...]:
    version = version_key(row.since), version_key(row.version), row.version
    return row.runtime != "runc", version, row.cgroup, row.huge_pages, row.cpus or 0


def _row(one: Measurement) -> Row:
    since, before = era(one.runtime, one.version)
    failed, ran = one.edges
    found = re.match(r"\d+\.\d+", one.kernel)
    assert found, one.kernel
    return Row(
        runtime=one.runtime,
        version=one.version + (f" ({packager[1]})" if (packager := re.match(r"(Debian \w+),", one.build)) else ""),
        since=since,
        before=before,
        cgroup=one.conditions.cgroup,
        cpus=one.conditions.cpus,
        huge_pages=one.conditions.huge_pages,
        failed_bytes=failed,
        ran_bytes=ran,
        tries=one.tries,
        kernel=found[0],
        taken=one.taken,
        how=_how(one),
    )


def _how(one: Measurement) -> str:
    size = f"{one.binary_bytes / 1_000_000:.1f} MB"
    peak = f"{max(one.unlimited_peak_bytes) / (1 << 20):.1f}Mi"
    build = one.build[0].upper() + one.build[1:]
    where = f"Under containerd {one.containerd} {WHERE[one.conditions.where]}"
    pinned = f", {one.cpus_by}" if "affinity" in one.cpus_by else ""
    return f"{build}, {size}. {where}{pinned}. Without a limit it used up to {peak}."


def era(runtime: str, version: str) -> tuple[str, str]:
    """`runc`, `1.1.12` -> `1.1.0`, `1.1.15`; the last one has no end."""
    first = [since for since in ERAS[runtime] if version_key(since) <= version_key(version)]
    later = [since for since in ERAS[runtime] if version_key(since) > version_key(version)]
    return first[-1], (later or [""])[0]


def encoded(table: Table) -> str:
    """JSON with one entry a line, without the fields that have their default."""
    plain = msgspec.to_builtins(table)
    parts = []
    for name in table.__struct_fields__:
        defaults = msgspec.structs.fields(type(getattr(table, name)[0]))
        omitted = {field.name: field.default for field in defaults}
        entries = [{key: value for key, value in entry.items() if value != omitted[key]} for entry in plain[name]]
        lines = ",\n".join(f"    {json.dumps(entry, ensure_ascii=False)}" for entry in entries)
        parts.append(f'  "{name}": [\n{lines}\n  ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    SHIPPED.write_text(encoded(shipped_table(all_measured())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
