"""The shipped table is what the lab last wrote, and says what was measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kubectl_memdoctor.sandbox_minimum import Table
from lab import measurement
from lab.bisection import Step
from lab.measurement import Conditions, Measurement, all_measured, masked, measured_steps, read, write, written
from lab.table import FROM_SOURCE, SHIPPED, encoded, era, shipped_table

MIB = 1 << 20


def made(**changes: object) -> Measurement:
    steps = {limit * MIB: Step(tries=10, started=started, peak_bytes=limit * MIB) for limit, started in STARTED.items()}
    plain = Measurement(
        handler="runc-1.1.12",
        runtime="runc",
        version="1.1.12",
        build="built as its releases are (static, PIE, stripped) with Go 1.26.8",
        binary_bytes=12_563_432,
        conditions=Conditions(where="host", cgroup="v1", cpus=2, huge_pages="madvise"),
        kernel="6.18.44-fc",
        cpus_by="all that it has",
        containerd="2.2.9",
        pause_bytes=680_000,
        tries=10,
        settle_seconds=0.5,
        taken="2026-11-24",
        unlimited_peak_bytes=(4 * MIB,),
        steps=measured_steps(steps),
    )
    return msgspec.structs.replace(plain, **changes)


STARTED = {1: 0, 2: 0, 3: 4, 4: 0, 5: 9, 6: 10, 8: 10}
"""Mebibytes -> how many of ten tries started; not steadily more."""


def test_the_shipped_table_is_what_the_measurements_say() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == encoded(shipped_table(all_measured())), (
        "kubectl_memdoctor/data/sandbox_minimum.json is not what the lab wrote: PYTHONPATH=tests python -m lab.table"
    )


def test_what_is_encoded_reads_as_what_it_was() -> None:
    table = shipped_table([made()])
    assert msgspec.json.decode(encoded(table), type=Table) == table


def test_every_measurement_is_in_a_file_of_its_own_name() -> None:
    files = sorted(measurement.MEASURED.glob("*/*.json"))
    assert files
    for file in files:
        assert read(file).file == file
        assert file.read_bytes() == written(read(file))


def test_a_measurement_survives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "MEASURED", tmp_path)
    write(made())
    assert all_measured() == (made(),)
    assert [file.name for file in tmp_path.rglob("*.*")] == ["runc-1.1.12.json"]


def test_the_span_holds_where_starting_is_not_steady() -> None:
    assert made().edges == (2 * MIB, 6 * MIB)


def test_a_row_tells_how_it_came_about() -> None:
    own = msgspec.json.decode(FROM_SOURCE.read_bytes(), type=Table).rows
    (row,) = (row for row in shipped_table([made()]).rows if row not in own)
    assert (row.runtime, row.version, row.since, row.before) == ("runc", "1.1.12", "1.1.0", "1.1.15")
    assert (row.failed_bytes, row.ran_bytes) == (2 * MIB, 6 * MIB)
    assert row.where == "kernel 6.18, huge pages madvise, 2 CPUs, 10 tries"
    assert "stripped) with Go 1.26.8, 12.6 MB. Under containerd 2.2.9 on a machine as it is." in row.how
    packaged = shipped_table([made(build="Debian 12, package 1.1.5+ds1-1", version="1.1.5")]).rows
    assert [row.version for row in packaged if row not in own] == ["1.1.5 (Debian 12)"]


def test_what_was_measured_by_hand_goes_when_every_setting_was_measured() -> None:
    def by_hand(*measurements: Measurement) -> list[str]:
        rows = shipped_table(measurements).rows
        return [row.version for row in rows if row.cgroup == "v2" and row.how.startswith("By hand")]

    always, madvise = (
        made(conditions=Conditions(where="machine", cgroup="v2", cpus=2, huge_pages=pages), version="1.0.3")
        for pages in ("always", "madvise")
    )
    assert "1.0.3" in by_hand(always)
    assert "1.0.3" not in by_hand(always, madvise)
    assert "1.1.5 (Debian 12)" in by_hand(always, madvise)


@pytest.mark.parametrize(
    ("runtime", "version", "expected"),
    [
        ("runc", "1.1.5", ("1.1.0", "1.1.15")),
        ("runc", "1.1.15", ("1.1.15", "1.2.0")),
        ("runc", "1.4.3", ("1.3.0", "")),
        ("crun", "1.8.1", ("", "1.21")),
        ("crun", "1.30", ("1.28", "")),
    ],
)
def test_a_version_stands_for_its_era(runtime: str, version: str, expected: tuple[str, str]) -> None:
    assert era(runtime, version) == expected


def test_nothing_unmeasured_is_said_to_need_less_than_what_was_measured() -> None:
    table = shipped_table(all_measured())
    most = max(row.ran_bytes for row in table.rows)
    estimates = [entry for entry in table.unmeasured if "estimate" in entry.note]
    assert estimates
    assert all(entry.high_bytes >= most for entry in estimates)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (f'failed to start sandbox "{"a1" * 32}": x', 'failed to start sandbox "<id>": x'),
        (
            "mkdir /sys/fs/cgroup/memory/memdoctor-lab/pod12-345/c: no",
            "mkdir /sys/fs/cgroup/memory/memdoctor-lab/<pod>/c: no",
        ),
        ("open `/proc/4711/ns/ipc`:\n no", "open `/proc <pid>/ns/ipc`: no"),
    ],
)
def test_errors_that_are_the_same_read_the_same(error: str, expected: str) -> None:
    assert masked(error) == expected
