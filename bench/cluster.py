"""How fast a cluster is looked at, beside kubectl and beside bare loops that drop what they fetch: docs/performance.md.

`PYTHONPATH=tests:docs python -m bench.cluster` starts etcd and kube-apiserver (python -m tests.cluster.build) once for
each size in BENCH_PODS, fills them, runs every contender in turns, and writes the page's tables and chart. Contenders
take turns, and wait until the server is idle, so that what disturbs the machine disturbs all.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.control_plane import control_plane
from cluster.memdoctor import new_shell
from cluster.programs import Programs, programs

from bench import page
from bench.chart import chart
from bench.contenders import PROGRAM, Contender, bare_loop, lists, memdoctor, short
from bench.figures import (
    FLOOR_QUIET,
    MEMDOCTOR_ALONE,
    MEMDOCTOR_QUIET,
    Row,
    Size,
    bounds,
)
from bench.fill import fill_beside, fill_pods
from bench.fleet import seeded
from bench.measure import Process, Taken, process_with, run, seconds_until
from bench.writes import forget, trickle

SIZES = "1000 10000 100000"
SHORT_TIMES = 20
CHART = page.PAGE.with_name("performance.svg")


@dataclass(frozen=True, slots=True)
class Course:
    """One filled cluster, and how often everybody runs on it."""

    server: Process
    environ: Mapping[str, str]
    pods: int
    folder: Path

    def rows(self, contenders: Sequence[Contender], times: int, *, rest: bool = True) -> tuple[Row, ...]:
        """`rest`: before each run the server comes to rest."""
        runs: dict[Contender, list[Taken]] = {
            contender: [] for contender in contenders if not self._too_large(contender)
        }
        for _ in range(times):
            for contender, taken in runs.items():
                if rest:
                    self.server.settle()
                taken.append(self._run(contender))
        return tuple(self._row(contender, tuple(runs.get(contender, ()))) for contender in contenders)

    def first_critical(self, times: int) -> float | None:
        seen: list[float] = []
        for _ in range(times):
            self.server.settle()
            seconds = seconds_until("critical", PROGRAM, self.environ)
            seen += [] if seconds is None else [seconds]
        return min(seen, default=None)

    def _run(self, contender: Contender) -> Taken:
        stdout = self._stdout(contender) if contender.finds or contender.keeps_time else Path(os.devnull)
        taken = run(contender.command, self.environ, stdout, self.server)
        if contender.keeps_time and taken.exit_code == 0:
            return replace(taken, wall=json.loads(stdout.read_bytes())["wall"])
        return taken

    def _row(self, contender: Contender, runs: tuple[Taken, ...]) -> Row:
        if not runs:
            return Row(contender.name, note=f"not run: it takes about {self._needed_mb(contender):,.0f} MB of memory")
        failed = next((run for run in runs if run.exit_code not in contender.codes), None)
        if failed or contender.finds is None:
            return Row(contender.name, runs, note=failed.last_words if failed else "")
        wanted = seeded(self.pods)
        found = contender.finds(self._stdout(contender).read_bytes(), wanted)
        return Row(contender.name, runs, len(found & wanted), len(wanted), len(found - wanted))

    def _stdout(self, contender: Contender) -> Path:
        return self.folder / f"{zlib.crc32(contender.name.encode()):08x}.out"

    def _needed_mb(self, contender: Contender) -> float:
        return contender.kb_per_pod * self.pods / 1000

    def _too_large(self, contender: Contender) -> bool:
        return self._needed_mb(contender) > free_mb()


def measured(size: int, times: int, short_times: int, tools: Programs, folder: Path) -> Size:
    """One API server with so many pods, from its start to its end. `folder` is for what it and the runs write."""
    (folder / "bin").mkdir()
    with control_plane(tools, folder) as plane:
        shell = new_shell(plane, folder / "bin")
        environ = {**os.environ, **shell.environ("admin", "default")}
        environ.pop("PYTHONPATH", None)
        course = Course(process_with(f"--etcd-servers={plane.etcd}"), environ, size, folder)
        made = fill_pods(plane, size)
        with trickle(plane):
            alone = course.rows([memdoctor(MEMDOCTOR_ALONE)], times)
            fill_beside(plane, made, size)
            rows = course.rows(tuple(lists(plane, environ)), times)
            first_critical = course.first_critical(times)
            few = course.rows(tuple(short(shell.bin / "kubectl-memdoctor")), short_times, rest=False)
        forget(plane)
        quiet = [memdoctor(MEMDOCTOR_QUIET), bare_loop(plane, FLOOR_QUIET, "protobuf")]
        return Size(size, (*rows, *alone, *course.rows(quiet, times)), first_critical, few)


def free_mb() -> float:
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(meminfo["MemAvailable"].split()[0]) / 1024


def built() -> Programs:
    """Raises SystemExit where nobody has built them."""
    found = programs()
    if found is None or found.missing():
        raise SystemExit("the test cluster's programs are not built: python -m tests.cluster.build")
    return found


def write(sizes: Sequence[Size], tools: Programs) -> None:
    names = f"{tools.kube_apiserver.parent.name}, {tools.etcd.parent.name}."
    page.write_block("cluster", page.cluster_block(sizes, names))
    page.write_block("bounds", page.bounds_block(bounds(sizes)))
    CHART.write_text(chart(sizes), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="how fast a cluster is looked at, beside kubectl")
    parser.add_argument("--times", type=int, default=3, help="runs of each contender")
    given = parser.parse_args()
    tools = built()
    sizes: list[Size] = []
    for pods in map(int, os.environ.get("BENCH_PODS", SIZES).split()):
        with tempfile.TemporaryDirectory(prefix="memdoctor-bench-") as folder:
            sizes.append(measured(pods, given.times, SHORT_TIMES, tools, Path(folder)))
        # After each, so that nothing is lost when a large one fails.
        write(sizes, tools)


if __name__ == "__main__":
    main()
