"""Several clusters at once: none waits for another one, and only the caller's thread is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from command_line.made import NOW, diagnosis, finding

from kubectl_memdoctor.cluster.source import AccessError, NotFound
from kubectl_memdoctor.clusters_report import Look
from kubectl_memdoctor.finding import Diagnosis, Finding
from kubectl_memdoctor.side_by_side import INTERRUPTED, LOOKED_AT_AT_ONCE, REACHED_AT_ONCE, Hooks, SideBySide, State

PATIENCE = 30.0
"""Seconds after which a test that hangs fails."""


class Told:
    """A watcher that writes down what it is told, and presses Ctrl-C when it is asked to."""

    def __init__(self, presses: Callable[[State], bool] = lambda state: False) -> None:
        self.found_in: list[str | None] = []
        self.ended_in: list[str] = []
        self.looks: list[Look] = []
        self.states: list[State] = []
        self._presses = presses
        self._thread = threading.get_ident()

    def found(self, findings: Sequence[Finding], now: datetime) -> None:
        assert threading.get_ident() == self._thread
        self.found_in += [entry.context for entry in findings]

    def ended(self, look: Look) -> None:
        assert threading.get_ident() == self._thread
        self.ended_in.append(look.context)
        self.looks.append(look)

    def waits(self, state: State) -> None:
        self.states.append(state)
        if self._presses(state):
            raise KeyboardInterrupt


def named(context: str) -> str:
    return context


def nothing(reached: str, hooks: Hooks) -> Diagnosis:
    return diagnosis()


def until_told(hooks: Hooks, otherwise: threading.Event) -> Diagnosis:
    """A cluster that goes on until it is told to stop; then it tells what it has seen."""
    try:
        while not otherwise.wait(0.01):
            hooks.go_on()
    except KeyboardInterrupt:
        return diagnosis(finding())
    raise AssertionError("it was not told to stop")


def test_looks_come_in_the_order_of_the_contexts() -> None:
    first_is_late = threading.Event()

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        if reached == "a":
            assert first_is_late.wait(PATIENCE)
        else:
            first_is_late.set()
        return diagnosis(finding())

    told = Told()
    found = SideBySide(("a", "b"), named, diagnose).run(told)
    assert [look.context for look in found.looks] == ["a", "b"]
    assert told.ended_in == ["b", "a"]
    assert [entry.context for look in found.looks for entry in look.findings] == ["a", "b"]
    assert not found.is_interrupted


def test_what_was_told_early_is_the_very_finding_of_the_end() -> None:
    """So that it is known again, and not printed twice."""
    early = finding("early")

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        hooks.tell((early,), NOW)
        return diagnosis(early, finding("late"))

    class Keeping(Told):
        kept: Sequence[Finding] = ()

        def found(self, findings: Sequence[Finding], now: datetime) -> None:
            self.kept = findings

    told = Keeping()
    (look,) = SideBySide(("a",), named, diagnose).run(told).looks
    assert [entry.involved_object.name for entry in look.findings] == ["early", "late"]
    assert look.findings[0] is told.kept[0]
    assert (look.findings[0].context, early.context) == ("a", None)


def test_what_was_told_before_a_cluster_went_away_is_kept() -> None:
    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        hooks.tell((finding("x"),), NOW)
        hooks.tell((finding("y"),), NOW)
        raise AccessError("error: it is gone")

    (look,) = SideBySide(("a",), named, diagnose).run(Told()).looks
    assert (look.diagnosis, look.reason) == (None, "it is gone")
    assert [(entry.context, entry.involved_object.name) for entry in look.findings] == [("a", "x"), ("a", "y")]


@pytest.mark.parametrize(
    ("error", "reason", "missing"),
    [
        (AccessError("error: exec plugin failed"), "exec plugin failed", ()),
        (AccessError("error: one\nerror: two"), "one; two", ()),
        (NotFound("no x\nno y"), "no x; no y", ("no x", "no y")),
        (OSError(24, "Too many open files"), "Too many open files", ()),
    ],
)
@pytest.mark.parametrize("where", ["reach", "diagnose"])
def test_one_that_fails_does_not_hold_up_the_others(
    where: str, error: Exception, reason: str, missing: tuple[str, ...]
) -> None:
    def fail(context: str) -> None:
        if context == "b":
            raise error

    def reach(context: str) -> str:
        if where == "reach":
            fail(context)
        return context

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        fail(reached)
        return diagnosis()

    looks = SideBySide(("a", "b", "c"), reach, diagnose).run(Told()).looks
    assert [look.diagnosis is None for look in looks] == [False, True, False]
    assert looks[1] == Look("b", reason=reason, missing=missing)


def test_a_fault_of_the_program_is_not_hidden() -> None:
    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        SideBySide(("a", "b"), named, diagnose).run(Told())


def test_few_are_looked_at_at_once_and_those_that_do_not_answer_take_no_place() -> None:
    silent = [f"silent-{number}" for number in range(REACHED_AT_ONCE - 1)]
    rest_is_done = threading.Event()
    lock, now, most = threading.Lock(), 0, 0

    def reach(context: str) -> str:
        if context in silent:
            assert rest_is_done.wait(PATIENCE)
            raise AccessError("no answer")
        return context

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.01)
        with lock:
            now -= 1
        if reached == "c-29":
            rest_is_done.set()
        return diagnosis()

    contexts = (*silent, *(f"c-{number}" for number in range(30)))
    looks = SideBySide(contexts, reach, diagnose).run(Told()).looks
    assert sum(look.diagnosis is not None for look in looks) == 30
    assert 1 <= most <= LOOKED_AT_AT_ONCE


def test_no_more_than_so_many_diagnoses_run() -> None:
    """As many as may stand beside one another, and then one more waits."""
    beside = threading.Barrier(LOOKED_AT_AT_ONCE)

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        beside.wait(PATIENCE)
        return diagnosis()

    contexts = tuple(f"c-{number}" for number in range(2 * LOOKED_AT_AT_ONCE))
    assert all(look.diagnosis for look in SideBySide(contexts, named, diagnose).run(Told()).looks)


def test_an_interrupt_lets_those_under_way_say_what_they_have_seen() -> None:
    is_under_way, never = threading.Event(), threading.Event()

    def reach(context: str) -> str:
        if context == "silent":
            never.wait(PATIENCE)
        return context

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        if reached == "done":
            return diagnosis(finding())
        is_under_way.set()
        return until_told(hooks, never)

    told = Told(presses=lambda state: state.done == 1 and is_under_way.is_set())
    found = SideBySide(("done", "half", "silent"), reach, diagnose).run(told)
    never.set()
    assert found.is_interrupted
    assert [(look.context, len(look.findings), look.reason) for look in found.looks] == [
        ("done", 1, ""), ("half", 1, ""), ("silent", 0, INTERRUPTED),
    ]  # fmt: skip
    assert set(told.states[-1].under_way) == {"half", "silent"}


def test_a_second_interrupt_waits_for_none() -> None:
    is_under_way, never = threading.Event(), threading.Event()

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        if reached == "deaf":
            is_under_way.set()
            never.wait(PATIENCE)
        return diagnosis()

    told = Told(presses=lambda state: state.done == 1 and is_under_way.is_set())
    found = SideBySide(("deaf", "done"), named, diagnose).run(told)
    never.set()
    assert [look.reason for look in found.looks] == [INTERRUPTED, ""]


def test_an_interrupt_before_anything_was_seen() -> None:
    never = threading.Event()

    def reach(context: str) -> str:
        never.wait(PATIENCE)
        return context

    with pytest.raises(KeyboardInterrupt):
        SideBySide(("a", "b"), reach, nothing).run(Told(presses=lambda state: True))
    never.set()


def test_pods_are_counted_over_all_clusters() -> None:
    seen, both = threading.Event(), threading.Barrier(2)

    def diagnose(reached: str, hooks: Hooks) -> Diagnosis:
        hooks.progress(500, 100)
        both.wait(PATIENCE)
        assert seen.wait(PATIENCE)
        return diagnosis()

    class Watching(Told):
        def waits(self, state: State) -> None:
            super().waits(state)
            if state.pods == 1_000:
                seen.set()

    told = Watching()
    SideBySide(("a", "b"), named, diagnose).run(told)
    assert State(0, 2, ("a", "b"), 1_000) in told.states
