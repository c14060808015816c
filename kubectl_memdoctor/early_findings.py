"""What is certain of a pod before all the others were seen, found while they still pass by.

An early finding is the one that the whole run would make. Most of what surrounds a pod is read side by side with the
pods and known soon. What is not, is known only after the last pod: what other pods prove of the sandbox's minimum, how
many replicas were killed, what the pods of a node request, and how much memory is in use. A context that is asked for
it says that it is too early, and then all findings on that pod wait for the end, since one may explain another. So no
list of rules has to be kept: whatever a rule reads decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from kubectl_memdoctor.context import ClusterContext, PodContext, Siblings
from kubectl_memdoctor.examination import able_rules, completed, findings_on, worst_first
from kubectl_memdoctor.finding import Finding
from kubectl_memdoctor.objects import Pod
from kubectl_memdoctor.owner_lookup import OwnerLookup
from kubectl_memdoctor.reading import Asked
from kubectl_memdoctor.sandbox_minimum import ClusterBounds
from kubectl_memdoctor.selection import identity
from kubectl_memdoctor.survey import may_be_bounded
from kubectl_memdoctor.usage import ContainerKey, Usage

Known = TypeVar("Known")

Tell = Callable[[Sequence[Finding], datetime], None]
"""Called with findings as soon as they are certain, worst first, and with the time that their ages count from."""


class Beside(Protocol):
    """What surrounds pods, as far as it does not follow from the other pods."""

    def ask_about(self, pod: Pod) -> None:
        """Somebody would like to look at this one soon."""

    def of(self, pod: Pod) -> ClusterContext | None:
        """None while it is on its way."""


class TooEarly(Exception):
    """A rule asked for what is known only when all pods were seen."""


class KnownSoFar(Mapping[str, Known]):
    """A few entries of a mapping that is not known as a whole."""

    def __init__(self, entries: Mapping[str, Known]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> Known:
        if not name:
            raise KeyError
        if name not in self._entries:
            raise TooEarly
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        raise TooEarly

    def __len__(self) -> int:
        raise TooEarly


class EarlyCluster(ClusterContext):
    """What surrounds the pods, as far as it is known before they all were seen."""

    sums_requests: bool
    """Whether the requests of all pods will be known at the end."""

    def __init__(self, known: ClusterContext, *, sums_requests: bool) -> None:
        vars(self).update(vars(known), sums_requests=sums_requests)

    @property
    def requested(self) -> Mapping[str, int] | None:
        if self.sums_requests:
            raise TooEarly
        return None

    @property
    def usages(self) -> Mapping[ContainerKey, Usage]:
        raise TooEarly


class EarlyPod(PodContext):
    """A pod that is looked at before all of them were seen."""

    def __init__(self, pod: Pod, cluster: EarlyCluster) -> None:
        vars(self).update(pod=pod, cluster=cluster)

    @property
    def bounds(self) -> ClusterBounds | None:
        if may_be_bounded(self):
            raise TooEarly
        return None

    @property
    def siblings(self) -> Siblings:
        raise TooEarly


class _Certain(Struct, frozen=True):
    """Findings on one pod that only lack its owner, which is on its way."""

    pod: EarlyPod
    findings: tuple[Finding, ...]
    owner: tuple[Asked[Any], ...]

    def is_complete(self) -> bool:
        return all(asked.is_here() for asked in self.owner)


class EarlyFindings:
    """Between two pages of pods it tells what has become certain; it waits for no answer."""

    def __init__(self, beside: Beside, owners: OwnerLookup, tell: Tell, *, sums_requests: bool) -> None:
        self.findings: list[Finding] = []
        """Those that were told."""
        self._beside = beside
        self._owners = owners
        self._tell = tell
        self._sums_requests = sums_requests
        self._waiting: dict[str, Pod] = {}
        self._certain: dict[str, _Certain] = {}
        self._told: set[str] = set()

    def see(self, pods: Iterable[Pod]) -> None:
        """Pods that show a trait, in their newest state. One whose findings were told is not looked at again."""
        for pod in pods:
            name = identity(pod)
            if name not in self._told and name not in self._certain:
                self._waiting[name] = pod
                self._beside.ask_about(pod)

    def has_told(self, pod: Pod) -> bool:
        return identity(pod) in self._told

    def advance(self) -> None:
        """Examines what was seen, as far as what surrounds it is known, and tells what is complete."""
        known = {name: cluster for name, pod in self._waiting.items() if (cluster := self._beside.of(pod)) is not None}
        for name, cluster in known.items():
            pod = EarlyPod(self._waiting.pop(name), EarlyCluster(cluster, sums_requests=self._sums_requests))
            findings = _certain_on(pod)
            if findings:
                self._certain[name] = _Certain(pod, findings, self._owners.prefetch(pod.pod))
        self._tell_complete()

    def _tell_complete(self) -> None:
        complete = {name: entry for name, entry in self._certain.items() if entry.is_complete()}
        if not complete:
            return
        found = [completed(entry.pod, found, self._owners) for entry in complete.values() for found in entry.findings]
        found.sort(key=worst_first)
        now = next(iter(complete.values())).pod.now
        for name in complete:
            del self._certain[name]
            self._told.add(name)
        self.findings += found
        self._tell(found, now)


def _certain_on(pod: EarlyPod) -> tuple[Finding, ...]:
    try:
        return tuple(findings_on(pod, able_rules(pod.cluster)))
    except TooEarly:
        return ()
