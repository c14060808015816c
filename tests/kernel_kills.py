"""Kills as a kernel log tells of them, made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level, read_cgroup_name
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import AllocationFailures, KernelKill, Task, VictimKind

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
UID = "0f5d7a3e-9b1c-4c86-8d52-3f6f0e6b7a10"
OTHER_UID = "9c1b5f0e-7a3d-4b86-8d52-3f6f0e6b7a11"
RUN = "ab" * 32
MEBIBYTE = 1 << 20
JAVA = Task(4711, "java", rss_bytes=200 * MEBIBYTE)
INIT = Task(121918, "runc:[2:INIT]", rss_bytes=5 * MEBIBYTE)
PAUSE = Task(4000, "pause")


def cgroup(level: Level, uid: str = UID, container_id: str = "") -> CgroupPath:
    return CgroupPath(f"/kubepods/pod{uid}/{container_id}".rstrip("/"), level, pod_uid=uid, container_id=container_id)


def kill(level: Level = Level.CONTAINER, *, uid: str = UID, container_id: str = RUN, **changes: Any) -> KernelKill:
    """java, in a container of the pod, ten minutes ago; `changes` are fields of KernelKill."""
    whole = KernelKill(
        level=level,
        oom_cgroup=cgroup(level, uid, container_id if level is Level.CONTAINER else ""),
        task_cgroup=cgroup(Level.CONTAINER, uid, container_id),
        victims=(JAVA,),
        usage_bytes=256 * MEBIBYTE,
        limit_bytes=256 * MEBIBYTE,
        failcnt=31,
        time=NOW - timedelta(minutes=10),
        node="worker-1",
        lines=(LogLine("Memory cgroup out of memory: Killed process 4711 (java)", Writer.KERNEL, "kern.log", 12),),
    )
    return msgspec.structs.replace(whole, **changes)


def sandbox_kill(number: int = 1, **changes: Any) -> KernelKill:
    """The runtime's own process, in the `number`th sandbox of a pod whose limit is under a page."""
    fields: dict[str, Any] = {
        "victims": (msgspec.structs.replace(INIT, pid=INIT.pid + number),),
        "victim_kind": VictimKind.RUNTIME_INIT,
        "usage_bytes": 0,
        "limit_bytes": 0,
        "failcnt": 48062,
        "time": NOW - timedelta(minutes=10) + timedelta(seconds=number),
    }
    return kill(Level.POD, container_id=f"{number:064x}", **fields | changes)


def unallocated(name: str, **changes: Any) -> AllocationFailures:
    """What the kernel could not allocate for itself in the cgroup whose last name is given."""
    lines = (
        LogLine("SLUB: Unable to allocate memory on node -1 (gfp=0xd0)", Writer.KERNEL, "kern.log", 41),
        LogLine(f"cache: dentry(7:{name}), object size: 192", Writer.KERNEL, "kern.log", 42),
    )
    time = NOW - timedelta(minutes=10)
    whole = AllocationFailures(read_cgroup_name(name), 3, time, time, node="worker-1", lines=lines)
    return msgspec.structs.replace(whole, **changes)
