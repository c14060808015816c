"""Writes reports of the OOM killer as the kernels of each generation print them, for any pod and process.

After dump_header, dump_tasks, dump_oom_summary, __oom_kill_process of mm/oom_kill.c and mem_cgroup_print_oom_* of
mm/memcontrol.c, of the versions named in KERNELS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kubectl_memdoctor.evidence.log_line import LogLine, Writer

UID = "4b1d7c9e-30f2-4a58-8c6d-e2a95f07b613"
CID = "7e5a" * 16
PAUSE_ID = "c0d1" * 16


NUMBERS = "{uid:5d} {pid:5d} {total_vm:8d} {rss:8d}"
ENDING = "pgtables_bytes swapents oom_score_adj name"
TABLES = {
    "nr_ptes": (
        "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
        "[{pid:5d}] " + NUMBERS + " {tables:7d} {swap:8d}         {adj:5d} {comm}",
    ),
    "nr_pmds": (
        "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name",
        "[{pid:5d}] " + NUMBERS + " {tables:7d} {swap:7d} {swap:8d}         {adj:5d} {comm}",
    ),
    "pgtables_bytes": (
        "[  pid  ]   uid  tgid total_vm      rss " + ENDING,
        "[{pid:7d}] " + NUMBERS + " {tables:8d} {swap:8d}         {adj:5d} {comm}",
    ),
    "rss_anon": (
        "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem " + ENDING,
        "[{pid:7d}] " + NUMBERS + " {rss:8d} {swap:8d} {swap:9d} {tables:8d} {swap:8d}         {adj:5d} {comm}",
    ),
}


@dataclass(frozen=True)
class Kernel:
    """What changed from one generation to the next."""

    name: str
    gfp: str = "0xcc0(GFP_KERNEL)"
    nodemask: str = ""
    cpuset_line: bool = False
    task_in: bool = False
    v1: bool = True
    stats: str = "lines"
    """path: a line for each cgroup with all of it; lines: a line for each number."""
    tasks_state: bool = True
    table: str = "pgtables_bytes"
    summary: str = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null)"
    chosen: bool = False
    killed: str = "kB, shmem-rss:{shmem}kB, UID:0 pgtables:88kB oom_score_adj:{adj}"
    uid_after_name: bool = False
    says_whose: bool = True
    """Killed: with `Memory cgroup out of memory: `."""
    cpu_uid: bool = False
    reaper: bool = True


def _before_5_0(name: str, gfp: str, table: str, **changes: object) -> Kernel:
    features: dict[str, object] = {
        "cpuset_line": True,
        "task_in": True,
        "stats": "path",
        "tasks_state": False,
        "summary": "",
        "chosen": True,
        "killed": "kB, shmem-rss:{shmem}kB",
        "says_whose": False,
    }
    return Kernel(name, gfp, table=table, **{**features, **changes})  # type: ignore[arg-type]


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _before_5_0("3.10", "0xd0", "nr_ptes", killed="kB", reaper=False),
        _before_5_0("3.10-rhel7", "0xd0", "nr_ptes", uid_after_name=True, reaper=False),
        _before_5_0(
            "3.10-patched", "0xd0", "nr_ptes", task_in=False, summary="oom-kill:", cpuset_line=False, reaper=False
        ),
        _before_5_0("4.4", "0x24000c0", "nr_pmds", killed="kB", reaper=False),
        _before_5_0("4.14", "0x14000c0(GFP_KERNEL)", "nr_pmds", nodemask="nodemask=(null),  "),
        _before_5_0("4.19", "0x6000c0(GFP_KERNEL)", "pgtables_bytes", nodemask="nodemask=(null), ", tasks_state=True),
        Kernel("4.18-rhel8", "0x6000c0(GFP_KERNEL)", stats="path"),
        Kernel(
            "5.0",
            "0x6000c0(GFP_KERNEL)",
            stats="path",
            summary="oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null)",
            chosen=True,
            killed="kB, shmem-rss:{shmem}kB",
            says_whose=False,
        ),
        Kernel("5.4"),
        Kernel("5.15-v2", v1=False),
        Kernel("6.1-v2", v1=False),
        Kernel("6.8-v2", v1=False, table="rss_anon"),
        Kernel("6.12-v1", table="rss_anon", cpu_uid=True),
    )
}


@dataclass(frozen=True)
class Process:
    pid: int
    comm: str
    total_vm: int = 5000
    """Pages, as the next."""
    rss: int = 1200
    adj: int = 937


@dataclass(frozen=True)
class Oom:
    """One event. `oom_path` "": the node's memory. `group`: memory.oom.group of the victim's cgroup."""

    victim: Process = Process(23817, "java", 81920, 65000)
    others: tuple[Process, ...] = ()
    oom_path: str = f"/kubepods/burstable/pod{UID}/{CID}"
    task_path: str = f"/kubepods/burstable/pod{UID}/{CID}"
    invoker: Process | None = None
    limit_kb: int = 262144
    usage_kb: int = 262140
    failcnt: int = 1913
    kmem_kb: int = 880
    group: bool = False
    killed_pid: int | None = None
    """Where a thread of the victim was chosen."""
    page_kb: int = 4
    noise: tuple[str, ...] = field(default=())
    """Other messages, one after each line of the report until they are used up."""

    @property
    def is_global(self) -> bool:
        return not self.oom_path


STACK = ("Call Trace:", " dump_stack+0x5c/0x78", " dump_header+0x66/0x280", " oom_kill_process+0x231/0x450")


def report(kernel: Kernel, oom: Oom) -> list[str]:
    """All of its lines, from the header to the reaper."""
    lines = [*header(kernel, oom), *memory(kernel, oom), *table(kernel, oom), *decision(kernel, oom)]
    lines += kills(kernel, oom)
    noisy: list[str] = []
    for index, line in enumerate(lines):
        noisy += [line, *oom.noise[index : index + 1]]
    return noisy


def header(kernel: Kernel, oom: Oom) -> Iterator[str]:
    invoker = oom.invoker or oom.victim
    yield (
        f"{invoker.comm} invoked oom-killer: gfp_mask={kernel.gfp}, {kernel.nodemask}order=0,"
        f" oom_score_adj={invoker.adj}"
    )
    if kernel.cpuset_line:
        yield f"{invoker.comm} cpuset={oom.task_path.rpartition('/')[2] or '/'} mems_allowed=0"
    user = "UID: 0 " if kernel.cpu_uid else ""
    yield f"CPU: 3 {user}PID: {invoker.pid} Comm: {invoker.comm} Not tainted {kernel.name} #1"
    yield "Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2 04/01/2014"
    yield from STACK


UNLIMITED = "9007199254740988kB"


def memory(kernel: Kernel, oom: Oom) -> Iterator[str]:
    if oom.is_global:
        yield "Mem-Info:"
        yield "active_anon:1021 inactive_anon:188223 isolated_anon:0"
        yield "Node 0 DMA free:15868kB min:20kB low:32kB high:44kB active_anon:0kB inactive_anon:0kB"
        yield "0 pages HighMem/MovableOnly"
        return
    if kernel.task_in:
        yield f"Task in {oom.task_path} killed as a result of limit of {oom.oom_path}"
    yield f"memory: usage {oom.usage_kb}kB, limit {oom.limit_kb}kB, failcnt {oom.failcnt}"
    if kernel.v1:
        yield f"memory+swap: usage {oom.usage_kb}kB, limit {UNLIMITED}, failcnt 0"
        yield f"kmem: usage {oom.kmem_kb}kB, limit {UNLIMITED}, failcnt 0"
    else:
        yield "swap: usage 0kB, limit 0kB, failcnt 0"
    yield from stats(kernel, oom)


def stats(kernel: Kernel, oom: Oom) -> Iterator[str]:
    if kernel.stats == "path":
        for path in dict.fromkeys((oom.oom_path, oom.task_path)):
            yield f"Memory cgroup stats for {path}: cache:0KB rss:{oom.usage_kb}KB rss_huge:0KB mapped_file:0KB"
        return
    yield f"Memory cgroup stats for {oom.oom_path}:"
    yield f"anon {oom.usage_kb * 1024}"
    yield "file 0"
    yield "kernel_stack 98304"


def table(kernel: Kernel, oom: Oom) -> Iterator[str]:
    if kernel.tasks_state:
        yield "Tasks state (memory values in pages):"
    head, row = TABLES[kernel.table]
    yield head
    tables = 14 if kernel.table.startswith("nr_") else 90112
    for process in (oom.victim, *oom.others):
        numbers = {"total_vm": process.total_vm, "rss": process.rss, "tables": tables, "swap": 0, "adj": process.adj}
        yield row.format(pid=process.pid, uid=0, comm=process.comm, **numbers)


def decision(kernel: Kernel, oom: Oom) -> Iterator[str]:
    victim = oom.victim
    pid = oom.killed_pid or victim.pid
    if kernel.summary:
        where = ",global_oom" if oom.is_global else f",oom_memcg={oom.oom_path}"
        constraint = kernel.summary.replace("_MEMCG", "_NONE") if oom.is_global else kernel.summary
        yield (
            f"{constraint},cpuset={oom.task_path.rpartition('/')[2] or '/'},mems_allowed=0{where}"
            f",task_memcg={oom.task_path},task={victim.comm},pid={pid},uid=0"
        )
    if kernel.chosen:
        yield f"{whose(oom)}: Kill process {pid} ({victim.comm}) score 998 or sacrifice child"


def whose(oom: Oom) -> str:
    return "Out of memory" if oom.is_global else "Memory cgroup out of memory"


def kill_line(kernel: Kernel, oom: Oom, process: Process) -> str:
    start = f"{whose(oom)}: " if kernel.says_whose else ""
    user = ", UID 0," if kernel.uid_after_name else ""
    anon, total = process.rss * oom.page_kb, process.total_vm * oom.page_kb
    end = kernel.killed.format(shmem=0, adj=process.adj)
    who = f"Killed process {process.pid} ({process.comm}){user}"
    return f"{start}{who} total-vm:{total}kB, anon-rss:{anon}kB, file-rss:0{end}"


def kills(kernel: Kernel, oom: Oom) -> Iterator[str]:
    yield kill_line(kernel, oom, oom.victim)
    if oom.group:
        yield f"Tasks in {oom.task_path} are going to be killed due to memory.oom.group set"
        for process in (*oom.others, oom.victim):
            yield kill_line(kernel, oom, process)
    if kernel.reaper:
        yield (
            f"oom_reaper: reaped process {oom.victim.pid} ({oom.victim.comm}), now anon-rss:0kB, file-rss:0kB,"
            " shmem-rss:0kB"
        )


def suppressed(kernel: Kernel, oom: Oom) -> list[str]:
    """What is left of a report that is rate-limited."""
    chosen = [line for line in decision(kernel, oom) if not line.startswith("oom-kill:")]
    return [*chosen, *kills(kernel, oom)]


def logged(texts: list[str], start: float = 1000.0, step: float = 0.00002) -> list[LogLine]:
    """As a raw dmesg has them."""
    return [
        LogLine(text, Writer.KERNEL, "dmesg", number, uptime_seconds=round(start + number * step, 6))
        for number, text in enumerate(texts, 1)
    ]
