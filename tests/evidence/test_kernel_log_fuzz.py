"""Any lines, and any logs of reports: cut, torn, merged and shuffled. Nothing crashes, and no kill gets a wrong pod."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.evidence import kept_kills
from kubectl_memdoctor.evidence.kernel_log import MOST_REPORTS, KernelLogReader
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import MOST_LINES, MOST_TASKS

from .kernel_lines.reports import KERNELS, Kernel, Oom, Process, report, suppressed

POOL = tuple(f"{number:08x}-1111-4222-8333-444444444444" for number in range(6))

comms = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=15).filter(
    lambda name: name == name.strip()
) | st.sampled_from(("java", "runc:[2:INIT]", "a) b (c", "x, y", "5", "exe", "pause", "my app", "[kworker]"))
kernels = st.sampled_from(list(KERNELS.values()))
serial_kernels = st.sampled_from([kernel for kernel in KERNELS.values() if kernel.summary])
noise = st.lists(
    st.sampled_from(("docker0: port 3(veth4c1e9d2) entered disabled state", "audit: type=1400", " ? __fput+0x1", "")),
    max_size=8,
).map(tuple)


@dataclass(frozen=True)
class Event:
    oom: Oom
    is_suppressed: bool
    pause_before: float
    """Seconds."""

    def lines(self, kernel: Kernel) -> list[str]:
        return suppressed(kernel, self.oom) if self.is_suppressed else report(kernel, self.oom)


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """Each with pids of its own, since no process dies twice."""
    drawn = []
    for number in range(draw(st.integers(1, 6))):
        first = 1000 * (number + 1)
        pod = f"/kubepods/burstable/pod{draw(st.sampled_from(POOL))}"
        task_path = f"{pod}/{number:064x}"
        others = [Process(first + index + 1, draw(comms), adj=100 + number) for index in range(draw(st.integers(0, 3)))]
        oom = Oom(
            victim=Process(first, draw(comms), rss=9000, adj=100 + number),
            others=tuple(others),
            oom_path=draw(st.sampled_from((task_path, pod, "/kubepods", ""))),
            task_path=task_path,
            invoker=draw(st.sampled_from((None, *others))),
            limit_kb=number * 4,
            group=draw(st.booleans()),
            noise=draw(noise),
        )
        pause = draw(st.sampled_from((0.0, 0.0005, 0.3, 5.0, 100.0)))
        drawn.append(Event(oom, draw(st.integers(0, 3)) == 0, pause))
    return drawn


def logged(kernel: Kernel, log: Sequence[Event], is_timed: bool = True) -> list[LogLine]:
    time, lines = 1000.0, []
    for event in log:
        time += event.pause_before
        for text in event.lines(kernel):
            time += 0.00003
            lines.append(LogLine(text, Writer.KERNEL, uptime_seconds=round(time, 6) if is_timed else None))
    return lines


def read(lines: Iterable[LogLine]) -> KernelLogReader:
    reader = KernelLogReader()
    with patch.object(kept_kills, "FIRST_KILLS", 1000):
        for line in lines:
            reader.read(line)
            assert len(reader._reports) <= MOST_REPORTS
        reader.finish()
    assert not reader.is_open
    return reader


def found_pids(reader: KernelLogReader) -> Counter[int]:
    return Counter(task.pid for kill in reader.kills for task in kill.victims)


def killed_pids(lines: Iterable[LogLine]) -> set[int]:
    return {int(found) for line in lines for found in re.findall(r"^(?:.*: )?Killed process (\d+) ", line.text)}


def true_pods(log: Sequence[Event]) -> dict[int, str]:
    return {
        process.pid: event.oom.task_path.split("/pod")[1][:36]
        for event in log
        for process in (event.oom.victim, *event.oom.others)
    }


@settings(deadline=None, max_examples=50)
@given(kernels, events(), st.booleans())
def test_every_kill_of_a_whole_log_is_found_once_with_its_cgroup(
    kernel: Kernel, log: list[Event], is_timed: bool
) -> None:
    lines = logged(kernel, log, is_timed)
    reader = read(lines)
    assert found_pids(reader) == Counter(killed_pids(lines))
    by_victim = {kill.victims[0].pid: kill for kill in reader.kills}
    for event in log:
        kill = by_victim[event.oom.victim.pid]
        names_task = event.oom.oom_path or kernel.summary or event.oom.group
        if event.is_suppressed:
            assert (kill.oom_cgroup, kill.whole) == (None, False)
            assert not kill.task_cgroup or (event.oom.group and kill.task_cgroup.path == event.oom.task_path)
            continue
        assert (kill.oom_cgroup.path if kill.oom_cgroup else "") == event.oom.oom_path
        assert (kill.task_cgroup.path if kill.task_cgroup else "") == (event.oom.task_path if names_task else "")
        assert (kill.whole, kill.group, kill.no_killable) == (True, event.oom.group, False)
        assert kill.limit_bytes == (event.oom.limit_kb * 1024 if event.oom.oom_path else None)
        members = {event.oom.victim.pid, *(task.pid for task in event.oom.others if event.oom.group)}
        assert {task.pid for task in kill.victims} == members


@settings(deadline=None, max_examples=50)
@given(kernels, events(), st.data())
def test_what_is_missing_gives_no_kill_a_wrong_pod(kernel: Kernel, log: list[Event], data: st.DataObject) -> None:
    """But for holes in the logs of kernels whose kills name no cgroup, and of groups without a report: there only the
    line before tells, which may be the one that is missing."""
    log = [replace(event, oom=replace(event.oom, group=event.oom.group and not event.is_suppressed)) for event in log]
    lines = logged(kernel, log)
    first = data.draw(st.integers(0, len(lines)))
    lines = lines[first : data.draw(st.integers(first, len(lines)))]
    for _ in range(data.draw(st.integers(0, 3 if kernel.summary else 0))):
        start = data.draw(st.integers(0, len(lines)))
        lines = lines[:start] + lines[start + data.draw(st.integers(0, 30)) :]
    reader = read(lines)
    pods = true_pods(log)
    assert killed_pids(lines) <= set(found_pids(reader))
    assert max(found_pids(reader).values(), default=1) == 1
    for kill in reader.kills:
        for task in kill.victims:
            assert kill.pod_uid in ("", pods[task.pid])


@settings(deadline=None, max_examples=50)
@given(kernels, events(), st.randoms(use_true_random=False), st.booleans())
def test_any_order_loses_no_kill_and_makes_up_no_pod(
    kernel: Kernel, log: list[Event], random: Random, is_timed: bool
) -> None:
    lines = logged(kernel, log, is_timed)
    random.shuffle(lines)
    reader = read(lines)
    check_sane(reader, lines)
    assert killed_pids(lines) <= set(found_pids(reader)) or not is_timed


@settings(deadline=None, max_examples=50)
@given(serial_kernels, events(), st.randoms(use_true_random=False))
def test_merged_logs_of_new_kernels_keep_each_victims_pod(kernel: Kernel, log: list[Event], random: Random) -> None:
    """The decision names both cgroups and the victim. No kernel with groups prints two reports at once."""
    queues = [logged(kernel, [Event(replace(event.oom, group=False), False, 0.0)]) for event in log]
    merged: list[LogLine] = []
    while queues:
        merged.append(random.choice(queues).pop(0))
        queues = [queue for queue in queues if queue]
    reader = read(merged)
    pods = true_pods(log)
    assert killed_pids(merged) <= set(found_pids(reader))
    for kill in reader.kills:
        assert all(kill.pod_uid in ("", pods[task.pid]) for task in kill.victims[:1])


pieces = st.sampled_from(
    (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=",
        ",mems_allowed=0,oom_memcg=/",
        ",task_memcg=/",
        ",task=",
        ",pid=7,uid=0",
        ",global_oom",
        "Memory cgroup out of memory: ",
        "Out of memory: ",
        "Killed process 7 (",
        "Kill process 7 (",
        ") score 9 or sacrifice child",
        ") total-vm:9kB, anon-rss:1kB, file-rss:0kB",
        " invoked oom-killer: gfp_mask=0xd0",
        "CPU: 1 PID: 7 Comm: ",
        "Task in /",
        " killed as a result of limit of /",
        "Memory limit reached of cgroup /",
        "memory: usage 1kB, limit ",
        "kB, failcnt ",
        "Memory cgroup stats for /",
        ":",
        "[ pid ]   uid  tgid total_vm      rss name",
        "[    7]     0     7        1        1 ",
        "Tasks in /",
        " are going to be killed due to memory.oom.group set",
        " and no killable processes...",
        "OOM victim 7 (",
        "oom_reaper: reaped process 7 (",
        "SLUB: Unable to allocate memory on node -1",
        "cache: a(1:b), object size: 1",
        "oom_kill_process: 3 callbacks suppressed",
        "[ T7] ",
        "99999999999999999999999",
        f"kubepods/pod{POOL[0]}",
        f"kubepods/burstable/pod{POOL[1]}/{'ab' * 32}",
        "a",
    )
)
texts = st.lists(pieces | st.text(max_size=20), max_size=8).map("".join) | st.text(max_size=100)


def check_sane(reader: KernelLogReader, lines: Sequence[LogLine]) -> None:
    everything = "".join(line.text for line in lines)
    for kill in reader.kills:
        assert kill.pod_uid in everything.replace("_", "-")
        assert kill.container_id in everything
        assert len(kill.lines) <= MOST_LINES
        assert len(kill.tasks) <= MOST_TASKS
        assert all(str(task.pid) in everything and task.name in everything for task in (*kill.victims, *kill.tasks))
    assert sum(reader.counts.values()) >= len(reader.kills)


@settings(deadline=None, max_examples=50)
@given(st.lists(texts, max_size=25), st.sampled_from((0.0, 0.01, 30.0)))
def test_any_lines(drawn: list[str], step: float) -> None:
    lines = [LogLine(text, uptime_seconds=number * step or None) for number, text in enumerate(drawn)]
    check_sane(read(lines), lines)
