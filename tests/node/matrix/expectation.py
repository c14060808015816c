"""What must be said of a case, from what it was made to show and what then happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cluster.api import Json

from .case import Case, Made
from .happened import SIGKILL_EXIT, End, Facts, Stage

PAGE = 4096
THREE_FILES = 3 * PAGE
"""Bytes. A token volume holds three files, each in a page of its own at least."""

CONFIDENCES = ("possible", "likely", "confirmed")


@dataclass(frozen=True, slots=True)
class Said:
    """A finding that is right: its rule, its severity, and the most that it may be sure of."""

    rule: str
    severity: str
    at_most: str

    def fits(self, finding: Json) -> bool:
        return (
            finding["rule"] == self.rule
            and finding["severity"] == self.severity
            and CONFIDENCES.index(finding["confidence"]) <= CONFIDENCES.index(self.at_most)
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """One cause, which exactly one finding must tell: any of `ways`; none as well where it is `optional`."""

    ways: tuple[Said, ...]
    optional: bool = False
    of: str = "Pod"


@dataclass(frozen=True, slots=True)
class Expectation:
    """All that must be said, and nothing besides. `unseen`: why the API shows nothing of what happened."""

    wanted: tuple[Wanted, ...] = ()
    unseen: str = ""

    def of_pod(self) -> Expectation:
        """Without what is said of other objects."""
        return replace(self, wanted=tuple(wanted for wanted in self.wanted if wanted.of == "Pod"))


def expectation(case: Case, facts: Facts, edge_bytes: int) -> Expectation:
    """`edge_bytes`: the largest limit of the matrix that ever kept a pod from starting in the same place."""
    if case.made is Made.LIMIT:
        return Expectation(tuple(_too_small(case, facts, edge_bytes)))
    if case.made in (Made.OTHER_START, Made.BOTH):
        return Expectation(tuple(_not_memory(case)))
    if case.made in (Made.USE, Made.CHILD_USE, Made.OTHER_KILL):
        return _kills(case, facts)
    return Expectation()


def _too_small(case: Case, facts: Facts, edge_bytes: int) -> Iterator[Wanted]:
    yield from _limit_range(case)
    if facts.stage is Stage.RUNNING:
        yield from _runs(case, facts, edge_bytes)
    elif facts.stage is Stage.VOLUME:
        certain = case.limit_bytes is not None and case.limit_bytes < THREE_FILES
        said = Said("volume-memory-limit-too-small", "critical", "confirmed" if certain else "likely")
        yield Wanted((said,))
    elif facts.stage is Stage.SANDBOX:
        yield Wanted((_sandbox(case, facts),))
    elif facts.stage is Stage.CONTAINER:
        also = (_sandbox(case, facts),) if facts.sandbox_failures else ()
        yield Wanted((_container(case, facts), *also))
    elif facts.stage is Stage.KILLED:
        yield _killed_at_start(case, facts)


def _sandbox(case: Case, facts: Facts) -> Said:
    return Said("sandbox-memory-limit-too-small", "critical", _surest(case, facts))


def _container(case: Case, facts: Facts) -> Said:
    return Said("container-memory-limit-too-small", "critical", _surest(case, facts))


def _surest(case: Case, facts: Facts) -> str:
    """Confirmed is what memory's own words say, or what holds for any limit under one page."""
    return "confirmed" if facts.memory_named or deciding_limit(case, facts) < PAGE else "likely"


def deciding_limit(case: Case, facts: Facts) -> int:
    """Bytes that the case tells, else those of the pod's smallest limit."""
    told = case.limit_bytes or case.deciding_bytes
    if told is not None:
        return told
    spec = facts.pod["spec"]
    limits = [entry.get("resources", {}).get("limits", {}).get("memory") for entry in spec["containers"]]
    return min(_bytes(text) for text in (*limits, spec.get("resources", {}).get("limits", {}).get("memory")) if text)


_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20}


