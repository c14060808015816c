from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.kubelet_metrics import KubeletMetricsReader
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence


def read(*lines: bytes) -> NodeEvidence:
    reader = KubeletMetricsReader("worker-1")
    for each in lines:
        reader.read_line(each)
    return reader.evidence()


def test_cgroup_version_and_start() -> None:
    found = read(
        b"# HELP kubelet_cgroup_version [ALPHA] cgroup version on the hosts.",
        b"# TYPE kubelet_cgroup_version gauge",
        b"kubelet_cgroup_version 2",
        b"process_start_time_seconds 1.76431680012e+09",
    )
    assert found.cgroup_versions == {"worker-1": 2}
    assert found.kubelet_starts == {"worker-1": datetime(2025, 11, 28, 8, 0, 0, 120_000, tzinfo=UTC)}


@pytest.mark.parametrize(
    "line",
    [
        b"kubelet_cgroup_version 0",
        b"kubelet_cgroup_version NaN",
        b"kubelet_cgroup_version",
        b"kubelet_cgroup_version_info 2",
        b"process_start_time_seconds +Inf",
        b"process_start_time_seconds 0",
        b"process_start_time_seconds 1e300",
        b"process_start_time_seconds_sum 1.7e9",
    ],
)
def test_what_says_nothing(line: bytes) -> None:
    assert not read(line)


@given(st.binary())
def test_nothing_in_a_line_stops_it(rest: bytes) -> None:
    read(rest, b"kubelet_cgroup_version " + rest, b"process_start_time_seconds " + rest)
