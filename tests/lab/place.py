"""Where sandboxes are tried: on this machine, inside the enclosure, or in a virtual one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.go_programs import BuildError, alone, go_build
from cluster.programs import CACHE
from node import cgroups
from node.images import PAUSE, images
from node.machine.boot import Machine, machine
from node.machine.content import content_hash
from node.machine.root_image import root_image, with_libraries
from node.machine.shell import Gone
from node.place import CommandFailed

from .bisection import Attempt, Try
from .containerd import Containerd
from .measurement import HUGE_PAGES, Conditions, masked, own_huge_pages
from .runtimes import Runtime

SOURCES = Path(__file__).parent / "go/try"
FAILURES = (CommandFailed, Gone, subprocess.TimeoutExpired)
START_SECONDS = 600.0
TRY_SECONDS = 1200.0
"""The most that one try may take: its own deadline, and that of the removal."""
PATIENCE = 3
SETTLE_SECONDS = {"host": 0.5, "machine": 1.0}
MACHINE_MIB = 2048


@dataclass(frozen=True, slots=True)
class Place:
    conditions: Conditions
    kernel: str
    cpus_by: str
    containerds: tuple[Containerd, ...]
    program: Path
    run: Callable[[Sequence[str], float], str]
    """Runs a program there, for so many seconds at most, and returns what it prints. Raises one of FAILURES."""

    @property
    def settle_seconds(self) -> float:
        return SETTLE_SECONDS[self.conditions.where]

    def containerd_of(self, runtime: Runtime) -> Containerd:
        return next(one for one in self.containerds if one.generation == runtime.generation)

    def attempt(self, runtime: Runtime) -> Attempt:
        def made(limit: int, most: int, until: str) -> list[Try]:
            socket = self.containerd_of(runtime).socket
            command = [str(self.program), "-socket", str(socket), "-handler", runtime.handler, "-limit", str(limit)]
            command += ["-tries", str(most), "-until", until, "-settle", f"{self.settle_seconds}s"]
            lines = [json.loads(line) for line in self._patiently(command, most * TRY_SECONDS).splitlines()]
            return [Try(line["started"], line["peakBytes"], masked(line["error"])) for line in lines]

        return made

    def _patiently(self, command: Sequence[str], seconds: float) -> str:
        """The program fails where a try says nothing of its limit: containerd had no time to answer, for one."""
        for _ in range(PATIENCE - 1):
            try:
                return self.run(command, seconds)
            except FAILURES as failure:
                print(f"once more: {failure}", file=sys.stderr, flush=True)
        return self.run(command, seconds)


def try_program() -> Path:
    """What asks containerd for sandboxes, built when its sources are new. Raises BuildError."""
    sources = {file.name: file for file in SOURCES.iterdir()}
    file = CACHE / f"lab-try-{content_hash(sources)}" / "try"
    with alone():
        if not file.exists():
            go_build(SOURCES, ".", file)
    return file


def obstacle() -> str:
    """Why this machine's own containers cannot be measured; empty when they can."""
    return "" if cgroups.version() == "v1" else "this machine has cgroup v2, which is measured in the virtual one"


@contextmanager
def host(containerds: Sequence[Containerd], cpus: int) -> Iterator[Place]:
    """This machine itself, with as many of its CPUs. Raises BuildError."""
    present = sorted(os.sched_getaffinity(0))
    if len(present) < cpus:
        raise BuildError(f"this machine has {len(present)} CPUs, not {cpus}")
    pinned = ["taskset", "--cpu-list", ",".join(map(str, present[:cpus]))] if cpus < len(present) else []
    conditions = Conditions(where="host", cgroup="v1", cpus=cpus, huge_pages=own_huge_pages())
    cpus_by = "affinity of containerd and of all that it starts" if pinned else "all that it has"
    with ExitStack() as stack:
        for one in containerds:
            for file, text in one.files().items():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
                file.chmod(0o644 if file.suffix else 0o755)
            stack.enter_context(_running([*pinned, *one.command], one))
            _wait_until_it_answers(_here, one)
            _here(one.ctr("images", "import", str(images()[PAUSE])), START_SECONDS)
        yield Place(conditions, os.uname().release, cpus_by, tuple(containerds), try_program(), _here)


def _here(argv: Sequence[str], seconds: float) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{argv[0]} left with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _running(command: Sequence[str], one: Containerd) -> Iterator[None]:
    with (one.folder / "log").open("wb") as log:
        environ = {**os.environ, "PATH": one.path}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def virtual(containerds: Sequence[Containerd], conditions: Conditions, folder: Path) -> Iterator[Place]:
    """A virtual machine; `folder` takes its logs. Raises BuildError."""
    with machine(
        _image(containerds), cpus=conditions.cpus, memory_mib=MACHINE_MIB, cgroup=conditions.cgroup, folder=folder
    ) as started:

        def run(argv: Sequence[str], seconds: float) -> str:
            return started.run(argv, seconds)

        run(["sh", "-c", f"echo {conditions.huge_pages} >{HUGE_PAGES}"], START_SECONDS)
        for one in containerds:
            _start_in(started, one)
            _wait_until_it_answers(run, one)
            run(one.ctr("images", "import", "/lab/pause.tar"), START_SECONDS)
        kernel = run(["uname", "-r"], START_SECONDS).strip()
        by = "emulated by qemu (tcg)"
        yield Place(conditions, kernel, by, tuple(containerds), try_program(), run)


def _start_in(started: Machine, one: Containerd) -> None:
    for file, text in one.files().items():
        started.put(str(file), text.encode(), executable=not file.suffix)
    started.start(["env", f"PATH={one.path}", *one.command], str(one.folder / "log"))


def _image(containerds: Sequence[Containerd]) -> Path:
    programs = [program for one in containerds for program in one.programs.values()]
    programs += [runtime.file for one in containerds for runtime in one.runtimes]
    files: dict[str, Path | bytes] = {"lab/pause.tar": images()[PAUSE]}
    for program in (try_program(), *programs):
        files |= with_libraries(program)
    return root_image("lab", files)


def _wait_until_it_answers(run: Callable[[Sequence[str], float], str], one: Containerd) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            run(one.ctr("version"), START_SECONDS)
        except FAILURES:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return
