"""The shape of an OOM: how soon after its start a container is killed, how often, and whether its replicas fare alike.

"3 s after every start" needs more memory to start, "after 6 h" grows, "one of 40 replicas" is about that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import Enum, auto

from msgspec import Struct

from kubectl_memdoctor.duration import human_duration

STARTING_UP = timedelta(minutes=1)
LONG_RUN = timedelta(hours=1)
FRESH = timedelta(hours=1)
"""A pod younger than this came with a recent roll-out or scaling."""
LONGEST_BACK_OFF = timedelta(minutes=5)
"""The kubelet's longest pause between two starts of a container."""


class Pace(Enum):
    """How the known runs of a container ended."""

    AT_START = auto()
    """Every run was killed while it started up."""
    AT_WORK = auto()
    """It started, and was killed within the hour: by what it works on."""
    GROWS = auto()
    """Every run lasted for hours."""
    UNEVEN = auto()
    """Sometimes at once, sometimes after hours."""
    UNKNOWN = auto()


class OomShape(Struct, frozen=True):
    """`lasted` are the known runs, newest first; `pods` the replicas that were seen, the pod itself included."""

    lasted: tuple[timedelta, ...] = ()
    restarts: int = 0
    pods: int = 1
    killed_pods: int = 1
    pod_age: timedelta | None = None
    initialises: bool = False
    """An init container: all it does is done at the start."""
    of_job: bool = False
    """The pods are a Job's tries, not replicas of one another."""

    @property
    def every_start(self) -> bool:
        """Whether all runs ended as soon, though the status keeps but the last two: for longer ones the pod is too
        young for so many restarts."""
        if self.restarts < 2 or self.pod_age is None:
            return False
        return self.pod_age <= (self.restarts + 1) * (STARTING_UP + LONGEST_BACK_OFF)

    @property
    def pace(self) -> Pace:
        if not self.lasted:
            return Pace.UNKNOWN
        shortest, longest = min(self.lasted), max(self.lasted)
        if longest <= STARTING_UP:
            return Pace.AT_START
        if shortest >= LONG_RUN:
            return Pace.GROWS
        return Pace.UNEVEN if shortest <= STARTING_UP and longest >= LONG_RUN else Pace.AT_WORK

    @property
    def is_one_of_many(self) -> bool:
        return self.pods >= 3 and self.killed_pods == 1

    @property
    def is_all_of_many(self) -> bool:
        return self.pods >= 2 and self.killed_pods >= self.pods


def shape_sentences(shape: OomShape) -> Iterator[str]:
    """When it was killed, how often it was restarted, and how its replicas fare."""
    yield from _pace_sentence(shape)
    if shape.restarts > 1:
        yield f"It was restarted {shape.restarts} times."
    yield from _replica_sentence(shape)


def _pace_sentence(shape: OomShape) -> Iterator[str]:
    after = _span(shape.lasted)
    if shape.pace is Pace.AT_START:
        which = "every start" if shape.every_start else "its last start" if shape.restarts else "its start"
        purpose = "for its work" if shape.initialises else "just to start"
        moment = "at once" if after == "0s" else after
        yield f"It was killed {moment} after {which}: it needs more than this {purpose}."
    elif shape.pace is Pace.AT_WORK:
        yield f"It was killed {after} after its start: it started well, and what it then did took more."
    elif shape.pace is Pace.GROWS:
        yield f"It ran for {after} before: its memory grew with time or load, or leaks."
    elif shape.pace is Pace.UNEVEN:
        yield f"It was killed {after} after its start: that depends on what it works on, not on the time."


def _span(lasted: tuple[timedelta, ...]) -> str:
    """`3s`, or `3s to 6h` over several runs."""
    words = dict.fromkeys(human_duration(length) for length in sorted(lasted))
    ends = list(words)
    return ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}" if ends else ""


def _replica_sentence(shape: OomShape) -> Iterator[str]:
    those = "pods of the Job" if shape.of_job else "replicas"
    if shape.is_one_of_many:
        yield f"It is the only one of {shape.pods} {those}: look at what this one works on before raising all limits."
    elif shape.is_all_of_many:
        everyone = f"Both {those}" if shape.pods == 2 else f"All {shape.pods} {those}"
        yield f"{everyone} were killed like this: the limit is too small for what the program does, wherever it runs."
        if not shape.of_job and shape.pod_age is not None and shape.pod_age <= FRESH:
            yield f"This pod is {human_duration(shape.pod_age)} old: look at what the last roll-out changed."
    elif shape.pods >= 2 and shape.killed_pods >= 2:
        yield f"{shape.killed_pods} of {shape.pods} {those} were killed like this."


def raising_advice(shape: OomShape, limit: str) -> str:
    """What to expect of the new limit (quantity)."""
    if shape.pace is Pace.AT_START:
        return f"Raise its limit to {limit}; if it is still killed at its start, double it again."
    if shape.pace is Pace.GROWS:
        return f"Raise its limit to {limit}; if it only takes longer to be killed then, the program leaks memory."
    if shape.is_one_of_many:
        return f"If the work of this one is legitimate, raise the limit to {limit}."
    return f"Raise its limit to {limit} and watch what it uses at its peak."
