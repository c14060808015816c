"""One look at a case: what the API had before and after, and what memdoctor said between."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cluster.api import Json

from .case import Case, Made
from .expectation import Expectation, expectation, fault, said
from .happened import SIGKILL_EXIT, Facts, Stage


@dataclass(frozen=True, slots=True)
class Look:
    """A pod changes while it is looked at: what is right for the facts before or after is right."""

    before: Facts
    findings: list[Json]
    after: Facts
    whole_namespace: bool = False
    """The findings are not of the pod alone."""
    error: str = ""
    """What was printed instead of a report."""

    def fault(self, case: Case, edge_bytes: int) -> str:
        """Why the findings are wrong; empty when they are right."""
        if self.error:
            return f"no report: {self.error}"
        faults = [fault(self._expected(case, facts, edge_bytes), self.findings) for facts in (self.after, self.before)]
        return "" if "" in faults else faults[0]

    def _expected(self, case: Case, facts: Facts, edge_bytes: int) -> Expectation:
        expected = expectation(case, facts, edge_bytes)
        return expected if self.whole_namespace else expected.of_pod()

    @property
    def changed(self) -> bool:
        return self.before.signature != self.after.signature


@dataclass(frozen=True, slots=True)
class Judged:
    """A case after its run."""

    case: Case
    of_pod: Look
    """At `memdoctor pod`."""
    of_namespace: Look
    """At `memdoctor ns`, with all other pods of the batch."""
    of_recording: Look
    """At its objects alone."""
    objects: list[Json]
    """The pod, its events, node, LimitRange and RuntimeClass, as they are recorded."""
    overdue: bool = False
    """It was not in the state that it was waited for."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the page says of a case."""

    generation: str
    cgroup: str
    runtime: str
    name: str
    words: str
    token: bool
    of_limits: bool
    happened: str
    said: str
    rule: str
    """Whose case it is: the finding's that was wanted; the one that might have fired where none was."""
    fault: str
    unseen: str


def rows(judged: list[Judged]) -> list[Row]:
    """`judged` holds all cases of a node: how a pod that runs is judged depends on which others failed."""
    edges = edges_of((entry.case, entry.of_pod.after) for entry in judged)
    return [_row(entry, edges.get(entry.case.place.runtime, 0)) for entry in judged]


def edges_of(found: Iterable[tuple[Case, Facts]]) -> dict[str, int]:
    """Runtime -> the largest limit (bytes) of the matrix with which a start failed, on one node."""
    edges: dict[str, int] = {}
    for case, facts in found:
        if case.limit_bytes is not None and (facts.stage is not Stage.RUNNING or facts.sandbox_failures):
            edges[case.place.runtime] = max(case.limit_bytes, edges.get(case.place.runtime, 0))
    return edges


def _row(entry: Judged, edge_bytes: int) -> Row:
    case, facts, findings = entry.case, entry.of_pod.after, entry.of_pod.findings
    looks = {"": entry.of_pod, "ns: ": entry.of_namespace, "its recording: ": entry.of_recording}
    found = {where: look.fault(case, edge_bytes) for where, look in looks.items()}
    faults = [f"{where}{fault}" for where, fault in found.items() if fault] + _not_as_made(entry)
    expected = expectation(case, facts, edge_bytes)
    return Row(
        generation=case.place.generation,
        cgroup=case.place.cgroup,
        runtime=case.place.runtime,
        name=case.name,
        words=case.words,
        token=case.token,
        of_limits=case.limit_bytes is not None,
        happened=_happened(case, facts),
        said=said_of(findings),
        rule=rule_of(case, expected, findings),
        fault="; ".join(faults),
        unseen=expected.unseen,
    )


def said_of(findings: list[Json]) -> str:
    """What was said of the pod, in words."""
    return " + ".join(said(finding) for finding in findings if finding["involvedObject"]["kind"] == "Pod") or "nothing"


def _happened(case: Case, facts: Facts) -> str:
    if case.made is Made.CHILD_USE and facts.running and not facts.killed:
        return "its child was killed (exit code 137), it runs on"
    return facts.words()


def rule_of(case: Case, expected: Expectation, findings: list[Json]) -> str:
    """The rule whose case it is."""
    wanted = next((entry for entry in expected.wanted if entry.of == "Pod"), None)
    if wanted is None:
        return case.silent_rule
    named = {finding["rule"] for finding in findings}
    default = case.silent_rule if wanted.optional else wanted.ways[0].rule
    return next((way.rule for way in wanted.ways if way.rule in named), default)


def _not_as_made(entry: Judged) -> list[str]:
    """The scenario itself did not come about: then nothing is proven by it."""
    facts = entry.of_pod.after
    if entry.overdue:
        return [f"the case did not come about: {facts.words()}"]
    if entry.case.made is Made.NOTHING and facts.stage is not Stage.RUNNING:
        return ["the case did not come about: a pod without a fault does not run"]
    if entry.case.made is Made.CHILD_USE and any(end.exit_code == SIGKILL_EXIT for end in facts.ends):
        return ["the case did not come about: the container was killed with its child"]
    words, errors = entry.case.error_words, facts.messages("FailedCreatePodSandBox")
    if words and not any(re.search(words, error) for error in errors):
        return [f"the case did not come about: no error says {words}"]
    return []
