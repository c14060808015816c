"""One line of the kernel's OOM killer -> what it says, for every kernel since 3.10.

Which lines a report has, and in which order, changed over the years:

- header: `COMM invoked oom-killer: ...`, `CPU: N PID: N Comm: ...`, before 5.0 `COMM cpuset=ID mems_allowed=N`;
- limit: `memory: usage ...` and the other counters, `Memory cgroup stats for PATH:`, and before 5.0 in front of them
  `Task in PATH killed as a result of limit of PATH`;
- tasks: `[ pid ] uid tgid ... name` and a row for each;
- decision: `oom-kill:constraint=...` (since 5.0 and in the 4.18 and 3.10 of RHEL and others), before 5.3
  `Memory cgroup out of memory: Kill process ...`;
- kill: `Killed process ...`, of a memory.oom.group many;
- afterwards: `oom_reaper: reaped process ...`.

https://github.com/torvalds/linux/blob/v6.12/mm/oom_kill.c and mm/memcontrol.c, and the same of v3.10 to v5.10.

What processes and the cgroups below a container are called is their own choice, so nothing is split at a text that such
a name may hold: paths are held against one another, and what follows a name is found from the line's end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from msgspec import Struct

from kubectl_memdoctor.evidence.node_evidence import Task

LONGEST_LINE = 8192
"""Letters. /dev/kmsg hands out records of no more (CONSOLE_EXT_LOG_MAX, later PRINTK_MESSAGE_MAX)."""
LONGEST_COMM = 64
"""TASK_COMM_LEN is 16 bytes, of which /dev/kmsg writes those that do not print as \\xNN."""


class Invoked(Struct, frozen=True):
    """The header: `name` asked for memory."""

    name: str


class InvokerCpuset(Struct, frozen=True):
    """`cpuset` is the last name of the invoker's cgroup, in Kubernetes its container's."""

    name: str
    cpuset: str


class Running(Struct, frozen=True):
    """Which process the report's stack is of; `named` begins with its name."""

    pid: int
    named: str


class LimitReached(Struct, frozen=True):
    """`task_path` is the cgroup of whom it chose, "" where it found nobody."""

    oom_path: str
    task_path: str = ""


class Counter(Struct, frozen=True):
    """`name` is memory, memory+swap, swap or kmem. `limit_bytes` None: unlimited."""

    name: str
    usage_bytes: int
    limit_bytes: int | None
    failcnt: int | None


class Stats(Struct, frozen=True):
    """Of the cgroup at its limit, and before 5.2 of each one below it."""

    path: str


class NodeMemory(Struct, frozen=True):
    """The report is about the node's memory as a whole."""


class TableHead(Struct, frozen=True):
    """The columns after the pid, of which the last is the name; () of the line that announces a table (since 4.19)."""

    columns: tuple[str, ...]


class TableRow(Struct, frozen=True):
    """`rest` is to be split by the table's own head."""

    pid: int
    rest: str


class Summary(Struct, frozen=True):
    """The decision in one line. Paths are "" where the line does not name them, or was cut off before their end."""

    oom_path: str = ""
    task_path: str = ""
    is_global: bool = False
    pid: int | None = None
    name: str = ""

    @property
    def is_whole(self) -> bool:
        return self.pid is not None and bool(self.task_path) and (self.is_global or bool(self.oom_path))


class Chosen(Struct, frozen=True):
    """Before 5.3. One of its threads or children may be killed in its stead."""

    pid: int
    name: str
    is_global: bool


class Killed(Struct, frozen=True):
    """`is_global` None: the line does not say (before 5.3)."""

    task: Task
    is_global: bool | None


class GroupKill(Struct, frozen=True):
    """All tasks of the cgroup follow, the first victim among them once more."""

    path: str


class NothingKillable(Struct, frozen=True):
    pass


class AlreadyExiting(Struct, frozen=True):
    """Not killed, since it was on its way out."""

    pid: int


class Reaped(Struct, frozen=True):
    pid: int


class ReportsSuppressed(Struct, frozen=True):
    """Rate-limited: so many reports had no more than their kill lines."""

    count: int


class MessagesLost(Struct, frozen=True):
    """Messages that never reached the log."""


class PagesRefused(Struct, frozen=True):
    """The node itself had no free pages of the kind that was asked for; no cgroup's limit has a part in it: a page that
    cannot be charged is given back without a word.
    https://github.com/torvalds/linux/blob/v4.18/mm/page_alloc.c (__alloc_pages_nodemask)"""


class SlabRefused(Struct, frozen=True):
    """There was no page for a cache of the kernel's, or it could not be charged. The cache's line follows."""


