"""Reports of the OOM killer of every kernel generation: whole, in pieces, between others, and forged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, zip_longest

import pytest
from msgspec import structs

from kubectl_memdoctor.evidence import allocation_tally, kept_kills
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.kept_kills import KeptKills, KillKey
from kubectl_memdoctor.evidence.kernel_log import LOOK_LINES, OPEN_LINES, KernelLogReader
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import MOST_LINES, MOST_TASKS, KernelKill, Task, VictimKind
from kubectl_memdoctor.evidence.oom_lines import (
    Counter,
    Killed,
    LimitReached,
    PagesRefused,
    SlabRefused,
    Stats,
    Summary,
    read_oom_line,
)
from kubectl_memdoctor.evidence.oom_report import victim_kind

from .kernel_lines.reports import (
    CID,
    KERNELS,
    PAUSE_ID,
    UID,
    Kernel,
    Oom,
    Process,
    decision,
    header,
    kill_line,
    kills,
    logged,
    memory,
    report,
    suppressed,
    table,
)
from .recorded_lines import recorded_lines

OTHER_UID = "9f3e2d1c-0b4a-4978-8f6e-5d4c3b2a1908"
OTHER_CID = "2b4d" * 16
POD = f"/kubepods/burstable/pod{UID}"
OTHER = Oom(
    victim=Process(40404, "ruby", 70000, 30000, 985),
    oom_path=f"/kubepods/burstable/pod{OTHER_UID}",
    task_path=f"/kubepods/burstable/pod{OTHER_UID}/{OTHER_CID}",
    limit_kb=102400,
    usage_kb=102396,
    failcnt=7,
)
NEW = KERNELS["6.1-v2"]
OLD = KERNELS["3.10"]

every_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=lambda kernel: kernel.name)


def read(lines: Iterable[LogLine], node: str = "") -> KernelLogReader:
    reader = KernelLogReader(node)
    for line in lines:
        reader.read(line)
    reader.finish()
    return reader


def read_texts(*parts: Iterable[str]) -> KernelLogReader:
    return read(logged([text for part in parts for text in part]))


def only_kill(reader: KernelLogReader) -> KernelKill:
    assert len(reader.kills) == 1, reader.kills
    return reader.kills[0]


def failed(reader: KernelLogReader) -> dict[str, int]:
    """The last name of a cgroup -> how often the kernel could not allocate for itself in it."""
    return {entry.cgroup.path: entry.count for entry in reader.allocation_failures}


def names(kill: KernelKill) -> list[str]:
    return [task.name for task in kill.victims]


# Whole reports


@every_kernel
@pytest.mark.parametrize("noise", [(), ("docker0: port 3(veth4c1e9d2) entered disabled state", "audit: type=1400") * 9])
def test_a_containers_limit(kernel: Kernel, noise: tuple[str, ...]) -> None:
    others = (Process(23790, "sh", 900, 300), Process(23791, "my app (v2) [x]", 4000, 900))
    kill = only_kill(read_texts(report(kernel, Oom(others=others, noise=noise))))
    assert (kill.level, kill.pod_uid, kill.container_id) == (Level.CONTAINER, UID, CID)
    assert (kill.limit_bytes, kill.usage_bytes, kill.failcnt) == (268435456, 268431360, 1913)
    assert kill.kernel_memory_bytes == (880 * 1024 if kernel.v1 else None)
    assert kill.victims[0].total_vm_bytes == 81920 * 4096
    assert kill.victims[0].rss_bytes == 65000 * 4096
    assert kill.tasks == (
        Task(23817, "java", 81920 * 4096, 65000 * 4096, 937),
        Task(23791, "my app (v2) [x]", 4000 * 4096, 900 * 4096, 937),
        Task(23790, "sh", 900 * 4096, 300 * 4096, 937),
    )
    assert kill.invoker == "java"
    assert (kill.whole, kill.group, kill.no_killable, kill.victim_kind) == (True, False, False, VictimKind.PROCESS)
    assert any("Killed process 23817 (java)" in line.text for line in kill.lines)


@every_kernel
@pytest.mark.parametrize(
    ("oom_path", "task_path", "level"),
    [
        (POD, f"{POD}/{CID}", Level.POD),
        ("/kubepods/burstable", f"{POD}/{CID}", Level.QOS),
        ("/kubepods", f"{POD}/{CID}", Level.ALLOCATABLE),
        ("/system.slice/x.service", "/system.slice/x.service", Level.OTHER),
        ("", f"{POD}/{CID}", Level.NODE),
        ("", "/", Level.NODE),
        (f"{POD}/{CID}", f"{POD}/{CID}/workers/a b", Level.CONTAINER),
    ],
)
def test_levels(kernel: Kernel, oom_path: str, task_path: str, level: Level) -> None:
    reader = read_texts(report(kernel, Oom(oom_path=oom_path, task_path=task_path)))
    kill = only_kill(reader)
    assert (kill.level, kill.whole, reader.gaps) == (level, True, ())
    names_task = oom_path or kernel.summary
    assert kill.pod_uid == (UID if names_task and UID in task_path else "")
    assert (kill.oom_cgroup.path if kill.oom_cgroup else "") == oom_path
    assert (kill.task_cgroup.path if kill.task_cgroup else "") == (task_path if names_task else "")


@every_kernel
def test_a_group_is_one_kill_with_each_victim_once(kernel: Kernel) -> None:
    others = (Process(23790, "sh"), Process(23791, "a) b (c"))
    kill = only_kill(read_texts(report(kernel, Oom(others=others, group=True))))
    assert names(kill) == ["java", "sh", "a) b (c"]
    assert (kill.group, kill.pod_uid, kill.whole) == (True, UID, True)


def test_a_group_between_the_reapers_lines() -> None:
    lines = report(NEW, Oom(others=(Process(7, "sh"), Process(8, "tini")), group=True))
    reaped = "oom_reaper: reaped process 23817 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
    exiting = "Memory cgroup out of memory: OOM victim 9 (x) is already exiting. Skip killing the task"
    kill = only_kill(read_texts(lines[:-4], [reaped, exiting], lines[-4:]))
    assert names(kill) == ["java", "sh", "tini"]


@every_kernel
@pytest.mark.parametrize("name", ["java", "C2 CompilerThre"])
def test_a_thread_was_chosen(kernel: Kernel, name: str) -> None:
    lines = report(kernel, Oom(killed_pid=23831))
    lines = [re.sub(r"(task=|Kill process 23831 \()java", rf"\g<1>{name}", line) for line in lines]
    kill = only_kill(read_texts(lines))
    assert (kill.pod_uid, [task.pid for task in kill.victims], kill.whole) == (UID, [23817], True)


def test_a_child_is_killed_in_place_of_its_parent() -> None:
    parent, child = Process(500, "bash"), Process(777, "tar")
    oom = Oom(victim=parent, others=(child,))
    lines = [*header(OLD, oom), *memory(OLD, oom), *table(OLD, oom), *decision(OLD, oom), kill_line(OLD, oom, child)]
    kill = only_kill(read_texts(lines))
    assert (names(kill), kill.whole) == (["tar"], True)


@pytest.mark.parametrize("page_kb", [4, 16, 64])
def test_the_page_size_is_worked_out_from_the_victim(page_kb: int) -> None:
    kill = only_kill(read_texts(report(NEW, Oom(page_kb=page_kb, others=(Process(1, "sh", 100, 10),)))))
    assert [task.rss_bytes for task in kill.tasks] == [65000 * page_kb * 1024, 10 * page_kb * 1024]


def test_the_largest_tasks_are_kept() -> None:
    crowd = tuple(Process(1000 + number, f"w{number}", 5000, number) for number in range(300))
    kill = only_kill(read_texts(report(NEW, Oom(others=crowd))))
    assert [task.name for task in kill.tasks] == ["java", *(f"w{number}" for number in range(299, 280, -1))]
    assert len(kill.tasks) == MOST_TASKS


def test_an_unlimited_cgroup_has_no_limit() -> None:
    assert only_kill(read_texts(report(NEW, Oom(limit_kb=9007199254740988)))).limit_bytes is None


def test_time_and_node() -> None:
    time = datetime(2026, 11, 28, 9, tzinfo=UTC)
    lines = [
        LogLine(text, Writer.UNKNOWN, "kern.log", number, time + timedelta(milliseconds=number), False, host="n7")
        for number, text in enumerate(report(NEW, Oom()), 1)
    ]
    killed = next(line for line in lines if "Killed process" in line.text)
    kill = only_kill(read(lines))
    assert (kill.time, kill.zone_known, kill.node) == (killed.time, False, "n7")
    assert only_kill(read(lines, "worker-1")).node == "worker-1"
    assert only_kill(read(logged(report(NEW, Oom())))).uptime_seconds == pytest.approx(1000, abs=1)


# Recorded and generated logs

KERNEL_FILES = ("3.10-rhel7", "3.10-patched", "4.4", "4.14", "4.18-rhel8", "4.19", "5.0", "5.4", "5.15-v2", "6.1-v2")


def read_file(name: str) -> KernelLogReader:
    return read(recorded_lines(f"kernel_lines/{name}.log", Writer.KERNEL))


@pytest.mark.parametrize("name", [*KERNEL_FILES, "6.8-v2"])
def test_three_kills_of_each_generation(name: str) -> None:
    reader = read_file(name)
    container, worker, node = reader.kills
    assert (container.level, container.pod_uid) == (Level.CONTAINER, "6a0c4f1e-92b7-4d35-a8e4-1f5b7093c2d8")
    assert (container.container_id, names(container)) == ("1f0a" * 16, ["java"])
    assert (container.limit_bytes, container.failcnt, len(container.tasks)) == (268435456, 2231, 2)
    assert (worker.container_id, worker.pod_uid) == ("52bd" * 16, "e81f5b26-0d4c-4a9b-b7f3-65d2c90a714e")
    assert (names(worker), worker.invoker) == (["nginx: worker"], "my app (beta) 2")
    assert (node.level, names(node), node.oom_cgroup) == (Level.NODE, ["prometheus, v2"], None)
    assert node.invoker == "kubelet"
    assert all(kill.whole for kill in reader.kills)
    assert reader.gaps == ()


def test_recorded_by_a_new_kernel() -> None:
    reader = read_file("recorded-6.18-v1")
    assert [kill.level for kill in reader.kills] == [Level.CONTAINER, Level.POD, Level.POD]
    assert [names(kill) for kill in reader.kills] == [["web (1), x"], ["java"], ["runc:[2:INIT]"]]
    assert [kill.victim_kind.name for kill in reader.kills] == ["PROCESS", "PROCESS", "RUNTIME_INIT"]
    assert [kill.limit_bytes for kill in reader.kills] == [24 << 20, 32 << 20, 400 << 10]
    assert {(kill.pod_uid, kill.container_id, kill.whole) for kill in reader.kills} == {
        ("b7c4e1d0-52a9-4f6b-8e33-90d1a6c2f547", "3f9a" * 16, True)
    }
    assert [len(kill.tasks) for kill in reader.kills] == [1, 2, 1]
    assert reader.gaps == ()


def test_a_sandbox_below_a_limit_of_nothing() -> None:
    reader = read_file("3.10-sandbox-loop")
    assert len(reader.kills) == 5
    assert {kill.pod_uid for kill in reader.kills} == {"c35e8f07-4b9d-11e9-9a6e-000c29b1f0a4"}
    assert {(kill.level, kill.victim_kind, kill.limit_bytes, kill.whole) for kill in reader.kills} == {
        (Level.POD, VictimKind.RUNTIME_INIT, 0, True)
    }
    assert [names(kill) for kill in reader.kills] == [["exe"], ["exe"], ["5"], ["exe"], ["runc:[1:CHILD]"]]
    failcnts = [kill.failcnt or 0 for kill in reader.kills]
    assert failcnts == sorted(failcnts)
    assert failcnts[0] > 30000
    assert len({kill.container_id for kill in reader.kills}) == 5
    assert failed(reader) == {kill.container_id: 1 for kill in reader.kills}
    assert all("kmalloc-192" in kill.lines[-1].text for kill in reader.kills)


def test_groups_of_which_the_second_report_was_suppressed() -> None:
    reader = read_file("6.8-v2-group")
    first, second = reader.kills
    assert (first.group, first.whole, names(first)) == (True, True, ["gunicorn", "tini", "gunicorn"])
    assert (second.group, second.whole, names(second)) == (True, False, ["ruby", "sh"])
    assert second.container_id == "52bd" * 16
    assert (second.level, second.oom_cgroup) == (Level.OTHER, None)
    assert reader.gaps == ("the kernel left out 1 of its OOM reports (rate limit)",)


def test_nothing_killable() -> None:
    old, new = read_file("nothing-killable").kills
    assert (old.level, old.no_killable, old.victims, old.whole) == (Level.POD, True, (), True)
    assert (new.level, new.no_killable, new.victims, new.whole) == (Level.POD, True, (), True)
    assert old.pod_uid == new.pod_uid == "e81f5b26-0d4c-4a9b-b7f3-65d2c90a714e"
    assert old.task_cgroup is None


# Reports in pieces


@every_kernel
def test_a_suppressed_report_is_a_kill_in_an_unknown_cgroup(kernel: Kernel) -> None:
    reader = read_texts(report(kernel, Oom()), suppressed(kernel, OTHER), ["oom_kill_process: 1 callbacks suppressed"])
    known, unknown = reader.kills
    assert (known.pod_uid, names(known)) == (UID, ["java"])
    assert (unknown.pod_uid, names(unknown), unknown.whole) == ("", ["ruby"], False)
    assert (unknown.level, unknown.oom_cgroup) == (Level.OTHER, None)
    assert len(reader.gaps) == 1


@every_kernel
def test_a_suppressed_report_about_the_node(kernel: Kernel) -> None:
    kill = only_kill(read_texts(suppressed(kernel, Oom(oom_path=""))))
    assert (kill.level, kill.whole) == (Level.NODE, False)


def test_a_suppressed_group_right_after_another() -> None:
    members = (Process(23790, "sh"),)
    first = Oom(others=members, group=True)
    second = replace(OTHER, group=True, others=(Process(40405, "sh", adj=985),))
    reader = read_texts(suppressed(NEW, first), suppressed(NEW, second))
    assert [(kill.pod_uid, names(kill)) for kill in reader.kills] == [
        (UID, ["java", "sh"]),
        (OTHER_UID, ["ruby", "sh"]),
    ]
    assert all(kill.lines and kill.uptime_seconds for kill in reader.kills)


def test_a_suppressed_kill_right_after_a_group_is_not_of_the_group() -> None:
    sandbox = replace(OTHER, victim=Process(40404, "runc:[2:INIT]", adj=-998))
    reader = read_texts(report(NEW, Oom(others=(Process(1, "sh"),), group=True))[:-1], suppressed(NEW, sandbox))
    assert [(kill.pod_uid, names(kill)) for kill in reader.kills] == [(UID, ["java", "sh"]), ("", ["runc:[2:INIT]"])]


@every_kernel
def test_a_report_that_was_cut_off_takes_nothing_from_the_next(kernel: Kernel) -> None:
    whole = report(kernel, OTHER)
    lines = report(kernel, Oom())
    for end in range(1, len(lines) - (2 if kernel.reaper else 1)):
        start = logged(lines[:end])
        reader = read([*start, *logged(whole, start=1002.0)])
        kill = next(kill for kill in reader.kills if names(kill) == ["ruby"])
        assert (kill.pod_uid, kill.limit_bytes, kill.whole) == (OTHER_UID, 102400 * 1024, True), lines[end - 1]
        assert [names(kill) for kill in reader.kills if kill.pod_uid == UID] in ([], [[]], [["java"]])
        assert reader.gaps


@every_kernel
def test_a_log_that_begins_within_a_report(kernel: Kernel) -> None:
    lines = report(kernel, Oom())
    killed = next(number for number, line in enumerate(lines) if line.endswith(kill_line(kernel, Oom(), Oom().victim)))
    for start in range(1, killed + 1):
        kill = only_kill(read_texts(lines[start:]))
        assert (names(kill), kill.whole) == (["java"], False)
        assert kill.pod_uid in (UID, "")


def test_what_was_decided_before_the_log_ends() -> None:
    lines = report(NEW, Oom())
    end = next(number for number, line in enumerate(lines) if line.startswith("oom-kill:"))
    reader = read_texts(lines[: end + 1])
    kill = only_kill(reader)
    assert (kill.pod_uid, [task.pid for task in kill.victims], kill.whole) == (UID, [23817], False)
    assert reader.gaps == ("1 OOM reports are cut off",)


def test_a_victim_that_was_exiting_by_itself() -> None:
    lines = report(NEW, Oom())[:-2]
    exiting = "Memory cgroup out of memory: OOM victim 23817 (java) is already exiting. Skip killing the task"
    reader = read_texts(lines, [exiting])
    assert (reader.kills, reader.gaps) == ((), ())


@every_kernel
def test_a_kill_before_its_report(kernel: Kernel) -> None:
    lines = report(kernel, Oom())
    killed = lines.pop(-2 if kernel.reaper else -1)
    for place in range(len(lines)):
        kill = only_kill(read_texts(lines[:place], [killed], lines[place:]))
        assert (kill.pod_uid, names(kill)) == (UID, ["java"])


@every_kernel
def test_every_line_twice(kernel: Kernel) -> None:
    lines = logged(report(kernel, Oom(group=True, others=(Process(5, "sh"),))))
    assert only_kill(read(chain.from_iterable(zip(lines, lines, strict=True)))).whole


@every_kernel
@pytest.mark.parametrize("between", [0, 400])
def test_the_whole_log_twice(kernel: Kernel, between: int) -> None:
    lines = logged([*report(kernel, Oom(group=True, others=(Process(5, "sh"),))), *report(kernel, OTHER)])
    reader = read([*lines, *logged(["x"] * between, 1001.0), *lines])
    assert sum(reader.counts.values()) == 2
    assert reader.gaps == ()


def test_a_line_in_parts() -> None:
    summary, limit = next(decision(NEW, Oom())), next(memory(OLD, Oom()))
    for line in (summary, limit):
        for end in range(len("oom-kill:"), len(line)):
            torn = [line[:end].rstrip(), line[end:]]
            kill = only_kill(read_texts(torn, [kill_line(NEW, Oom(), Oom().victim)]))
            assert (kill.pod_uid, kill.container_id) == (UID, CID)
    words = limit.split(" ")
    parts = ["Task in ", words[2], " killed as a result of limit of ", words[-1]]
    assert only_kill(read_texts(parts, [kill_line(OLD, Oom(), Oom().victim)])).pod_uid == UID


def test_a_line_that_the_pager_cut() -> None:
    lines = report(NEW, Oom(oom_path=""))
    index = next(number for number, line in enumerate(lines) if line.startswith("oom-kill:"))
    lines[index] = lines[index][: lines[index].index(UID) + 12] + ">"
    kill = only_kill(read_texts(lines))
    assert (kill.level, kill.pod_uid, names(kill)) == (Level.NODE, "", ["java"])


# Reports between reports


def interleaved(first: list[str], second: list[str]) -> list[str]:
    return [line for pair in zip_longest(first, second) for line in pair if line is not None]


@every_kernel
def test_callers_tell_reports_apart(kernel: Kernel) -> None:
    first = [f"[ T23817] {line}" for line in report(kernel, Oom())[:-1]]
    second = [f"[    C2] {line}" for line in report(kernel, OTHER)]
    reader = read_texts(interleaved(first, second))
    assert {(kill.pod_uid, kill.limit_bytes, *names(kill)) for kill in reader.kills if kill.whole} >= {
        (OTHER_UID, 102400 * 1024, "ruby")
    }
    assert {(kill.pod_uid, *names(kill)) for kill in reader.kills if kill.victims} == {
        (UID, "java"),
        (OTHER_UID, "ruby"),
    }


@every_kernel
def test_interleaved_reports_are_joined_by_pid_and_cgroup_or_not_at_all(kernel: Kernel) -> None:
    reader = read_texts(interleaved(report(kernel, Oom()), report(kernel, OTHER)))
    joined = {tuple(names(kill)): kill for kill in reader.kills}
    assert joined[("java",)].pod_uid in (UID, "")
    assert joined[("ruby",)].pod_uid in (OTHER_UID, "")
    if kernel.summary or kernel.chosen:
        assert (joined[("java",)].pod_uid, joined[("ruby",)].pod_uid) == (UID, OTHER_UID)
    for kill in reader.kills:
        own = {UID: 262144, OTHER_UID: 102400}.get(kill.pod_uid, 0)
        assert kill.limit_bytes in (None, own * 1024)


@every_kernel
def test_one_report_within_another(kernel: Kernel) -> None:
    lines = report(kernel, Oom())
    for place in range(1, len(lines) - 3):
        reader = read_texts(lines[:place], report(kernel, OTHER), lines[place:])
        for kill in reader.kills:
            assert (kill.pod_uid, *names(kill)) in {(UID, "java"), (OTHER_UID, "ruby"), ("", "java"), ("", "ruby")} | {
                (UID,),
                (OTHER_UID,),
            }
        assert {name for kill in reader.kills for name in names(kill)} == {"java", "ruby"}


FOREIGN = (
    "kworker/2:1: page allocation failure: order:4, mode:0xc0d0",
    "kworker/2:1 cpuset=/ mems_allowed=0",
    "WARNING: CPU: 2 PID: 77 at net/core/dev.c:2719 skb_warn_bad_offload+0x5b/0x6c",
    "CPU: 2 PID: 77 Comm: kworker/2:1 Not tainted",
    "Call Trace:",
    "Mem-Info:",
    "Node 0 DMA free:15868kB min:20kB low:32kB high:44kB active_anon:0kB inactive_anon:0kB",
    "[77] a message of a driver",
    "memory: a message of a driver",
)


@every_kernel
@pytest.mark.parametrize("oom", [Oom(), Oom(oom_path="")], ids=["cgroup", "node"])
def test_a_warning_within_a_report(kernel: Kernel, oom: Oom) -> None:
    lines = report(kernel, oom)
    clean = only_kill(read_texts(lines))
    for place in range(1, len(lines)):
        kill = only_kill(read_texts(lines[:place], FOREIGN, lines[place:]))
        assert [line.text for line in kill.lines] == [line.text for line in clean.lines]
        assert structs.replace(kill, lines=clean.lines, uptime_seconds=clean.uptime_seconds) == clean


# What single lines say

SIZES = "total-vm:100kB, anon-rss:20kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:1kB"


@pytest.mark.parametrize(
    ("text", "task", "is_global"),
    [
        (
            "Killed process 31 (java) total-vm:100kB, anon-rss:20kB, file-rss:4kB",
            Task(31, "java", 102400, 24576),
            None,
        ),
        (
            "Killed process 31 (a) b (c) total-vm:100kB, anon-rss:20kB, file-rss:4kB, shmem-rss:1kB",
            Task(31, "a) b (c", 102400, 25600),
            None,
        ),
        (
            "Killed process 31 (java), UID 1000, total-vm:100kB, anon-rss:20kB, file-rss:4kB, shmem-rss:0kB",
            Task(31, "java", 102400, 24576),
            None,
        ),
        (
            "Killed process 31, UID 679, (java) total-vm:100kB, anon-rss:20kB, file-rss:4kB",
            Task(31, "java", 102400, 24576),
            None,
        ),
        (
            f"Memory cgroup out of memory: Killed process 31 (x) total-vm:1kB) {SIZES} oom_score_adj:-998",
            Task(31, "x) total-vm:1kB", 102400, 20480, -998),
            False,
        ),
        (
            f"Out of memory (oom_kill_allocating_task): Killed process 31 (java) {SIZES} oom_score_adj:0",
            Task(31, "java", 102400, 20480, 0),
            True,
        ),
        ("Out of memory: Killed process 31 (java)", Task(31, "java"), True),
        ("Out of memory: Killed process 31 (ja", Task(31, "ja"), True),
    ],
)
def test_kill_lines(text: str, task: Task, is_global: bool | None) -> None:
    assert read_oom_line(text) == Killed(task, is_global)


@pytest.mark.parametrize(
    "name", ["a,task=b", "a,pid=1,uid=0", "(x", "x)", "a, b", "x,oom_memcg=/b", "oom-kill:", "\\x0a"]
)
def test_any_name_in_a_summary(name: str) -> None:
    (line,) = decision(NEW, Oom(victim=Process(31, name)))
    path = f"{POD}/{CID}"
    assert read_oom_line(line) == Summary(path, path, False, 31, name)


@pytest.mark.parametrize(
    "below",
    [
        f"x,task_memcg=/kubepods/burstable/pod{OTHER_UID}/{OTHER_CID}",
        f"x,oom_memcg=/kubepods/burstable/pod{OTHER_UID}",
        f"x,task=java,pid=1,uid=0,task_memcg=/kubepods/pod{OTHER_UID}",
        f" killed as a result of limit of /kubepods/burstable/pod{OTHER_UID}",
        f"x:/kubepods/pod{OTHER_UID}:",
        f"kubepods/pod{OTHER_UID}",
        f"x,global_oom,task_memcg=/kubepods/pod{OTHER_UID}",
    ],
)
@every_kernel
def test_a_cgroup_that_a_container_named_misleads_nobody(kernel: Kernel, below: str) -> None:
    path = f"{POD}/{CID}/{below}"
    for oom_path in (path, f"{POD}/{CID}", POD, ""):
        for kill in read_texts(report(kernel, Oom(oom_path=oom_path, task_path=path))).kills:
            assert kill.pod_uid in (UID, "")
            assert kill.level is not Level.NODE or not oom_path


def test_stats_lines_of_every_kind() -> None:
    path = f"/system.slice/containerd.service/kubepods-pod{UID.replace('-', '_')}.slice:cri-containerd:{CID}"
    for end in (": cache:0KB rss:8KB", ":", ":#012anon 1#012file 2", ":\nanon 1"):
        assert read_oom_line(f"Memory cgroup stats for {path}{end}") == Stats(path)
    assert read_oom_line(f"Memory cgroup stats for {path[:-9]}") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "java invoked oom-killer",
        "the pod was OOM-killed: Killed process 3 (x) total-vm:1kB",
        'level=info msg="Out of memory: Killed process 3 (java)"',
        "Killed process x (y)",
        "Out of memory error in line 3",
        "Task in hand killed as a result of limit of patience",
        "Tasks in /x are going to be killed",
        "memory: usage lots",
        "[12] not a row of any table's" + "x" * 3,
    ],
)
def test_other_lines_are_no_kills(text: str) -> None:
    reader = read([LogLine(text)])
    assert (reader.kills, reader.is_open) == ((), False)


def test_other_writers_are_not_read() -> None:
    assert read(structs.replace(line, writer=Writer.KUBELET) for line in logged(report(NEW, Oom()))).kills == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, VictimKind.RUNTIME_INIT) for name in ("runc:[0:PARENT]", "runc:[1:CHILD]", "runc:[2:INIT]", "runc")),
        *((name, VictimKind.RUNTIME_INIT) for name in ("exe", "5", "6", "11", "crun", "conmon", "memfd:crun_clon")),
        *((name, VictimKind.RUNTIME_INIT) for name in ("qemu-system-x86", "containerd-shim", "kata-shim")),
        ("pause", VictimKind.PAUSE),
        *(
            (name, VictimKind.PROCESS)
            for name in ("java", "runc-wrapper", "pause2", "execd", "5000000", "", "\u0665", "sh")
        ),
    ],
)
def test_victim_kinds(name: str, kind: VictimKind) -> None:
    assert victim_kind(name) is kind


def test_the_invoker_decides_nothing() -> None:
    runc = Process(9, "runc:[2:INIT]", adj=-998)
    kill = only_kill(read_texts(report(NEW, Oom(oom_path=POD, invoker=runc, others=(runc,)))))
    assert (kill.invoker, kill.victim_kind) == ("runc:[2:INIT]", VictimKind.PROCESS)
    sandbox = Oom(victim=Process(8, "pause"), invoker=Process(7, "java"), task_path=f"{POD}/{PAUSE_ID}", oom_path=POD)
    assert only_kill(read_texts(report(NEW, sandbox))).victim_kind is VictimKind.PAUSE


SLAB = "SLUB: Unable to allocate memory on node -1 (gfp=0xd0)"
NO_PAGES = f"x: page allocation failure: order:0, mode:0xa20(GFP_ATOMIC), nodemask=(null),cpuset={CID},mems_allowed=0"


def cache(cgroup: str) -> str:
    return f"  cache: dentry(7:{cgroup}), object size: 192, buffer size: 192, default order: 0, min order: 0"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("java: page allocation failure: order:4, mode:0xc0d0", PagesRefused()),
        (NO_PAGES, PagesRefused()),
        (SLAB, SlabRefused()),
        ("SLUB: Unable to allocate memory on node -1, gfp=0xa20(GFP_ATOMIC)", SlabRefused()),
        ("SLUB: Unable to allocate memory on CPU 3 (of node 0) on node -1, gfp=0x820(GFP_ATOMIC)", SlabRefused()),
    ],
)
def test_failed_allocations(text: str, found: object) -> None:
    assert read_oom_line(text) == found
    assert failed(read_texts([text])) == {}


SCOPE = f"docker-{CID}.scope"
ALLOCATIONS = [
    # the lines -> how often in which cgroup
    ("a container's", [SLAB, cache(CID)], {CID: 1}),
    ("a scope's", [SLAB, cache(SCOPE)], {SCOPE: 1}),
    ("a pod's", [SLAB, cache(f"pod{UID}")], {f"pod{UID}": 1}),
    ("again and again", [SLAB, cache(CID), SLAB, cache(f"pod{UID}"), SLAB, cache(CID)], {f"pod{UID}": 1, CID: 2}),
    ("with another line between", [SLAB, "docker0: port 1(veth0) entered disabled state", cache(CID)], {CID: 1}),
    ("the cache alone", [cache(CID)], {}),
    ("far behind another's", [SLAB, *["x"] * 5, cache(CID)], {}),
    ("a cache of no cgroup, as since 5.9", [SLAB, "  cache: dentry, object size: 192, buffer size: 192"], {}),
    ("a service's", [SLAB, cache("docker.service")], {}),
    ("an abbreviated id", [SLAB, cache(CID[:12])], {}),
    ("of no cgroup below pods", [SLAB, cache("kubepods")], {}),
    ("the node itself has no pages", [NO_PAGES, "Call Trace:", "Mem-Info:", SLAB, cache(CID)], {}),
]


@pytest.mark.parametrize(("texts", "expected"), [row[1:] for row in ALLOCATIONS], ids=[row[0] for row in ALLOCATIONS])
def test_the_cgroup_in_which_the_kernel_cannot_allocate(texts: list[str], expected: dict[str, int]) -> None:
    assert failed(read_texts(texts)) == expected


def test_a_shortage_of_the_node_ends() -> None:
    start = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    later = start + timedelta(seconds=30)
    lines = [LogLine(NO_PAGES, Writer.KERNEL, time=start)]
    lines += [LogLine(text, Writer.KERNEL, time=later) for text in (SLAB, cache(CID))]
    assert failed(read(lines)) == {CID: 1}


def test_failed_allocations_of_one_cgroup_are_one_entry() -> None:
    start = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    lines = [
        LogLine(text, Writer.KERNEL, "kern.log", time=start + timedelta(minutes=minute), host="worker-1")
        for minute in (0, 1, 2)
        for text in (SLAB, cache(CID))
    ]
    (found,) = read(lines).allocation_failures
    assert (found.cgroup.container_id, found.pod_uid, found.count) == (CID, "", 3)
    assert (found.first, found.last, found.zone_known) == (start, start + timedelta(minutes=2), True)
    assert (found.node, found.lines, found.or_more) == ("worker-1", tuple(lines[-2:]), False)


def test_the_newest_cgroups_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation_tally, "MOST_CGROUPS", 2)
    ids = [f"{number:064x}" for number in (1, 2, 3, 2)]
    reader = read_texts(*([SLAB, cache(container_id)] for container_id in ids))
    assert failed(reader) == {ids[2]: 1, ids[1]: 2}
    assert all(entry.or_more for entry in reader.allocation_failures)


def test_counters_of_old_and_new_kernels() -> None:
    assert read_oom_line("memory: usage 0kB, limit 0kB, failcnt 30433") == Counter("memory", 0, 0, 30433)
    assert read_oom_line("memory+swap: usage 4kB, limit 18014398509481983kB, failcnt 0") == Counter(
        "memory+swap", 4096, None, 0
    )
    assert read_oom_line("Memory limit reached of cgroup /a") == LimitReached("/a")


@pytest.mark.parametrize(
    ("line", "gap"),
    [
        (LogLine("** 1412 printk messages dropped **"), "kernel messages were lost before they were logged"),
        (LogLine("Missed 12 kernel messages", Writer.OTHER), "kernel messages were lost before they were logged"),
        (
            LogLine("imjournal: 531 messages lost due to rate-limiting", Writer.OTHER),
            "kernel messages were lost before they were logged",
        ),
        (
            LogLine("oom_reaper: reaped process 3 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"),
            "1 victims were reaped whose kill is not in the log",
        ),
    ],
)
def test_gaps(line: LogLine, gap: str) -> None:
    assert read([line]).gaps == (gap,)


@every_kernel
@pytest.mark.parametrize(
    "name",
    [
        "oom-kill:",
        "oom-kill:,x",
        "Out of memory:",
        "Killed process ",
        "Task in /a",
        "memory: usage",
        "[ pid ]",
        "[    7] 0 7 1 1",
    ],
)
def test_a_process_that_is_called_like_a_line(kernel: Kernel, name: str) -> None:
    others = (Process(5, name.strip()),)
    for oom in (Oom(victim=Process(23817, name.strip())), Oom(others=others, invoker=others[0])):
        kill = only_kill(read_texts(report(kernel, oom)))
        assert (kill.pod_uid, names(kill), kill.whole) == (UID, [oom.victim.comm], True)


# What the reader costs


@every_kernel
def test_the_needles_let_everything_through(kernel: Kernel) -> None:
    sandbox = Oom(victim=Process(8, "exe"), oom_path=POD)
    logs = (
        report(kernel, Oom(others=(Process(5, "sh"),), group=True)),
        ["x"] * 300,
        suppressed(kernel, replace(OTHER, group=True)),
        ["oom_kill_process: 3 callbacks suppressed", "y"],
        report(kernel, sandbox),
        [
            "SLUB: Unable to allocate memory on node -1 (gfp=0xd0)",
            f"  cache: a(7:{PAUSE_ID}), object size: 1, buffer size: 1",
        ],
    )
    lines = logged([text for part in logs for text in part])
    filtered = KernelLogReader()
    taken = 0
    for line in lines:
        if filtered.is_open or any(needle in line.text.encode() for needle in filtered.NEEDLES):
            filtered.read(line)
            taken += 1
    filtered.finish()
    whole = read(lines)
    assert (filtered.kills, filtered.gaps) == (whole.kills, whole.gaps)
    assert filtered.allocation_failures == whole.allocation_failures
    assert failed(filtered) == {PAUSE_ID: 1}
    assert taken < len(lines) - 290


def test_a_report_without_an_end_closes() -> None:
    reader = KernelLogReader()
    header_line, *_ = report(NEW, Oom())
    reader.read(LogLine(header_line))
    assert reader.is_open
    for number in range(OPEN_LINES + LOOK_LINES + 1):
        reader.read(LogLine(f"nothing {number}"))
    assert not reader.is_open
    timed, late = logged([header_line, "later"])
    reader.read(timed)
    reader.read(structs.replace(late, uptime_seconds=2000.0))
    assert not reader.is_open


def test_whatever_is_read_memory_is_bounded() -> None:
    reader = KernelLogReader()
    for number in range(900):
        uid = f"{number % 200:08x}-0000-4000-8000-000000000000"
        path = f"/kubepods/pod{uid}"
        oom = Oom(victim=Process(number + 1, "exe"), oom_path=path, task_path=f"{path}/{number:064x}")
        for line in logged(suppressed(NEW, oom)[:-1] if number % 3 else report(NEW, oom), start=1000.0 + 20 * number):
            reader.read(line)
        assert len(reader._reports) <= 3
    reader.finish()
    assert sum(reader.counts.values()) == 900
    assert len(reader.kills) <= kept_kills.MOST_KILLS


def make_kill(uid: str, cid: str, number: int) -> KernelKill:
    path = f"/kubepods/pod{uid}"
    oom = Oom(victim=Process(number + 1, f"p{number}"), oom_path=path, task_path=f"{path}/{cid}")
    return only_kill(read_texts(report(NEW, oom)))


def test_first_and_newest_kills_are_kept() -> None:
    kept = KeptKills()
    kill = make_kill(UID, CID, 0)
    for number in range(1000):
        kept.add(structs.replace(kill, failcnt=number))
    assert [kill.failcnt for kill in kept.kills] == [0, 1, *range(994, 1000)]
    assert kept.counts == {KillKey(UID, CID, Level.POD): 1000}


def test_a_loop_of_sandboxes_does_not_push_out_the_other_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_kills, "MOST_COUNTS", 50)
    kept = KeptKills()
    kept.add(make_kill(OTHER_UID, OTHER_CID, 0))
    loop = make_kill(UID, CID, 1)
    assert loop.task_cgroup is not None
    for number in range(5000):
        kept.add(structs.replace(loop, task_cgroup=structs.replace(loop.task_cgroup, container_id=f"{number:064x}")))
    assert sum(kill.pod_uid == OTHER_UID for kill in kept.kills) == 1
    ids = [int(kill.container_id, 16) for kill in kept.kills if kill.pod_uid == UID]
    assert ids == [*range(8), *range(5000 - 24, 5000)]
    assert kept.counts[KillKey(OTHER_UID, OTHER_CID, Level.POD)] == 1
    assert sum(kept.counts.values()) == 5001
    assert len(kept.counts) <= 52


def test_the_pods_killed_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_kills, "MOST_KILLS", 10)
    kept = KeptKills()
    kill = make_kill(UID, CID, 0)
    assert kill.task_cgroup is not None
    for number in range(100):
        uid = f"{number:08x}-0000-4000-8000-000000000000"
        kept.add(structs.replace(kill, task_cgroup=structs.replace(kill.task_cgroup, pod_uid=uid)))
    assert [kill.pod_uid[:8] for kill in kept.kills] == [f"{number:08x}" for number in range(90, 100)]
    assert sum(kept.counts.values()) == 100


def test_proof_is_short() -> None:
    lines = [f"{text}{'x' * 100_000}" if text.startswith("java invoked") else text for text in report(OLD, Oom())]
    kill = only_kill(read_texts(lines, kills(OLD, OTHER))) if False else read_texts(lines).kills[0]
    assert len(kill.lines) <= MOST_LINES
    assert all(len(line.text) < 20_000 for line in kill.lines)


@pytest.mark.parametrize(
    "start",
    [
        "oom-kill:",
        "Killed process 3 (",
        "Out of memory: Kill process 3 (",
        "Task in /",
        "[ 12] 0 ",
        "Memory cgroup stats for /",
        "",
    ],
)
@pytest.mark.parametrize(
    "piece",
    [
        "x",
        ")",
        "(",
        ",task_memcg=/",
        ",oom_memcg=/a",
        " killed as a result of limit of /",
        "/",
        " ",
        ":",
        "0 ",
        ",task=",
        "\\",
    ],
)
def test_hostile_lines_take_no_time(start: str, piece: str) -> None:
    text = start + piece * (1_000_000 // len(piece))
    reader = read([LogLine(text), LogLine(text + "1"), LogLine(text + "2")])
    assert all(kill.pod_uid == "" for kill in reader.kills)


@every_kernel
def test_a_log_of_which_only_some_words_were_kept(kernel: Kernel) -> None:
    whole = logged([*report(kernel, Oom()), *report(kernel, OTHER)])
    for words in ("killed|kill process|oom-kill:", "oom|kill", "killed", "out of memory|killed|task="):
        reader = read(line for line in whole if re.search(words, line.text, re.IGNORECASE))
        first, second = reader.kills
        assert (names(first), names(second)) == (["java"], ["ruby"])
        assert (first.pod_uid, second.pod_uid) in {(UID, OTHER_UID), ("", "")}
        if kernel.task_in or words != "killed":
            assert (first.pod_uid, second.pod_uid) == (UID, OTHER_UID)


def test_a_pid_that_is_listed_twice() -> None:
    """By a line that was written over: the first row counts."""
    lines = logged(report(NEW, Oom()))
    rows = [line for line in lines if re.match(r"\[ *\d+\] +\d", line.text)]
    assert rows
    twice = [copy for line in lines for copy in ([line, again(line)] if line in rows else [line])]
    assert [kill.tasks for kill in read(twice).kills] == [kill.tasks for kill in read(lines).kills]


def again(row: LogLine) -> LogLine:
    return structs.replace(row, text=f"{row.text}y")
