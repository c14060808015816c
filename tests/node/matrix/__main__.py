"""Runs the whole matrix, or a part: `PYTHONPATH=tests python -m node.matrix [-g GENERATION] [-c v1|v2] [-k REGEX]`.

Writes what it finds to found/, docs/accuracy.md from that, and each case under tests/cases. With `--again` nothing is
run: what was recorded is judged by its goldens. Exit code 1 when any verdict is wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cluster.memdoctor import new_shell

from node.cluster import NodeCluster, node_cluster
from node.programs import GENERATIONS, Generation, generation

from . import accuracy, save
from .again import judged_again
from .all_cases import cases
from .case import Case
from .doctor import Doctor
from .look import Judged, Row, rows
from .run import Runner


def main(arguments: list[str]) -> int:
    asked = _asked(arguments)
    wrong = _again() if asked.again else _run_all(asked)
    accuracy.PAGE.write_text(accuracy.page(accuracy.read_parts()))
    return 1 if wrong else 0


def _again() -> int:
    """The number of wrong verdicts."""
    parts = [judged_again(part) for part in accuracy.read_parts()]
    for part in parts:
        accuracy.write_part(part, whole=True)
    return sum(_told(part.rows) for part in parts)


def _run_all(asked: argparse.Namespace) -> int:
    """The number of wrong verdicts."""
    wrong = 0
    for name in asked.generation or GENERATIONS:
        chosen = [case for case in cases(name) if case.place.cgroup in (asked.cgroup or ("v1", "v2"))]
        chosen = [case for case in chosen if re.search(asked.only, f"{case.place.runtime}-{case.name}")]
        wrong += _run(generation(name), chosen, whole=not asked.only)
    return wrong


def _asked(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m node.matrix", description=__doc__)
    parser.add_argument("-g", "--generation", action="append", choices=GENERATIONS)
    parser.add_argument("-c", "--cgroup", action="append", choices=("v1", "v2"))
    parser.add_argument("-k", "--only", default="", help="only cases whose RUNTIME-NAME has this pattern")
    parser.add_argument("--again", action="store_true", help="judge what was recorded anew")
    return parser.parse_args(arguments)


def _run(chosen: Generation, made: list[Case], *, whole: bool) -> int:
    """The number of wrong verdicts."""
    cgroups = tuple(sorted({case.place.cgroup for case in made}))
    with tempfile.TemporaryDirectory() as scratch, node_cluster(chosen, Path(scratch), cgroups=cgroups) as cluster:
        began = time.monotonic()
        judged = runner(cluster, Path(scratch)).run(made)
        minutes = round((time.monotonic() - began) / 60)
    wrong = 0
    for cgroup in cgroups:
        of_node = [entry for entry in judged if entry.case.place.cgroup == cgroup]
        found = rows(of_node)
        wrong += _told(found)
        accuracy.write_part(_part(chosen, cgroup, of_node, found, minutes), whole=whole)
        for entry, row in zip(of_node, found, strict=True):
            save.save(entry, runtime_words(chosen, entry.case), row.rule)
    return wrong


def runner(cluster: NodeCluster, scratch: Path) -> Runner:
    """Tells what it has done on the stdout of now: later that may be what memdoctor's report is caught with."""
    programs = scratch / "bin"
    programs.mkdir()
    doctor = Doctor(cluster.plane.kubeconfig("admin"), new_shell(cluster.plane, programs))
    return Runner(cluster, cluster.plane.api(), doctor, partial(print, file=sys.stdout, flush=True))


def _told(found: list[Row]) -> int:
    wrong = [row for row in found if row.fault]
    for row in wrong:
        print(
            f"WRONG {row.generation} {row.cgroup} {row.runtime} {row.name}: {row.happened} | {row.said} | {row.fault}"
        )
    print(f"{len(found)} cases, {len(wrong)} wrong", flush=True)
    return len(wrong)


def versions(chosen: Generation) -> dict[str, str]:
    return {"runc": chosen.runc_version, "crun": chosen.crun_version}


def runtime_words(chosen: Generation, case: Case) -> str:
    return f"{case.place.runtime} {versions(chosen)[case.place.runtime]}"


def _part(chosen: Generation, cgroup: str, judged: list[Judged], found: list[Row], minutes: int) -> accuracy.Part:
    node = next(entry for entry in judged[0].objects if entry["kind"] == "Node")
    info = node["status"]["nodeInfo"]
    return accuracy.Part(
        generation=chosen.name,
        cgroup=cgroup,
        kubernetes=info["kubeletVersion"].removeprefix("v"),
        engine=info["containerRuntimeVersion"].replace("://", " "),
        runtimes=versions(chosen),
        kernel=info["kernelVersion"].split("-")[0],
        machine=f"{node['status']['capacity']['cpu']} CPUs",
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        minutes=minutes,
        rows=found,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