class SlabCache(Struct, frozen=True):
    """`cgroup` is its last name alone. Before 5.9 each cgroup had caches of its own, named after it.
    https://github.com/torvalds/linux/blob/v4.18/mm/slab_common.c (memcg_create_kmem_cache)"""

    cgroup: str


OomLine: TypeAlias = (
    Invoked
    | InvokerCpuset
    | Running
    | LimitReached
    | Counter
    | Stats
    | NodeMemory
    | TableHead
    | TableRow
    | Summary
    | Chosen
    | Killed
    | GroupKill
    | NothingKillable
    | AlreadyExiting
    | Reaped
    | ReportsSuppressed
    | MessagesLost
    | PagesRefused
    | SlabRefused
    | SlabCache
)


def read_oom_line(text: str) -> OomLine | None:
    """None: nothing of the OOM killer's. Takes time linear in LONGEST_LINE."""
    text = text[:LONGEST_LINE].strip()
    named = _by_middle(text)
    if named is not None:
        return named
    for start, reader in _BY_LETTER.get(text[:1], ()):
        if text.startswith(start) and (line := reader(text)) is not None:
            return line
    return None


def is_at_or_below(path: str, ancestor: str) -> bool:
    return path == ancestor or path.startswith(ancestor.rstrip("/") + "/")


_CALLER = re.compile(r"\[ {0,6}([TC]\d{1,10})\] ?")


def split_caller(text: str) -> tuple[str, str]:
    """Who printed it (thread or CPU, where CONFIG_PRINTK_CALLER says so), and the rest."""
    found = _CALLER.match(text) if text.startswith("[") else None
    return (found[1], text[found.end() :]) if found else ("", text)


_INVOKED = " invoked oom-killer: "
_CPUSET = re.compile(r"(.{1,64}) cpuset=(\S{1,255}) mems_allowed=")
_PAGE_FAILURE = ": page allocation failure: "
_SUPPRESSED = re.compile(r"oom_kill_process: (\d{1,10}) callbacks suppressed")
_LOST = re.compile(
    # kernel/printk/printk.c; journald-server.c and journald-kmsg.c of systemd; plugins/imjournal of rsyslog
    r"\*\* \d{1,20} printk messages dropped|Missed \d{1,20} kernel messages|imjournal: \d{1,20} messages lost"
)


def _by_middle(text: str) -> OomLine | None:
    """Lines that begin with a process' name, which may be the beginning of any other line."""
    invoked = text.find(_INVOKED, 0, LONGEST_COMM + len(_INVOKED))
    if invoked > 0:
        return Invoked(text[:invoked])
    cpuset = _CPUSET.match(text) if text.find(" cpuset=", 0, LONGEST_COMM + 8) > 0 else None
    if cpuset:
        return InvokerCpuset(cpuset[1], cpuset[2])
    if text.find(_PAGE_FAILURE, 0, LONGEST_COMM + len(_PAGE_FAILURE)) > 0:
        return PagesRefused()
    return None


def _lost(text: str) -> OomLine | None:
    return MessagesLost() if _LOST.match(text) else None


_RUNNING = re.compile(r"(?:CPU: \d{1,6} (?:UID: \d{1,10} )?)?P(?:ID|id): (\d{1,10}),? [Cc]omm: (.+)")


def _running(text: str) -> OomLine | None:
    found = _RUNNING.match(text)
    return Running(int(found[1]), found[2]) if found else None


# Limits

_TASK_IN = "Task in "
_AS_A_RESULT = "killed as a result of limit of"
_LIMIT_REACHED = "Memory limit reached of cgroup "
MOST_SPLITS = 8
"""At so many places a line is tried to be split in two; a second one is a container's attempt to mislead."""


def _task_in(text: str) -> OomLine | None:
    for place in _places(text, _AS_A_RESULT, len(_TASK_IN)):
        task, oom = text[len(_TASK_IN) : place].strip(), text[place + len(_AS_A_RESULT) :].strip()
        if oom.startswith("/") and is_at_or_below(task, oom):
            return LimitReached(oom, task)
    return None


def _limit_reached(text: str) -> OomLine | None:
    path = text[len(_LIMIT_REACHED) :].strip()
    return LimitReached(path) if path.startswith("/") else None


def _places(text: str, part: str, start: int) -> Iterator[int]:
    for _ in range(MOST_SPLITS):
        place = text.find(part, start)
        if place < 0:
            return
        yield place
        start = place + len(part)


_COUNTER = re.compile(
    r"(memory|memory\+swap|kmem|swap): usage (\d{1,20})kB, limit (\d{1,20})kB(?:, failcnt (\d{1,20}))?"
)
UNLIMITED_KB = 9_000_000_000_000_000
"""Nearly 2^53: PAGE_COUNTER_MAX and, before 3.19, RES_COUNTER_MAX, a little less with larger pages."""


