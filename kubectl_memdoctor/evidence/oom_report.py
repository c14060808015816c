"""One report of the kernel's OOM killer while its lines come in, and the kill that it makes at its end."""

from __future__ import annotations

import heapq
from typing import NamedTuple

from msgspec import Struct, field

from kubectl_memdoctor.evidence.cgroup_path import CgroupPath, Level, read_cgroup_path
from kubectl_memdoctor.evidence.failure_tally import shortened
from kubectl_memdoctor.evidence.log_line import LogLine
from kubectl_memdoctor.evidence.node_evidence import MOST_LINES, MOST_TASKS, KernelKill, Task, VictimKind
from kubectl_memdoctor.evidence.oom_lines import (
    Chosen,
    Counter,
    Killed,
    LimitReached,
    ListedTask,
    Summary,
    is_at_or_below,
)

MOST_VICTIMS = 256
"""Of one memory.oom.group; more are killed, but no longer listed."""
MOST_LISTED = 50_000
"""Tasks of one table."""

PAGE_SIZES = (4096, 16384, 65536)
"""Bytes, of the kernels that nodes run: x86 has the first, arm64 any of them, ppc64le the last."""

RUNTIME_NAMES = frozenset(
    (
        # https://github.com/opencontainers/runc/blob/v1.3.0/libcontainer/nsenter/nsexec.c (STAGE_PARENT ...)
        "runc:[0:PARENT]",
        "runc:[1:CHILD]",
        "runc:[2:INIT]",
        "runc",
        "docker-runc",
        # /proc/self/exe: runc before 1.0.0-rc7, Docker up to 1.12, and the copies that later runcs make of themselves
        "exe",
        "crun",
        "youki",
        "conmon",
        "conmonrs",
        # The virtual machine and its helpers are Kata's sandbox; names end at 15 letters.
        "containerd-shim",
        "kata-shim",
        "kata-runtime",
        "qemu-system-x86",
        "qemu-system-aar",
        "qemu-system-s39",
        "qemu-system-ppc",
        "cloud-hyperviso",
        "firecracker",
        "virtiofsd",
    )
)
RUNTIME_BEGINNINGS = ("memfd:runc", "memfd:crun", "youki:[")
"""The name of a program that runs from a copy in memory, since 6.14 and of crun: https://lwn.net/Articles/1001012/"""


def victim_kind(name: str) -> VictimKind:
    """By the victim's name. Run from a descriptor (fexecve), runc is called by its number."""
    if name == "pause":
        return VictimKind.PAUSE
    is_descriptor = name.isascii() and name.isdigit() and len(name) <= 3
    is_runtime = name in RUNTIME_NAMES or name.startswith(RUNTIME_BEGINNINGS) or is_descriptor
    return VictimKind.RUNTIME_INIT if is_runtime else VictimKind.PROCESS


class Moment(NamedTuple):
    """`seconds` by the log's own clock, None where it has none; `is_exact`: finer than seconds."""

    line: int
    seconds: float | None
    is_exact: bool = False

    def is_within(self, lines: int, seconds: float, of: Moment) -> bool:
        if abs(self.line - of.line) > lines:
            return False
        return self.seconds is None or of.seconds is None or abs(self.seconds - of.seconds) <= seconds


