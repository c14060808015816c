"""Kernel kills kept in bounded memory: a pod that cannot start leaves a million reports that say the same.

Of each container and level the first kills and the newest are kept, of each pod the first containers and the newest,
and of a log that is still too much the pods that were killed last. The counts stay exact.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.node_evidence import KernelKill

FIRST_KILLS = 2
NEWEST_KILLS = 6
"""Of one container at one level."""
FIRST_CONTAINERS = 8
MOST_CONTAINERS = 32
"""Containers and levels of one pod. Each try of a sandbox is a container of its own."""
MOST_KILLS = 2048
MOST_COUNTS = 20_000


class KillKey(NamedTuple):
    """Whose kills are counted together. Container and pod are "" where the kill was in none, or in too many to tell
    apart: beyond MOST_COUNTS a new container is counted with its pod, and a new pod with the level."""

    pod_uid: str
    container_id: str
    level: Level


class _Series:
    """The first and the newest kills of one key, with their places in the log."""

    __slots__ = ("_first", "_newest")

    def __init__(self) -> None:
        self._first: list[tuple[int, KernelKill]] = []
        self._newest: deque[tuple[int, KernelKill]] = deque(maxlen=NEWEST_KILLS)

    def add(self, place: int, kill: KernelKill) -> None:
        (self._first if len(self._first) < FIRST_KILLS else self._newest).append((place, kill))

    def __len__(self) -> int:
        return len(self._first) + len(self._newest)

    def __iter__(self) -> Iterator[tuple[int, KernelKill]]:
        yield from self._first
        yield from self._newest


class KeptKills:
    """`add` them in the log's order."""

    def __init__(self) -> None:
        self._pods: OrderedDict[str, dict[KillKey, _Series]] = OrderedDict()
        self._counts: dict[KillKey, int] = {}
        self._added = 0
        self._kept = 0

    @property
    def kills(self) -> tuple[KernelKill, ...]:
        """In the log's order."""
        kept = [entry for keys in self._pods.values() for series in keys.values() for entry in series]
        return tuple(kill for _, kill in sorted(kept, key=lambda entry: entry[0]))

    @property
    def counts(self) -> Mapping[KillKey, int]:
        """Of all that were added."""
        return MappingProxyType(self._counts)

    def add(self, kill: KernelKill) -> None:
        key = KillKey(kill.pod_uid, kill.container_id, kill.level)
        self._count(key)
        self._added += 1
        keys = self._pods.setdefault(key.pod_uid, {})
        self._pods.move_to_end(key.pod_uid)
        series = keys.pop(key, None) or _Series()
        self._kept -= len(series)
        series.add(self._added, kill)
        self._kept += len(series)
        keys[key] = series
        if len(keys) > MOST_CONTAINERS:
            self._drop(keys, list(keys)[FIRST_CONTAINERS])
        while self._kept > MOST_KILLS and len(self._pods) > 1:
            _, oldest = self._pods.popitem(last=False)
            self._kept -= sum(map(len, oldest.values()))

    def _drop(self, keys: dict[KillKey, _Series], key: KillKey) -> None:
        self._kept -= len(keys.pop(key))

    def _count(self, key: KillKey) -> None:
        for candidate in (key, key._replace(container_id=""), KillKey("", "", key.level)):
            if candidate in self._counts or len(self._counts) < MOST_COUNTS:
                self._counts[candidate] = self._counts.get(candidate, 0) + 1
                return
        self._counts[candidate] = 1
