"""A machine starts with the cgroup version that was asked for, and its shell does as a shell here would."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from node.machine.boot import Machine, machine
from node.machine.kernel import in_loading_order
from node.machine.root_image import libraries, root_image
from node.machine.shell import Gone
from node.place import CommandFailed

SHELL = ("sh", "-c")
TESTS = Path(__file__).parents[2]
EXCEED_A_LIMIT = """
mkdir -p {pod}/container
echo 4194304 > {pod}/{limit}
echo $$ > {pod}/container/cgroup.procs
exec dd if=/dev/zero of=/dev/null bs=64M count=1
"""
BOOT_AND_WAIT = """
import pathlib, sys, time
from node.machine.boot import machine
from node.machine.root_image import root_image
with machine(root_image("test", {}), memory_mib=256, folder=pathlib.Path(sys.argv[1])):
    print("booted", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def image(enclosed: None) -> Path:
    program = _program()
    return root_image("test", {**libraries(program), "/srv/setpriv": program, "/srv/greeting": b"good morning\n"})


@pytest.fixture(scope="module")
def v1(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("v1")
    with machine(image, cpus=1, memory_mib=512, cgroup="v1", folder=folder) as started:
        yield started


@pytest.fixture(scope="module")
def v2(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("v2")
    with machine(image, cpus=4, memory_mib=512, cgroup="v2", folder=folder) as started:
        yield started


def test_v1_has_a_hierarchy_for_each_controller(v1: Machine) -> None:
    assert v1.run(["cat", "/sys/fs/cgroup/memory/memory.use_hierarchy"]) == "1\n"
    assert v1.run(["readlink", "/sys/fs/cgroup/cpuacct"]) == "cpu,cpuacct\n"
    controllers = [line.split() for line in v1.run(["cat", "/proc/cgroups"]).splitlines()[1:]]
    assert {"memory", "cpu", "cpuset", "pids", "devices"} <= {
        name for name, hierarchy, _, _ in controllers if hierarchy != "0"
    }
    assert "cgroup2" not in v1.run(["cat", "/proc/mounts"])


def test_v2_has_one_hierarchy_with_all_controllers_on(v2: Machine) -> None:
    offered, on = (
        v2.run(["cat", f"/sys/fs/cgroup/cgroup.{name}"]).split() for name in ("controllers", "subtree_control")
    )
    assert {"memory", "cpu", "cpuset", "io", "pids"} <= set(on)
    assert set(on) == set(offered)
    assert " cgroup rw" not in v2.run(["cat", "/proc/mounts"])


def test_a_pods_limit_kills_and_the_kernel_log_says_so(v1: Machine, v2: Machine) -> None:
    for started, pod, limit in (
        (v1, "/sys/fs/cgroup/memory/kubepods/pod1", "memory.limit_in_bytes"),
        (v2, "/sys/fs/cgroup/kubepods/pod2", "memory.max"),
    ):
        if started is v2:
            allow = "mkdir /sys/fs/cgroup/kubepods; echo +memory > /sys/fs/cgroup/kubepods/cgroup.subtree_control"
            nested = f"mkdir {pod}; echo +memory > {pod}/cgroup.subtree_control"
            started.run([*SHELL, f"{allow}; {nested}"])
        done = started.ask([*SHELL, EXCEED_A_LIMIT.format(pod=pod, limit=limit)])
        assert done.returncode == 128 + signal.SIGKILL, done.stderr
        assert f"oom_memcg=/kubepods/{Path(pod).name}," in started.kernel_log()


def test_it_has_the_processors_and_the_time_asked_for(v1: Machine, v2: Machine) -> None:
    assert (v1.run(["nproc"]), v2.run(["nproc"])) == ("1\n", "4\n")
    for started in (v1, v2):
        before = int(time.time())
        assert before - 2 <= int(started.run(["date", "+%s"])) <= time.time() + 2


def test_exit_codes_and_both_outputs_come_back(v2: Machine) -> None:
    done = v2.ask([*SHELL, "echo out; echo 'two  words' >&2; exit 7"])
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"two  words\n")
    assert v2.ask(["nosuch"]).returncode == 127
    assert v2.ask([*SHELL, "kill -TERM $$"]).returncode == 128 + signal.SIGTERM
    with pytest.raises(CommandFailed, match=r"^ls /nosuch left with 1 in the machine: ls: /nosuch: No such file"):
        v2.run(["ls", "/nosuch"])


def test_arguments_and_stdin_arrive_as_they_are(v2: Machine) -> None:
    odd = ["$HOME", "a'b\"c", "two\nlines", "*", "", "ö"]
    assert v2.ask(["printf", "%s|", *odd]).stdout.decode() == "".join(f"{each}|" for each in odd)
    assert v2.run(["sha256sum"], stdin=bytes(range(256)) * 999).split()[0] == _sha256(bytes(range(256)) * 999)
    assert v2.run(["cat"]) == ""


def test_big_outputs_are_whole(v2: Machine) -> None:
    noise = "dd if=/dev/urandom bs=1M count=9 | tee /tmp/big | cat; sha256sum /tmp/big > /tmp/sum"
    done = v2.ask([*SHELL, f"{noise}; head -c 99999 /tmp/big >&2"])
    assert _sha256(done.stdout) == v2.run(["cut", "-c-64", "/tmp/sum"]).strip()
    assert done.stderr.endswith(done.stdout[:99999])


def test_what_takes_too_long_is_killed_with_its_children(v2: Machine) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as late:
        v2.run([*SHELL, "echo so far; sleep 86401 & sleep 86401"], seconds=1)
    assert late.value.stdout == b"so far\n"
    assert "86401" not in v2.run(["ps", "-o", "args"])
    assert v2.run(["echo", "next"]) == "next\n"


def test_a_command_may_leave_a_program_behind(v2: Machine) -> None:
    process = v2.start([*SHELL, "echo started; exec sleep 86402"], "/var/log/one/program.log")
    assert "sleep\x0086402\x00" in v2.run(["cat", f"/proc/{process}/cmdline"])
    assert v2.get("/var/log/one/program.log") == b"started\n"


def test_commands_run_at_the_same_time(v2: Machine) -> None:
    v2.run(["mkfifo", "/tmp/fifo"])
    with ThreadPoolExecutor() as threads:
        reader = threads.submit(v2.run, ["cat", "/tmp/fifo"], 30)
        v2.run([*SHELL, "echo met > /tmp/fifo"], 30)
        assert reader.result() == "met\n"


def test_files_go_in_and_out(v2: Machine) -> None:
    assert v2.get("/srv/greeting") == b"good morning\n"
    v2.put("/srv/some folder/script", b'#!/bin/sh\necho ran "$1"\n', executable=True)
    assert v2.run(["/srv/some folder/script", "x y"]) == "ran x y\n"
    with pytest.raises(FileNotFoundError, match="/srv/nosuch in the machine"):
        v2.get("/srv/nosuch")


def test_programs_find_their_libraries(v2: Machine) -> None:
    here = subprocess.check_output([_program(), "--version"], text=True)
    assert v2.run(["/srv/setpriv", "--version"]).split()[1:] == here.split()[1:]


def test_what_a_machine_writes_is_lost(image: Path, v2: Machine, tmp_path: Path) -> None:
    v2.put("/srv/greeting", b"changed")
    with machine(image, memory_mib=256, folder=tmp_path) as another:
        assert another.get("/srv/greeting") == b"good morning\n"
        with pytest.raises(Gone, match="the machine ended"):
            another.run(["poweroff", "-f"])
        with pytest.raises(Gone):
            another.run(["true"])


def test_it_ends_with_the_process_that_started_it(enclosed: None, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BOOT_AND_WAIT, str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        assert starter.stdout.readline() == "booted\n"
        emulator = int(Path(f"/proc/{starter.pid}/task/{starter.pid}/children").read_text())
        starter.kill()
    deadline = time.monotonic() + 10
    while _runs(emulator) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(emulator)


def test_a_machine_that_does_not_start_says_what_its_console_said(enclosed: None, tmp_path: Path) -> None:
    broken = tmp_path / "disk"
    broken.write_bytes(bytes(1 << 20))
    with (
        pytest.raises(Gone, match=r"(?s)before it had started:.*Kernel panic"),
        machine(broken, memory_mib=256, folder=tmp_path),
    ):
        pass


def test_an_image_is_made_anew_when_a_part_of_it_changes(
    enclosed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.machine.root_image.MACHINE", tmp_path)
    part = tmp_path / "part"
    part.write_text("one")
    first = root_image("small", {"/part": part})
    made = first.stat().st_mtime_ns
    assert root_image("small", {"/part": part}) == first
    assert first.stat().st_mtime_ns == made
    part.write_text("two")
    second = root_image("small", {"/part": part})
    assert sorted(tmp_path.iterdir()) == sorted([part, second])


def test_modules_come_after_what_they_depend_on(tmp_path: Path) -> None:
    needs = {"a": "b,c", "b": "d", "c": "", "d": "built_in"}
    modules = {name: tmp_path / f"{name}.ko" for name in needs}
    for name, file in modules.items():
        file.write_bytes(b"\x7fELF\0license=GPL\0depends=%s\0retpoline=Y\0" % needs[name].encode())
    assert [file.stem for file in in_loading_order(["c", "a"], modules)] == ["c", "d", "b", "a"]


def _program() -> Path:
    """One that is linked dynamically."""
    found = shutil.which("setpriv")
    assert found
    return Path(found).resolve()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _runs(process: int) -> bool:
    """A process that ended waits in the table of processes until its parent asks for it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
