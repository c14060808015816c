"""What a node's kernel log proves about one pod: which kill ended which run, and which end the kernel had no part in.

A kill belongs to a run by its container id. A missing kill proves something only where the log is known to be whole for
that time: logs rotate, reports are rate-limited, and what is not there may have been lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import ContainerEnd, PodContext, has_begun
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.log_line import LogLine
from kubectl_memdoctor.evidence.node_evidence import AllocationFailures, KernelKill, SandboxFailures, VictimKind
from kubectl_memdoctor.evidence.pod_join import REPORT_DELAY, bare_id, container_ids, is_watched
from kubectl_memdoctor.finding import Evidence

SAME_SECOND = timedelta(seconds=2)
"""Container states are written in whole seconds."""
MOST_TASKS_NAMED = 3

LEVEL_WORDS = {
    Level.CONTAINER: "the container's own limit",
    Level.POD: "the limit of the pod as a whole",
    Level.QOS: "the limit of all pods of its QoS class",
    Level.ALLOCATABLE: "what all pods of the node may use together",
    Level.NODE: "the end of the node's memory",
    Level.OTHER: "the limit of a cgroup around the node's pods",
}
"""Completes "the kernel killed it at ..."."""
UNALLOCATED = "could not allocate memory for itself in"
"""Completes "the kernel ..."; a cgroup follows."""
UNNAMED_LEVEL = "a limit that its report does not name"


def kills_of_run(pod: PodContext, end: ContainerEnd) -> tuple[KernelKill, ...]:
    """The kills in the cgroup of one run of a container; without its id, those of the pod at the time of its end."""
    container_id = bare_id(end.terminated.container_id)
    return tuple(
        kill
        for kill in pod.node_evidence.kills
        if (
            kill.container_id == container_id
            if container_id and kill.container_id
            else _is_near(kill, end, REPORT_DELAY)
        )
    )


def deadly_kill(pod: PodContext, end: ContainerEnd) -> KernelKill | None:
    """The kill that ended the run: the one at its end, else, where times cannot be compared, the last one in it."""
    kills = kills_of_run(pod, end)
    near = [kill for kill in kills if _is_near(kill, end, REPORT_DELAY)]
    if near:
        return near[-1]
    untimed = [kill for kill in kills if not _has_time(kill) or end.terminated.finished_at is None]
    return untimed[-1] if untimed else None


def is_at_the_end(kill: KernelKill, end: ContainerEnd) -> bool:
    """Whether it was in the very second in which the run ended."""
    return _is_near(kill, end, SAME_SECOND)


def was_not_the_kernel(pod: PodContext, end: ContainerEnd) -> bool:
    """Whether the node's kernel log covers the end of a run without a gap, and shows no kill there."""
    finished = end.terminated.finished_at
    if finished is None or not is_watched(pod.node_evidence.kernel_spans, finished):
        return False
    # Kernels before 5.0 do not say in which cgroup they killed for the node.
    unnamed = (kill for kill in pod.node_evidence.node_kills if not kill.pod_uid)
    return not any(_is_near(kill, end, REPORT_DELAY) for kill in (*pod.node_evidence.kills, *unnamed))


def sandbox_kills(pod: PodContext) -> tuple[KernelKill, ...]:
    """Kills at the pod's limit that cost the runtime's own process or the pause process, in no container of the pod."""
    own = container_ids(pod.pod)
    return tuple(
        kill
        for kill in pod.node_evidence.kills
        if kill.level is Level.POD
        and (kill.victim_kind is not VictimKind.PROCESS or kill.no_killable)
        and kill.container_id not in own
    )


def sandbox_allocation_failures(pod: PodContext) -> tuple[AllocationFailures, ...]:
    """What the kernel could not allocate for itself in the pod, outside of its containers, while none has begun."""
    if has_begun(pod.pod):
        return ()
    own = container_ids(pod.pod)
    return tuple(entry for entry in pod.node_evidence.allocation_failures if entry.cgroup.container_id not in own)


