"""A kubelet's own /metrics -> the node's cgroup version, and since when the kubelet counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from kubectl_memdoctor.evidence.metric_lines import read_sample
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence

_CGROUP_VERSION = "kubelet_cgroup_version"
"""Since Kubernetes 1.31: https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/kubelet/metrics/metrics.go"""
_STARTED = "process_start_time_seconds"
_NAMES = (_CGROUP_VERSION.encode(), _STARTED.encode())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KubeletMetricsReader:
    """Takes line after line and keeps two numbers."""

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._cgroup_version: int | None = None
        self._started: datetime | None = None

    def read_line(self, line: bytes) -> None:
        if not line.startswith(_NAMES):
            return
        sample = read_sample(line)
        if sample is None or not math.isfinite(sample.value):
            return
        if sample.name == _CGROUP_VERSION and sample.value in (1, 2):
            self._cgroup_version = int(sample.value)
        elif sample.name == _STARTED and 0 < sample.value < _FAR_SECONDS:
            self._started = _EPOCH + timedelta(seconds=sample.value)

    def evidence(self) -> NodeEvidence:
        """Of the lines so far."""
        return NodeEvidence(
            cgroup_versions={self._node: self._cgroup_version} if self._cgroup_version else {},
            kubelet_starts={self._node: self._started} if self._started else {},
        )


_FAR_SECONDS = 1e11
"""Some thousand years on, which datetime can still hold."""
