"""Judges what was recorded anew, after a change of the program: from recordings and their goldens, without a node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from cluster.api import Json

from .accuracy import Part
from .all_cases import cases
from .case import Case
from .expectation import expectation, fault
from .happened import Facts
from .look import Row, edges_of, rule_of, said_of
from .save import CASES, file_stem


@dataclass(frozen=True, slots=True)
class Recording:
    """A case as it was recorded, and what its golden says that memdoctor finds there."""

    case: Case
    path: Path

    def facts(self) -> Facts:
        """Without the kernel log, which is not kept."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        listed: list[Json] = yaml.load(self.path.read_text(), Loader=loader)["items"]
        pod = next(entry for entry in listed if entry["kind"] == "Pod")
        return Facts(pod, tuple(entry for entry in listed if entry["kind"] == "Event"))

    def findings(self) -> list[Json]:
        found: list[Json] = json.loads(self.path.with_suffix(".json").read_text())["findings"]
        return found


def recordings(generation: str) -> Iterator[Recording]:
    paths = {path.stem: path for path in sorted(CASES.glob("*/*.yaml"))}
    for case in cases(generation):
        stems = (file_stem(case, fires=fires) for fires in (True, False))
        yield from (Recording(case, paths[stem]) for stem in stems if stem in paths)


def judged_again(part: Part) -> Part:
    """The part with what memdoctor says now; what happened stays."""
    there = [entry for entry in recordings(part.generation) if entry.case.place.cgroup == part.cgroup]
    facts = [entry.facts() for entry in there]
    edges = edges_of((entry.case, happened) for entry, happened in zip(there, facts, strict=True))
    rows = {(row.runtime, row.name): row for row in part.rows}
    for entry, happened in zip(there, facts, strict=True):
        place = entry.case.place
        key = place.runtime, entry.case.name
        rows[key] = _row(rows[key], entry, happened, edges.get(place.runtime, 0))
    return replace(part, rows=list(rows.values()))


def _row(row: Row, recording: Recording, facts: Facts, edge_bytes: int) -> Row:
    case, findings = recording.case, recording.findings()
    expected = expectation(case, facts, edge_bytes)
    return replace(
        row,
        words=case.words,
        said=said_of(findings),
        rule=rule_of(case, expected, findings),
        fault=fault(expected, findings),
    )