def no_kill_while_failing(pod: PodContext) -> bool:
    """Whether the kernel log covers all sandbox failures that the events tell of, and shows no kill in the pod, nor a
    failed allocation of the kernel's own: with such a one a limit was reached, and there was nothing to kill."""
    times = [time for error in pod.sandbox_errors for time in (error.events.first, error.events.last) if time]
    spans = pod.node_evidence.kernel_spans
    is_clear = not pod.node_evidence.kills and not pod.node_evidence.allocation_failures
    return bool(times) and is_clear and all(is_watched(spans, time) for time in times)


def _has_time(kill: KernelKill) -> bool:
    return kill.time is not None and kill.zone_known


def _is_near(kill: KernelKill, end: ContainerEnd, apart: timedelta) -> bool:
    finished = end.terminated.finished_at
    return finished is not None and kill.time is not None and kill.zone_known and abs(kill.time - finished) <= apart


def level_words(kill: KernelKill) -> str:
    is_named = kill.level is not Level.OTHER or kill.oom_cgroup is not None
    return LEVEL_WORDS[kill.level] if is_named else UNNAMED_LEVEL


def kernel_evidence(pod: PodContext, kill: KernelKill) -> Iterator[Evidence]:
    """The report's own lines."""
    for line in kill.lines:
        yield line_evidence("kernel", pod, line, kill.time if kill.zone_known else None)


def allocation_evidence(pod: PodContext, failures: AllocationFailures) -> Iterator[Evidence]:
    """Its newest report's lines."""
    time = failures.last if failures.zone_known else None
    for line in failures.lines:
        yield line_evidence("kernel", pod, line, time)


def line_evidence(source: str, pod: PodContext, line: LogLine, time: datetime | None) -> Evidence:
    where = f"{line.file}:{line.number}" if line.number else line.file
    node = pod.pod.spec.node_name or line.host
    return Evidence(
        source=source, object=f"node/{node}" if node else None, field=where or None, value=line.text, time=time
    )


def failure_evidence(pod: PodContext, failures: SandboxFailures) -> Evidence:
    """One entry for all sandboxes that one log saw fail."""
    kubelet = failures.writer == "kubelet"
    line = failures.lines[-1] if failures.lines else None
    node = pod.pod.spec.node_name or failures.node
    comparable = failures.zone_known
    return Evidence(
        source="kubelet" if kubelet else "runtime",
        object=f"node/{node}" if node else None,
        field=f"{line.file}:{line.number}" if line and line.number else failures.writer.value,
        value=failures.message or (line.text if line else ""),
        count=failures.count if failures.count > 1 else None,
        first_time=failures.first if comparable and failures.count > 1 else None,
        time=failures.last if comparable else None,
    )


def kernel_sentences(kill: KernelKill) -> Iterator[str]:
    """Who was killed at which limit, and what else was in the cgroup."""
    victims = ", ".join(dict.fromkeys(task.name for task in kill.victims))
    whom = f"killed {victims}" if victims else "found nothing left to kill"
    together = " and all processes with it (memory.oom.group)" if kill.group else ""
    yield f"The node's kernel {whom}{together} at {level_words(kill)}{amounts(kill)}."
    largest = [task for task in kill.tasks if task.rss_bytes][:MOST_TASKS_NAMED]
    if len(largest) > 1:
        named = ", ".join(f"{task.name} {kernel_size(task.rss_bytes or 0)}" for task in largest)
        yield f"The largest processes then: {named}."
    if kill.kernel_memory_bytes and kill.usage_bytes and kill.kernel_memory_bytes * 2 >= kill.usage_bytes:
        yield (
            f"{kernel_size(kill.kernel_memory_bytes)} of it was kernel memory that old kernels charge to the pod and"
            " never give back: a larger limit only delays this."
        )


def amounts(kill: KernelKill) -> str:
    if kill.limit_bytes is None or kill.level in (Level.NODE, Level.OTHER):
        return ""
    used = f", {kernel_size(kill.usage_bytes)} in use" if kill.usage_bytes is not None else ""
    failed = f", {kill.failcnt} charges refused" if kill.failcnt else ""
    return f" (limit {kernel_size(kill.limit_bytes)}{used}{failed})"


def kernel_size(count: int) -> str:
    """As the kernel counts: whole kB below a MiB."""
    return f"{count // 1024} kB" if count < 2**20 else quantity.format_bytes(count // 2**20 * 2**20)