class OomReport(Struct, eq=False):
    """What is known so far. `last` is the type of its newest line, `decided` who is to be killed."""

    caller: str
    started: Moment
    touched: Moment
    last: type[object] = object
    stage: int = 0
    """How far it has come; see kernel_log."""
    has_header: bool = False
    invoker: str = ""
    invoker_pid: int | None = None
    invoker_cpuset: str = ""
    limit: LimitReached | None = None
    """Before 5.0."""
    has_stats: bool = False
    stats_path: str = ""
    """Where nothing before it names the cgroup."""
    memory: Counter | None = None
    kernel_memory_bytes: int | None = None
    shows_node_memory: bool = False
    columns: tuple[str, ...] = ()
    listed: dict[int, int | None] = field(default_factory=dict)
    """The table's pids -> their total-vm in pages."""
    largest: list[tuple[int, int, ListedTask]] = field(default_factory=list)
    """A heap of the MOST_TASKS largest."""
    summary: Summary | None = None
    chosen: Chosen | None = None
    victims: dict[int, Task] = field(default_factory=dict)
    killed_globally: bool | None = None
    killed_at: Moment | None = None
    group_path: str = ""
    group_victims: int = 0
    """Victims that were there before the group's."""
    no_killable: bool = False
    is_exiting: bool = False
    is_mixed: bool = False
    """Lines that may have been its own could not be told from another report's."""
    is_copy: bool = False
    """A second copy of a report that was read already."""
    lines: list[LogLine] = field(default_factory=list)
    stamp: LogLine | None = None
    """The line whose time is the kill's."""

    @property
    def is_done(self) -> bool:
        return bool(self.victims) or self.no_killable or self.is_exiting or self.is_copy or bool(self.group_path)

    @property
    def is_excerpt(self) -> bool:
        """Whether lines that every report has are not there, as in a log of which only some words were kept (grep)."""
        return self.memory is None and self.invoker_pid is None and not self.shows_node_memory

    @property
    def has_lost_stats(self) -> bool:
        """Whether it is about a cgroup, and the statistics that stand before a table have not been there."""
        return not self.has_stats and (self.limit is not None or self.memory is not None)

    @property
    def decided_pid(self) -> int | None:
        if self.chosen is not None:
            return self.chosen.pid
        return self.summary.pid if self.summary is not None else None

    @property
    def is_decided(self) -> bool:
        return self.chosen is not None or self.summary is not None

    @property
    def is_global(self) -> bool | None:
        """Whether it was the node's memory that ran out; None while nothing says so."""
        if self.summary is not None and (self.summary.is_global or self.summary.oom_path):
            return self.summary.is_global
        if self.limit is not None or self.memory is not None or self.stats_path:
            return False
        if self.chosen is not None:
            return self.chosen.is_global
        return self.killed_globally if self.killed_globally is not None else (self.shows_node_memory or None)

    @property
    def oom_path(self) -> str:
        if self.summary is not None and (self.summary.oom_path or self.summary.is_global):
            return self.summary.oom_path
        return self.limit.oom_path if self.limit is not None else self.stats_path

    @property
    def task_path(self) -> str:
        """A group is killed in the victim's cgroup or one above it, so it says less than the other two."""
        if self.summary is not None and self.summary.task_path:
            return self.summary.task_path
        return self.limit.task_path if self.limit is not None and self.limit.task_path else self.group_path

    def has_decided_on(self, pid: int) -> bool:
        """Only a decision that stands in one line with the cgroup goes without the table."""
        return pid == self.decided_pid and (self.summary is not None or not self.listed or pid in self.listed)

    def may_kill(self, name: str) -> bool:
        """Whether it may kill one of this name, who is in no table, in place of whom it chose: a thread of it, or,
        before 5.2, a child."""
        if self.chosen is not None and self.summary is None:
            return not self.listed and not self.is_mixed
        return self.summary is not None and (name == self.summary.name or self.summary.pid is None)

    def names(self, pid: int) -> bool:
        return pid == self.decided_pid or pid in self.listed

    def is_invoked_in(self, path: str) -> bool:
        return bool(self.invoker_cpuset) and self.invoker_cpuset in path.split("/")

    def keep_line(self, line: LogLine, most: int = MOST_LINES - 1) -> None:
        """As proof; the last place is a kill line's."""
        if len(self.lines) < most:
            self.lines.append(shortened(line))

    def list_task(self, task: ListedTask) -> None:
        """Of one pid the first row counts: a damaged log has others."""
        if len(self.listed) >= MOST_LISTED or task.pid in self.listed:
            return
        self.listed[task.pid] = task.total_vm
        entry = (task.rss, -len(self.listed), task)
        if len(self.largest) < MOST_TASKS:
            heapq.heappush(self.largest, entry)
        elif entry > self.largest[0]:
            heapq.heapreplace(self.largest, entry)

    def add_victim(self, line: LogLine, killed: Killed, at: Moment) -> None:
        if not self.victims:
            self.keep_line(line, MOST_LINES)
            self.stamp = line
        if len(self.victims) < MOST_VICTIMS:
            self.victims[killed.task.pid] = killed.task
        if killed.is_global is not None:
            self.killed_globally = killed.is_global
        self.killed_at = at

    def has_killed(self, task: Task) -> bool:
        known = self.victims.get(task.pid)
        return known is not None and known.name == task.name

    def page_size(self) -> int | None:
        """Bytes: a victim's total-vm stands in kB in its kill line, in pages in the table."""
        for pid, task in self.victims.items():
            pages, size = self.listed.get(pid), task.total_vm_bytes
            if pages and size and size // pages in PAGE_SIZES:
                return size // pages
        return None

    def has_told_something(self) -> bool:
        """Whether it says that a task was to be killed, or that there was none."""
        has_task = self.limit is not None and bool(self.limit.task_path)
        return bool(self.victims) or self.no_killable or self.is_decided or has_task

    def kill(self, node: str, page_size: int) -> KernelKill:
        victims = tuple(self.victims.values()) or self._named_victim()
        level, oom_cgroup = self._level()
        stamp = self.stamp or self.lines[-1]
        memory = self.memory
        return KernelKill(
            level=level,
            oom_cgroup=oom_cgroup,
            task_cgroup=read_cgroup_path(self.task_path) if self.task_path else None,
            victims=victims,
            victim_kind=victim_kind(victims[0].name) if victims else VictimKind.PROCESS,
            invoker=self.invoker,
            usage_bytes=memory.usage_bytes if memory else None,
            limit_bytes=memory.limit_bytes if memory else None,
            failcnt=memory.failcnt if memory else None,
            kernel_memory_bytes=self.kernel_memory_bytes,
            tasks=tuple(task.in_bytes(page_size) for _, _, task in sorted(self.largest, reverse=True)),
            group=bool(self.group_path),
            no_killable=self.no_killable and not victims,
            time=stamp.time,
            zone_known=stamp.zone_known,
            uptime_seconds=stamp.uptime_seconds,
            node=node or stamp.host,
            whole=self._is_whole(),
            lines=tuple(self.lines),
        )

    def _named_victim(self) -> tuple[Task, ...]:
        """Of a report that ends before its kill line. Nobody is named where nobody was found, or somebody else's."""
        for decision in (self.summary, self.chosen):
            if decision is not None and decision.pid is not None and self.has_decided_on(decision.pid):
                return () if self.no_killable else (Task(decision.pid, decision.name),)
        return ()

    def _level(self) -> tuple[Level, CgroupPath | None]:
        """Level.OTHER without a cgroup: the report does not tell."""
        if self.oom_path:
            cgroup = read_cgroup_path(self.oom_path)
            return cgroup.level, cgroup
        return (Level.NODE if self.is_global else Level.OTHER), None

    def _is_whole(self) -> bool:
        has_limit = self.is_global or (bool(self.oom_path) and self.memory is not None)
        return self.has_header and bool(has_limit) and (bool(self.victims) or self.no_killable) and not self.is_mixed

    def fits_path(self, path: str) -> bool:
        """Whether a line about this cgroup can be the report's: it is the one at its limit, or below it."""
        return not self.oom_path or is_at_or_below(path, self.oom_path)

    def fits_summary(self, summary: Summary) -> bool:
        if self.is_decided or (self.is_global is not None and self.is_global != summary.is_global):
            return False
        return not self.oom_path or not summary.oom_path or self.oom_path == summary.oom_path
