"""Counts by cgroup what the kernel could not allocate for itself, in memory that does not grow with the log."""

from __future__ import annotations

from collections import OrderedDict

from msgspec.structs import replace

from kubectl_memdoctor.evidence.cgroup_path import read_cgroup_name
from kubectl_memdoctor.evidence.failure_tally import shortened
from kubectl_memdoctor.evidence.log_line import LogLine
from kubectl_memdoctor.evidence.node_evidence import AllocationFailures

MOST_CGROUPS = 1000
"""Each try of a sandbox is a cgroup of its own, and the newest are those whose pod is still there."""


class AllocationTally:
    """`add` them in the log's order."""

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._cgroups: OrderedDict[str, AllocationFailures] = OrderedDict()
        self._is_cut = False

    @property
    def failures(self) -> tuple[AllocationFailures, ...]:
        """One entry for each cgroup, the one that failed last at the end."""
        return tuple(replace(entry, or_more=self._is_cut) for entry in self._cgroups.values())

    def add(self, name: str, lines: tuple[LogLine, ...]) -> None:
        """`name` is the cgroup's last one, `lines` are a report's. What is no pod's and no container's is left out."""
        cgroup = read_cgroup_name(name)
        if not cgroup.pod_uid and not cgroup.container_id:
            return
        newest = lines[-1]
        entry = self._cgroups.pop(name, None) or AllocationFailures(cgroup, count=0, node=self._node or newest.host)
        times = [time for time in (entry.first, entry.last, newest.time) if time is not None]
        self._cgroups[name] = replace(
            entry,
            count=entry.count + 1,
            first=min(times, default=None),
            last=max(times, default=None),
            zone_known=entry.zone_known and newest.zone_known,
            lines=tuple(map(shortened, lines)),
        )
        if len(self._cgroups) > MOST_CGROUPS:
            self._cgroups.popitem(last=False)
            self._is_cut = True
