"""What a node's sources tell of kills and failing sandboxes, pod by pod: what one source says again and again is one
note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import structs

from kubectl_memdoctor.context import PodContext, is_killed
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.kubelet_log import MOST_OOMS_OF_A_POD
from kubectl_memdoctor.evidence.node_evidence import (
    AllocationFailures,
    KernelKill,
    KubeletOom,
    NodeEvidence,
    PodEvidence,
    RuntimeOom,
    SandboxFailures,
    SandboxListing,
    VictimKind,
)
from kubectl_memdoctor.evidence.runtime_errors import read_runtime_error
from kubectl_memdoctor.finding import Note, PodNotes
from kubectl_memdoctor.kernel_verdict import UNALLOCATED, amounts, level_words
from kubectl_memdoctor.logged_pods import is_cut, short

OUTSIDE = "outside of pods"
NAMELESS = "containers that no line ties to a pod"


def pod_notes(evidence: PodEvidence, containers: Mapping[str, str]) -> tuple[Note, ...]:
    """Of one pod. `containers`: id -> name, of those that are known."""
    names = {short(container_id): name for container_id, name in containers.items()}
    return (
        *_kernel(evidence.kills, names),
        *(() if evidence.kills else _unallocated(evidence.allocation_failures, "the pod's cgroup")),
        *_kubelet(evidence.kubelet_ooms),
        *_runtime(evidence.runtime_ooms, names),
        *_counted(evidence),
        *map(_failing, evidence.sandbox_failures),
        *map(_listed, evidence.listings),
    )


def status_notes(pod: PodContext) -> Iterator[Note]:
    """What the pod's own status tells of killed containers: with exit code 137 whether or not it says OOMKilled."""
    for end in pod.ends:
        if is_killed(end.terminated):
            text = f"{end.container}: {end.terminated.reason or 'no reason'}, exit code {end.terminated.exit_code}"
            yield Note("status", text, last=end.terminated.finished_at)


def notes_outside(evidence: NodeEvidence, known_ids: Collection[str]) -> Iterator[PodNotes]:
    """Kills of what is in no pod, and what kernel and runtimes tell of containers that are none of `known_ids`."""
    kills = [kill for kill in evidence.kills if not kill.pod_uid]
    if kills:
        yield PodNotes(OUTSIDE, "", tuple(_kernel(kills, {})))
    known = set(map(short, known_ids))
    ooms = [oom for oom in evidence.runtime_ooms if short(oom.container_id) not in known]
    failures = [entry for entry in evidence.allocation_failures if not entry.pod_uid]
    failures = [entry for entry in failures if short(entry.cgroup.container_id) not in known]
    containers = f"container {_one_of(entry.cgroup.container_id for entry in failures)}" if failures else ""
    if ooms or failures:
        yield PodNotes(NAMELESS, "", (*_unallocated(failures, containers), *_runtime(ooms, {})))


def ids_in(evidence: NodeEvidence) -> set[str]:
    """Container ids that the kernel's or the kubelet's lines tie to a pod."""
    cgroups = (*(kill.task_cgroup for kill in evidence.kills), *(oom.cgroup for oom in evidence.kubelet_ooms))
    return {cgroup.container_id for cgroup in cgroups if cgroup is not None and cgroup.pod_uid and cgroup.container_id}


def _kernel(kills: Sequence[KernelKill], names: Mapping[str, str]) -> Iterator[Note]:
    """Kills of the same victim at the same limit are one note: a sandbox is made and killed again and again. What a
    runtime's process calls itself on its way is of no interest."""
    groups: dict[tuple[object, ...], list[KernelKill]] = {}
    inhabited = {kill.container_id for kill in kills if kill.victims and kill.victim_kind is VictimKind.PROCESS}
    for kill in kills:
        whom = _victims([kill]) if kill.victim_kind is VictimKind.PROCESS else kill.victim_kind
        place = names.get(short(kill.container_id)) or ("" if kill.pod_uid else _cgroup(kill))
        groups.setdefault((kill.level, kill.limit_bytes, whom, place), []).append(kill)
    for members in groups.values():
        newest = members[-1]
        victims = ", ".join(_victims(members)) or "nothing that could be killed"
        together = " and all processes with it" if newest.group else ""
        where = _where(members, names, _kind(newest, inhabited))
        text = f"killed {victims}{together}{where} at {level_words(newest)}{amounts(newest)}"
        note = _note("kernel", text, [kill.time for kill in members], all(kill.zone_known for kill in members))
        yield structs.replace(note, or_more=is_cut(members))


