"""docs/accuracy.md: every case of the last whole run, what happened, and what memdoctor said of it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from .all_cases import cases
from .case import Place
from .look import Row
from .scenarios import absent

PAGE = Path(__file__).parents[3] / "docs" / "accuracy.md"
FOUND = Path(__file__).parent / "found"
"""What runs have found, one file for each kind of node: the page is made of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """A run of all cases on one kind of node. `runtimes`: name -> version."""

    generation: str
    cgroup: str
    kubernetes: str
    engine: str
    runtimes: dict[str, str]
    kernel: str
    machine: str
    """What the node was: the host itself, or an emulated machine."""
    date: str
    minutes: int
    rows: list[Row]


def read_parts() -> list[Part]:
    """What runs have left, in the page's order."""
    parts = [_read(file) for file in FOUND.glob("*.json")]
    return sorted(parts, key=lambda part: (part.generation != "distribution", part.cgroup))


def _read(file: Path) -> Part:
    return msgspec.json.decode(file.read_bytes(), type=Part)


def write_part(part: Part, *, whole: bool) -> None:
    """Unless all cases were run, the rows of the others stay as they were."""
    FOUND.mkdir(exist_ok=True)
    file = FOUND / f"{part.generation}-{part.cgroup}.json"
    if file.exists() and not whole:
        earlier = _read(file)
        anew = {(row.runtime, row.name): row for row in part.rows}
        there = {(case.place.runtime, case.name) for case in cases(part.generation)}
        rows = (row for row in earlier.rows if (row.runtime, row.name) in there)
        kept = [anew.pop((row.runtime, row.name), row) for row in rows]
        part = replace(part, rows=[*kept, *anew.values()], minutes=max(part.minutes, earlier.minutes))
    file.write_bytes(msgspec.json.format(msgspec.json.encode(part), indent=1) + b"\n")


def page(parts: list[Part]) -> str:
    return "\n".join([*_head(parts), *_nodes(parts), *_summary(parts), *_exceptions(parts), *_tables(parts)]) + "\n"


def _head(parts: list[Part]) -> Iterator[str]:
    rows = [row for part in parts for row in part.rows]
    right = sum(not row.fault and not row.unseen for row in rows)
    unseen = sum(bool(row.unseen) and not row.fault for row in rows)
    wrong = sum(bool(row.fault) for row in rows)
    yield "<!-- Written by make test-node-full: change the code that it comes from, not this page. -->"
    yield ""
    yield "# How often memdoctor is right"
    yield ""
    yield (
        "Failures made for real, on a real kubelet with a real runtime, and healthy pods beside them. What happened is "
        "read from the pod, its events and the node's kernel log, without memdoctor. Right is the rule that fits what "
        "happened, its severity, a confidence that the facts bear, and no second finding for the same cause; each case "
        "is held to that by `kubectl memdoctor pod`, by `kubectl memdoctor ns`, and by its recording alone."
    )
    yield ""
    yield (
        "A process that the kernel killed is named as its log names it: runc, which starts itself from a copy, is "
        "called `exe` or by a number there."
    )
    yield ""
    yield (
        "After a change of the program, `make goldens` judges the recordings of the last run anew: what happened "
        "stays, what memdoctor said is what it says now."
    )
    yield ""
    yield f"**{len(rows)} cases: {right} right, {wrong} wrong, {unseen} that nothing in the API shows.**"
    yield ""
    yield (
        "A limit between what always fails and what always runs starts at times: such a row tells what happened in "
        "this run. The cases themselves lie in tests/cases, each as `fires-` or `silent-` with generation, cgroup "
        "version, runtime and name."
    )
    yield ""


def _nodes(parts: list[Part]) -> Iterator[str]:
    yield from _table_head("generation", "node", "Kubernetes", "engine", "runtimes", "kernel", "run")
    for part in parts:
        runtimes = ", ".join(f"{name} {version}" for name, version in part.runtimes.items())
        node = f"cgroup {part.cgroup}, {part.machine}"
        run = f"{part.date}, {part.minutes} min"
        yield _line(part.generation, node, part.kubernetes, part.engine, runtimes, part.kernel, run)
    yield ""


def _summary(parts: list[Part]) -> Iterator[str]:
    generations = list(dict.fromkeys(part.generation for part in parts))
    rows = [row for part in parts for row in part.rows]
    made = Counter((_fired(row), row.generation) for row in rows)
    right = Counter((_fired(row), row.generation) for row in rows if not row.fault)
    yield "Right of all cases that are the rule's:"
    yield ""
    yield from _table_head("rule", *generations)
    for rule in sorted({rule for rule, _ in made}):
        cells = [f"{right[rule, name]} of {made[rule, name]}" if made[rule, name] else "-" for name in generations]
        yield _line(rule, *cells)
    yield ""


def _fired(row: Row) -> str:
    return f"`{row.rule}`" if row.rule in row.said or row.fault else "nothing to find"


def _exceptions(parts: list[Part]) -> Iterator[str]:
    odd = [row for part in parts for row in part.rows if row.fault or row.unseen]
    if not odd:
        return
    yield "## What is not right, and why"
    yield ""
    yield from _table_head("case", "what happened", "memdoctor said", "why")
    for row in odd:
        where = f"{row.generation}, {row.cgroup}, {row.runtime}: {_title(row)}"
        yield _line(where, row.happened, row.said, row.fault or row.unseen)
    yield ""


def _title(row: Row) -> str:
    return f"{row.words}{', token volume' if row.token else ''}" if row.of_limits else row.words


def _tables(parts: list[Part]) -> Iterator[str]:
    rows = [row for part in parts for row in part.rows]
    for key, grouped in itertools.groupby(
        sorted(rows, key=_place), key=lambda row: (row.generation, row.cgroup, row.runtime)
    ):
        generation, cgroup, runtime = key
        of_place = list(grouped)
        yield f"## {generation}, cgroup {cgroup}, {runtime}"
        yield ""
        for token in (False, True):
            limits = [row for row in of_place if row.of_limits and row.token is token]
            yield from _table(f"limit, {'with' if token else 'no'} token volume", limits)
        yield from _table("case", [row for row in of_place if not row.of_limits], absent(Place(*key)))


def _place(row: Row) -> tuple[bool, str, bool]:
    return row.generation != "distribution", row.cgroup, row.runtime != "runc"


def _table(first: str, rows: list[Row], absent: Iterable[tuple[str, str]] = ()) -> Iterator[str]:
    if not rows:
        return
    yield from _table_head(first, "what happened", "memdoctor said", "right")
    for row in rows:
        yield _line(row.words, row.happened, row.said, f"no: {row.fault}" if row.fault else row.unseen or "yes")
    for words, why in absent:
        yield _line(words, "not made", "-", why)
    yield ""


def _table_head(*names: str) -> Iterator[str]:
    yield _line(*names)
    yield "|".join(["", *(" --- " for _ in names), ""])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