def _counter(text: str) -> OomLine | None:
    found = _COUNTER.match(text)
    if not found:
        return None
    limit = int(found[3])
    failcnt = int(found[4]) if found[4] else None
    return Counter(found[1], int(found[2]) * 1024, limit * 1024 if limit < UNLIMITED_KB else None, failcnt)


_STATS = "Memory cgroup stats for "


def _stats(text: str) -> OomLine | None:
    """A path may hold colons itself. rsyslog writes a line break in a message as #012."""
    words = text[len(_STATS) :].split(None, 1)
    path, colon, _ = f"{words[0]}#012".partition(":#012") if words else ("", "", "")
    return Stats(path) if colon and path.startswith("/") else None


# The task table

_TABLE_HEAD = re.compile(r"\[ {1,4}pid {1,4}\] {1,8}(uid .{1,200}\bname)$")
_TABLE_ROW = re.compile(r"\[ {0,10}(\d{1,10})\] {1,16}(\d{1,10} {1,16}\d.*)", re.DOTALL)


def _of_table(text: str) -> OomLine | None:
    row = _TABLE_ROW.match(text)
    if row:
        return TableRow(int(row[1]), row[2])
    head = _TABLE_HEAD.match(text)
    return TableHead(tuple(head[1].split())) if head else None


class ListedTask(Struct, frozen=True):
    """A row of the table, in pages."""

    pid: int
    name: str
    total_vm: int | None
    rss: int
    oom_score_adj: int | None

    def in_bytes(self, page: int) -> Task:
        total = None if self.total_vm is None else self.total_vm * page
        return Task(self.pid, self.name, total, self.rss * page, self.oom_score_adj)


_NUMBER = re.compile(r"-?\d{1,20}")


def read_row(row: TableRow, columns: tuple[str, ...]) -> ListedTask | None:
    """By the table's head: columns came and went. A name may hold spaces and brackets."""
    values = row.rest.split(None, len(columns) - 1)
    if len(values) != len(columns) or not all(_NUMBER.fullmatch(value) for value in values[:-1]):
        return None
    named = {name: int(value) for name, value in zip(columns, values[:-1], strict=False)}
    if "rss" not in named:
        return None
    return ListedTask(row.pid, values[-1], named.get("total_vm"), named["rss"], named.get("oom_score_adj"))


# Decisions and kills

_OOM_MEMCG = ",oom_memcg=/"
_TASK_MEMCG = ",task_memcg=/"
_TASK = ",task="
_SUMMARY_END = re.compile(r",pid= {0,8}(\d{1,10}),uid= {0,8}\d{1,10}$")


def _summary(text: str) -> OomLine | None:
    """A cgroup's name holds no slash: what stands first with one is a path. A victim is at or below the limit."""
    oom, task = text.find(_OOM_MEMCG), text.find(_TASK_MEMCG)
    if oom >= 0 and (task < 0 or oom < task):
        oom_path, task_path, end = _nested_paths(text, oom + len(_OOM_MEMCG) - 1)
        return Summary(oom_path, task_path, False, *_victim(text, end))
    is_global = ",global_oom" in (text[:task] if task >= 0 else text)
    if task < 0:
        return Summary(is_global=True) if is_global else None
    end = text.find(_TASK, task)
    task_path = text[task + len(_TASK_MEMCG) - 1 : end] if end >= 0 else ""
    return Summary("", task_path, is_global, *_victim(text, end))


def _nested_paths(text: str, start: int) -> tuple[str, str, int]:
    """Path of the limit, of the victim, and where that one ends (-1: not at all)."""
    first = ""
    for place in _places(text, _TASK_MEMCG, start):
        oom_path = text[start:place]
        first = first or oom_path
        end = text.find(_TASK, place)
        task_path = text[place + len(_TASK_MEMCG) - 1 : end] if end >= 0 else ""
        if is_at_or_below(task_path, oom_path):
            return oom_path, task_path, end
    return first, "", text.find(_TASK, start)


def _victim(text: str, start: int) -> tuple[int | None, str]:
    end = _SUMMARY_END.search(text, max(len(text) - 48, start, 0)) if start >= 0 else None
    return (int(end[1]), text[start + len(_TASK) : end.start()]) if end else (None, "")


_OUT_OF_MEMORY = re.compile(r"(Memory cgroup o|O)ut of memory(?: \([a-z_]{1,40}\))?(: | and no killable processes)")
_CHOSEN = re.compile(r"Kill process (\d{1,10}) \((.{1,80}?)\) score \d{1,20}\b", re.DOTALL)
_EXITING = re.compile(r"OOM victim (\d{1,10}) \(")