def _unallocated(failures: Sequence[AllocationFailures], where: str) -> Iterator[Note]:
    """Not told of a pod in which something was killed: there it says nothing more."""
    if not failures:
        return
    times = [time for entry in failures for time in (entry.first, entry.last) if time is not None]
    yield Note(
        "kernel",
        f"{UNALLOCATED} {where}",
        sum(entry.count for entry in failures),
        min(times, default=None),
        max(times, default=None),
        all(entry.zone_known for entry in failures),
        or_more=any(entry.or_more for entry in failures),
    )


def _victims(kills: Iterable[KernelKill]) -> tuple[str, ...]:
    """Their names, the most frequent first."""
    return tuple(name for name, _ in Counter(task.name for kill in kills for task in kill.victims).most_common())


def _cgroup(kill: KernelKill) -> str:
    return kill.task_cgroup.path if kill.task_cgroup else ""


def _where(kills: Sequence[KernelKill], names: Mapping[str, str], kind: str) -> str:
    """The container by name, else by id; outside of pods the cgroup as the kernel writes it."""
    newest = kills[-1]
    if not newest.pod_uid:
        return f" in {_cgroup(newest)}" if _cgroup(newest) else ""
    name = names.get(short(newest.container_id))
    if name:
        return f" in container {name}"
    ids = [kill.container_id for kill in kills if kill.container_id]
    return f" in {kind} {_one_of(ids)}" if ids else ""


def _kind(kill: KernelKill, inhabited: Collection[str]) -> str:
    """A runtime's own process at the pod's limit is a sandbox's, or on its way into a container of the pod."""
    return "sandbox" if kill.level is Level.POD and kill.container_id not in inhabited else "container"


def _kubelet(ooms: Sequence[KubeletOom]) -> Iterator[Note]:
    if ooms:
        zone_known = all(oom.line is None or oom.line.zone_known for oom in ooms)
        note = _note("kubelet", "noted an OOM kill in the pod's cgroup", [oom.time for oom in ooms], zone_known)
        yield structs.replace(note, or_more=len(ooms) >= MOST_OOMS_OF_A_POD)


def _runtime(ooms: Iterable[RuntimeOom], names: Mapping[str, str]) -> Iterator[Note]:
    groups: dict[tuple[str, str], list[RuntimeOom]] = {}
    for oom in ooms:
        groups.setdefault((oom.writer.value or "runtime", names.get(short(oom.container_id), "")), []).append(oom)
    for (writer, name), members in groups.items():
        which = name or _one_of(oom.container_id for oom in members)
        zone_known = all(oom.line is None or oom.line.zone_known for oom in members)
        yield _note(writer, f"heard of an OOM kill in container {which}", [oom.time for oom in members], zone_known)


def _one_of(ids: Iterable[str]) -> str:
    """The newest, and how many there were before."""
    different = list(dict.fromkeys(reversed([*ids])))
    others = f" and {len(different) - 1} more" if len(different) > 1 else ""
    return f"{short(different[0])}{others}"


def _counted(evidence: PodEvidence) -> Iterator[Note]:
    for entry in evidence.counters:
        if entry.oom_events:
            where = f"container {entry.container}" if entry.container else "the pod's cgroup"
            times = "1 time" if entry.oom_events == 1 else f"{entry.oom_events} times"
            yield Note("cadvisor", f"counted OOM kills in {where} {times} since the kubelet started")


def _failing(failures: SandboxFailures) -> Note:
    different = f" ({failures.sandboxes} different ones)" if failures.sandboxes > 1 else ""
    cause = f": {read_runtime_error(failures.message).innermost}" if failures.message else ""
    text = f"sandbox failed{different}{cause}"
    return Note(
        failures.writer.value or "runtime", text, failures.count, failures.first, failures.last, failures.zone_known
    )


def _listed(listing: SandboxListing) -> Note:
    states = ", ".join(f"{count} {state}" for state, count in Counter(listing.states).most_common())
    attempts = f", the newest is attempt {listing.highest_attempt}" if listing.highest_attempt else ""
    sandboxes = "1 sandbox" if listing.count == 1 else f"{listing.count} sandboxes"
    return Note("runtime", f"lists {sandboxes} of this pod: {states}{attempts}")


def _note(source: str, text: str, times: Sequence[datetime | None], zone_known: bool) -> Note:
    known = [time for time in times if time is not None]
    return Note(source, text, len(times), min(known, default=None), max(known, default=None), zone_known)