def _bytes(text: str) -> int:
    """Of the quantities that the scenarios write."""
    if text.endswith("m"):
        return -(-int(text[:-1]) // 1000)
    return int(text[:-2]) * _UNITS[text[-2:]] if text[-2:] in _UNITS else int(text)


def _killed_at_start(case: Case, facts: Facts) -> Wanted:
    """The kernel log tells whether the runtime's own process or the program was killed."""
    container = _container(case, facts)
    oom = Said("container-oom-killed", "critical", "confirmed")
    also = (_sandbox(case, facts),) if facts.sandbox_failures else ()
    victims = {kill.victim for kill in facts.kills}
    if victims and not any(_is_program(victim) for victim in victims):
        return Wanted((container, *also))
    if victims and all(_is_program(victim) for victim in victims):
        return Wanted((oom, *also))
    return Wanted((container, oom, *also))


PROGRAMS = frozenset({"sh", "sleep", "eat", "dd", "true", "busybox"})


def _is_program(victim: str) -> bool:
    """Of the image, not of a runtime (`runc:[2:INIT]`, `exe`, `crun`, `pause` ...)."""
    return victim in PROGRAMS


def _runs(case: Case, facts: Facts, edge_bytes: int) -> Iterator[Wanted]:
    """It started: nothing to say, unless the next start may fail, which is so below a limit that ever failed."""
    latent = Said("pod-memory-limit-below-sandbox-minimum", "warning", "likely")
    if facts.sandbox_failures:
        yield Wanted((latent,), optional=not facts.memory_named)
    elif facts.killed or facts.failed_starts:
        container = Said("container-memory-limit-too-small", "warning", _surest(case, facts))
        killed = Said("container-oom-killed", "critical" if facts.restarts > 1 else "warning", "confirmed")
        yield Wanted((latent, container, killed), optional=True)
    elif case.limit_bytes is not None and case.limit_bytes <= edge_bytes:
        yield Wanted((Said(latent.rule, latent.severity, "possible"),), optional=True)


def _limit_range(case: Case) -> Iterator[Wanted]:
    if case.own_namespace:
        said = Said("limitrange-memory-default-too-small", "warning", "confirmed")
        yield Wanted((said,), of="LimitRange")


def _not_memory(case: Case) -> Iterator[Wanted]:
    yield Wanted((Said("sandbox-failure-not-memory", "info", "confirmed"),))
    if case.made is Made.BOTH:
        yield Wanted((Said("pod-memory-limit-below-sandbox-minimum", "warning", "confirmed"),))


def _kills(case: Case, facts: Facts) -> Expectation:
    if not facts.killed:
        return Expectation(unseen="the kernel log of the node alone shows it: no object of the API does")
    newest = {end.container: end for end in reversed(facts.killed)}
    return Expectation(tuple(Wanted((_kill(facts, end),)) for end in newest.values()))


def _kill(facts: Facts, end: End) -> Said:
    if end.reason != "OOMKilled":
        return Said("container-killed-not-oom", "info", "confirmed")
    if end.exit_code != SIGKILL_EXIT:
        return Said("container-child-oom-killed", "warning", "likely")
    severity = "critical" if _keeps_dying(facts, end) else "warning"
    if _has_own_limit(facts.pod, end.container):
        return Said("container-oom-killed", severity, "confirmed")
    return Said("pod-oom-killed", severity, "likely")


def _keeps_dying(facts: Facts, end: End) -> bool:
    down = end.current or bool(facts.state_of(end.container).get("waiting"))
    return down or facts.restarts_of(end.container) >= 2


def _has_own_limit(pod: Json, name: str) -> bool:
    spec = pod["spec"]
    entry = next(c for c in (*spec["containers"], *spec.get("initContainers", [])) if c["name"] == name)
    return bool(entry.get("resources", {}).get("limits", {}).get("memory"))


def fault(expected: Expectation, findings: list[Json]) -> str:
    """Why the findings are not what is expected, in words; empty when they are."""
    left = list(findings)
    missing = []
    for wanted in expected.wanted:
        found = next((f for f in left if _is_of(f, wanted) and any(way.fits(f) for way in wanted.ways)), None)
        if found is not None:
            left.remove(found)
        elif not wanted.optional:
            missing.append(" or ".join(f"{way.rule} {way.severity}, {way.at_most} at most" for way in wanted.ways))
    return "; ".join([*(f"not said: {text}" for text in missing), *(f"said besides: {said(f)}" for f in left)])


def _is_of(finding: Json, wanted: Wanted) -> bool:
    return bool(finding["involvedObject"]["kind"] == wanted.of)


def said(finding: Json) -> str:
    return f"{finding['rule']} {finding['severity']}, {finding['confidence']}"
