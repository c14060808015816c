"""The pods that a node's logs and listings tell of: their uids, and the names that other lines give to these.

The kernel names a pod by its uid alone, a kubelet's errors name it with or without its uid, and listings know both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from msgspec import Struct, structs

from kubectl_memdoctor.evidence.kept_kills import FIRST_KILLS, MOST_CONTAINERS, NEWEST_KILLS
from kubectl_memdoctor.evidence.node_evidence import (
    KernelKill,
    NodeEvidence,
    PodEvidence,
    SandboxFailures,
    SandboxListing,
)
from kubectl_memdoctor.evidence.pod_join import ID_LETTERS, EvidenceIndex, owned_failures
from kubectl_memdoctor.objects import ObjectMeta, Pod

FLOOD = 3
"""So many sandboxes of one pod, none of which is up, are no accident: each was made in place of one that died."""
UP = frozenset({"ready", "running", "up"})
"""States of a sandbox that lives, as `crictl pods` and `docker ps` word them."""


class LoggedPod(Struct, frozen=True, order=True):
    """`uid` as nodes know it; "" where only the name is known. `namespace` and `name` are "" where no log names it."""

    namespace: str
    name: str
    uid: str

    @property
    def title(self) -> str:
        """`namespace/name`, or the uid of a pod that nothing names."""
        return f"{self.namespace}/{self.name}" if self.name else self.uid

    @property
    def key(self) -> str:
        """By which evidence about it is found."""
        return self.uid or self.title

    @property
    def called(self) -> str:
        """What goes with the title."""
        if not self.uid:
            return ""
        return f"uid {self.uid}" if self.name else "only its uid is known"

    def stand_in(self) -> Pod:
        """A pod of which nothing is known but what it is called. A pod with a uid has no name here: lines that name
        it without its uid may be about another pod that had its name before."""
        if self.uid:
            return Pod(metadata=ObjectMeta(uid=self.uid))
        return Pod(metadata=ObjectMeta(namespace=self.namespace, name=self.name))


def logged_pods(evidence: NodeEvidence) -> tuple[LoggedPod, ...]:
    """Every pod in which something was killed, or the kernel could not allocate for itself, or whose sandboxes are told
    of; by name."""
    names = _names(evidence)
    uids = {kill.pod_uid for kill in evidence.kills}
    uids |= {entry.pod_uid for entry in evidence.allocation_failures}
    uids |= {oom.cgroup.pod_uid for oom in evidence.kubelet_ooms if oom.cgroup is not None}
    uids |= {entry.pod_uid for entry in _failing(evidence)}
    uids -= {""}
    found = {LoggedPod(*names.get(uid, ("", "")), uid) for uid in uids}
    found |= {
        LoggedPod(entry.namespace, entry.name, "") for entry in _failing(evidence) if entry.name and not entry.pod_uid
    }
    return tuple(sorted(found))


def evidence_of(logged: LoggedPod, index: EvidenceIndex) -> PodEvidence:
    """Runtimes name a container, never its pod: that is told by other lines about the same container."""
    own = index.of(logged.stand_in())
    ids = {short(kill.container_id) for kill in own.kills}
    ids |= {short(oom.cgroup.container_id) for oom in own.kubelet_ooms if oom.cgroup}
    ooms = tuple(oom for oom in index.whole.runtime_ooms if short(oom.container_id) in ids - {""})
    return structs.replace(own, runtime_ooms=ooms)


def short(container_id: str) -> str:
    """As docker and crictl print it, enough to tell the containers of a node apart."""
    return container_id[:ID_LETTERS]


def is_cut(kills: Iterable[KernelKill]) -> bool:
    """Whether there may have been more kills than these, of one pod: of very many only the first and the newest are
    kept (see kept_kills)."""
    places = Counter((kill.container_id, kill.level) for kill in kills)
    return len(places) >= MOST_CONTAINERS or any(count >= FIRST_KILLS + NEWEST_KILLS for count in places.values())


def is_flood(listing: SandboxListing) -> bool:
    """Whether the node makes sandboxes of this pod in vain. Of a pod that is well, one is up and a few old ones are
    not."""
    return listing.count >= FLOOD and not any(state.lower() in UP for state in listing.states)


def joined(evidence: NodeEvidence) -> NodeEvidence:
    """The same with every kill and every failed allocation once, however many logs hold its report, kills oldest first,
    and with the uid in entries that name a pod or a container without it, where that goes with one uid only."""
    uids: dict[tuple[str, str], set[str]] = {}
    for uid, name in _names(evidence).items():
        uids.setdefault(name, set()).add(uid)
    only = {name: next(iter(found)) for name, found in uids.items() if len(found) == 1}
    return structs.replace(
        evidence,
        kills=tuple(sorted(_each_once(evidence.kills), key=_age)),
        allocation_failures=tuple(owned_failures(evidence)),
        sandbox_failures=tuple(
            structs.replace(entry, pod_uid=entry.pod_uid or only.get((entry.namespace, entry.name), ""))
            for entry in evidence.sandbox_failures
        ),
        listings=tuple(
            structs.replace(entry, pod_uid=entry.pod_uid or only.get((entry.namespace, entry.name), ""))
            for entry in evidence.listings
        ),
    )


def _each_once(kills: Iterable[KernelKill]) -> Iterator[KernelKill]:
    """A process id is not used again so soon that the same name in the same cgroup could have it twice. Of two copies,
    the one whose time can be compared with others' stays."""
    found: dict[tuple[object, ...], KernelKill] = {}
    for kill in kills:
        victims = tuple((task.pid, task.name) for task in kill.victims)
        told_by = victims or (kill.failcnt, kill.uptime_seconds, kill.time)
        copy = (kill.oom_cgroup, kill.task_cgroup, told_by)
        if not _is_timed(found.setdefault(copy, kill)):
            found[copy] = kill
    yield from found.values()


_EVER = datetime.min.replace(tzinfo=UTC)


def _age(kill: KernelKill) -> tuple[datetime, float]:
    return kill.time or _EVER, kill.uptime_seconds or 0.0


def _is_timed(kill: KernelKill) -> bool:
    return kill.time is not None and kill.zone_known


def _names(evidence: NodeEvidence) -> dict[str, tuple[str, str]]:
    """Uid -> namespace and name."""
    return {
        entry.pod_uid: (entry.namespace, entry.name) for entry in _sandboxes(evidence) if entry.pod_uid and entry.name
    }


def _failing(evidence: NodeEvidence) -> Iterator[SandboxFailures | SandboxListing]:
    yield from evidence.sandbox_failures
    yield from filter(is_flood, evidence.listings)


def _sandboxes(evidence: NodeEvidence) -> Iterator[SandboxFailures | SandboxListing]:
    yield from evidence.sandbox_failures
    yield from evidence.listings
