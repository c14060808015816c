"""What a debug pod printed, as evidence; and what is said where it is not all that it should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile

import pytest

from kubectl_memdoctor.debugging.manifests import DebugPod
from kubectl_memdoctor.debugging.reading import MISSED, NodeReading, read_run
from kubectl_memdoctor.debugging.session import PodRun
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.objects import ObjectMeta
from kubectl_memdoctor.temporary.places import Place

PRINTED = (Path(__file__).parent / "printed.log").read_bytes()
UID = "c0c6aace-b167-4011-bb58-0410ab0b4182"
SERIAL = "nsw2h"
NOW = datetime(2026, 11, 28, 9, 52, 25, tzinfo=UTC)
UNLISTED = (
    "the runtime's sandboxes could not be listed: chroot: can't execute 'crictl': No such file or directory; chroot:"
    " can't execute 'docker': No such file or directory"
)
LINUX = "[    0.000000] Linux version 6.1.0\n"
KILLED = "Memory cgroup out of memory: Killed process 549 (eat) total-vm:66776kB, anon-rss:64884kB, file-rss:652kB"


def read(printed: bytes, broke_off: str = "") -> NodeReading:
    output = SpooledTemporaryFile[bytes]()
    output.write(printed)
    output.seek(0)
    pod = DebugPod(SERIAL, "shop", Place(metadata=ObjectMeta(name="worker-2")), "busybox", True, "")
    return read_run(PodRun(pod, output=output, broke_off=broke_off), NOW)


def part(kind: str, text: str = "") -> bytes:
    return f"\nmemdoctor-{SERIAL} {kind}\n{text}".encode()


def whole(*parts: bytes) -> bytes:
    return b"".join([*parts, part("end")])


def test_a_kill() -> None:
    reading = read(PRINTED)
    (kill,) = reading.evidence.kills
    assert (kill.pod_uid, kill.level, kill.node, kill.whole) == (UID, Level.POD, "worker-2", True)
    assert (kill.limit_bytes, [task.name for task in kill.victims]) == (64 << 20, ["eat"])
    assert reading.reasons == (UNLISTED,)


def test_times_of_day() -> None:
    """The kernel counts from its start, which the node's own clock and uptime tell."""
    evidence = read(PRINTED).evidence
    assert evidence.boots == {"worker-2": datetime.fromtimestamp(1795859543, UTC) - timedelta(seconds=192.06)}
    assert evidence.kills[0].uptime_seconds == pytest.approx(131.67, abs=0.1)


def test_how_far_the_log_reaches() -> None:
    (span,) = read(PRINTED).evidence.spans
    assert (span.node, span.first_uptime_seconds, span.gaps) == ("worker-2", 0.0, ())


def test_the_journal() -> None:
    """Its times are times of day, with the node's zone."""
    line = f"2026-11-28T10:52:03.123456+0100 worker-2 kernel: {KILLED}\n"
    (kill,) = read(whole(part("kernel journalctl", line))).evidence.kills
    assert kill.time == datetime(2026, 11, 28, 9, 52, 3, 123456, UTC)


def test_a_journal_that_lost_messages() -> None:
    line = f"2026-11-28T10:52:03.123456+0100 worker-2 kernel: {KILLED}\n"
    missed = part("missed", "2026-11-28T10:52:02+0100 worker-2 systemd-journald[1]: Missed 3 kernel messages\n")
    (span,) = read(whole(part("kernel journalctl", line), missed)).evidence.spans
    assert span.gaps == (MISSED,)


@pytest.mark.parametrize("broke_off", ["", "Unable to connect to the server: EOF"])
def test_a_log_that_breaks_off(broke_off: str) -> None:
    """What came counts; what did not may hold a kill."""
    reading = read(PRINTED[: PRINTED.index(b"eat invoked")], broke_off)
    why = f"what the pod printed is not whole: {broke_off or 'it ended early'}"
    assert reading.reasons == (why,)
    assert [span.gaps for span in reading.evidence.spans] == [(why,)]


def test_a_kernel_log_that_breaks_off_after_its_end() -> None:
    reading = read(PRINTED[: PRINTED.index(b"chroot: can't execute 'crictl'")], "EOF")
    assert len(reading.evidence.kills) == 1
    assert [span.gaps for span in reading.evidence.spans] == [()]


def test_a_kernel_log_that_may_not_be_read() -> None:
    errors = "dmesg: read kernel buffer failed: Operation not permitted\n"
    reading = read(whole(part("kernel dmesg"), part("errors kernel", errors), part("sandboxes docker", DOCKER)))
    assert reading.reasons == (f"the kernel's log could not be read: {errors.strip()}",)


def docker_row(identity: str, state: str, attempt: int) -> str:
    return f'{identity}   pause   "/pause"   3 seconds ago   {state}   k8s_POD_web-1_shop_{UID}_{attempt}\n'


DOCKER = (
    "CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   PORTS   NAMES\n"
    + docker_row("0123456789ab", "Created", 41)
    + docker_row("123456789abc", "Exited (137) 2 seconds ago", 40)
)


def test_sandboxes() -> None:
    (listing,) = read(whole(part("kernel dmesg", LINUX), part("sandboxes docker", DOCKER))).evidence.listings
    assert (listing.namespace, listing.name, listing.pod_uid, listing.node) == ("shop", "web-1", UID, "worker-2")
    assert (listing.count, listing.highest_attempt) == (2, 41)


@pytest.mark.parametrize("clock", ["", "x y", "1.0", "nan 1", "1 inf", "-1e300 1e300", "1 2 3 4" * 1000])
def test_a_clock_that_is_none(clock: str) -> None:
    reading = read(whole(part("clock", clock), part("kernel dmesg", LINUX)))
    assert len(reading.evidence.spans) == 1


@pytest.mark.parametrize("printed", [b"hello\n", b"\xff" * 10_000, PRINTED.replace(SERIAL.encode(), b"other")])
def test_another_program(printed: bytes) -> None:
    """A webhook gave the pod another image or command."""
    (reason,) = read(printed).reasons
    assert reason.startswith("the pod did not print what it was to print: ")
    assert len(reason) < 300


@pytest.mark.parametrize("cut", [lambda text: text[: len(text) // 3], lambda text: text[7:], lambda text: text + text])
def test_whatever_comes_is_read(cut: Callable[[bytes], bytes]) -> None:
    read(cut(PRINTED))


def test_nothing_was_printed() -> None:
    pod = DebugPod(SERIAL, "shop", Place(), "busybox", True, "")
    assert read_run(PodRun(pod, reason="its log is empty"), NOW) == NodeReading(reasons=("its log is empty",))