def _out_of_memory(text: str) -> OomLine | None:
    found = _OUT_OF_MEMORY.match(text)
    if not found:
        return None
    if found[2] != ": ":
        return NothingKillable()
    is_global, rest = found[1] == "O", text[found.end() :]
    chosen = _CHOSEN.match(rest)
    if chosen:
        return Chosen(int(chosen[1]), chosen[2], is_global)
    exiting = _EXITING.match(rest)
    return AlreadyExiting(int(exiting[1])) if exiting else _killed(rest, is_global)


_KILLED = re.compile(r"Killed process (\d{1,10})(?:, UID \d{1,10},)? ?\(")
_AFTER_NAME = re.compile(r"(?:, UID \d{1,10},)?,? ?total-vm:\d")
_SIZE = re.compile(r"\b(total-vm|anon-rss|file-rss|shmem-rss):(\d{1,20})kB")
_ADJ = re.compile(r"\boom_score_adj:(-?\d{1,5})\b")


def _killed(text: str, is_global: bool | None = None) -> OomLine | None:
    """A name may hold parentheses and all the rest; it ends at the last one that sizes follow.

    RHEL 6 and 7 write the UID before or after the name.
    """
    found = _KILLED.match(text)
    if not found:
        return None
    reach = text[: found.end() + LONGEST_COMM + 1]
    end = len(reach)
    while (end := reach.rfind(")", found.end(), end)) >= 0 and not _AFTER_NAME.match(text, end + 1):
        pass
    name, rest = (text[found.end() : end], text[end:]) if end >= 0 else _unfinished(text[found.end() :])
    sizes = {size[1]: int(size[2]) * 1024 for size in _SIZE.finditer(rest)}
    resident = [sizes[kind] for kind in ("anon-rss", "file-rss", "shmem-rss") if kind in sizes]
    adj = _ADJ.search(rest)
    task = Task(
        int(found[1]), name, sizes.get("total-vm"), sum(resident) if resident else None, int(adj[1]) if adj else None
    )
    return Killed(task, is_global)


def _unfinished(rest: str) -> tuple[str, str]:
    """Name and sizes of a line without the sizes' beginning, as one that was cut off."""
    end = rest.rfind(")", 0, LONGEST_COMM + 1)
    return (rest[:end], rest[end:]) if end >= 0 else (rest[:LONGEST_COMM], "")


_TASKS_IN = "Tasks in "
_GROUP_SET = " are going to be killed due to memory.oom.group set"
_REAPED = re.compile(r"oom_reaper: reaped process (\d{1,10}) \(")
_SLAB_CACHE = re.compile(r"cache: [^(]{1,200}\(\d{1,20}:([^)]{1,255})\), object size:")


def _group_kill(text: str) -> OomLine | None:
    path = text[len(_TASKS_IN) : -len(_GROUP_SET)]
    return GroupKill(path) if text.endswith(_GROUP_SET) and path.startswith("/") else None


def _reaped(text: str) -> OomLine | None:
    found = _REAPED.match(text)
    return Reaped(int(found[1])) if found else None


def _suppressed(text: str) -> OomLine | None:
    found = _SUPPRESSED.match(text)
    return ReportsSuppressed(int(found[1])) if found else None


def _slab_cache(text: str) -> OomLine | None:
    found = _SLAB_CACHE.match(text)
    return SlabCache(found[1]) if found else None


def _node_memory(_: str) -> OomLine:
    return NodeMemory()


def _tasks_state(_: str) -> OomLine:
    return TableHead(())


def _slab_refused(_: str) -> OomLine:
    return SlabRefused()


_BY_START: tuple[tuple[str, Callable[[str], OomLine | None]], ...] = (
    ("[", _of_table),
    (_STATS, _stats),
    ("Memory cgroup out of memory", _out_of_memory),
    ("Out of memory", _out_of_memory),
    ("Killed process ", _killed),
    ("oom-kill:", _summary),
    (_TASK_IN, _task_in),
    (_TASKS_IN, _group_kill),
    (_LIMIT_REACHED, _limit_reached),
    ("memory", _counter),
    ("kmem", _counter),
    ("swap", _counter),
    ("CPU: ", _running),
    ("Pid: ", _running),
    ("Mem-Info:", _node_memory),
    ("Tasks state (", _tasks_state),
    ("oom_reaper: ", _reaped),
    ("oom_kill_process: ", _suppressed),
    ("SLUB: Unable to allocate memory on ", _slab_refused),
    ("cache: ", _slab_cache),
    ("** ", _lost),
    ("Missed ", _lost),
    ("imjournal: ", _lost),
)
_BY_LETTER = {
    letter: tuple(entry for entry in _BY_START if entry[0][0] == letter)
    for letter in {start[0] for start, _ in _BY_START}
}
