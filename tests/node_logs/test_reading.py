"""What is read of logs, listings and counters: the same in every format, however the bytes come, at the right lines."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.log_formats import LONGEST_ENTRY, Framing, LineDecoder
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import KernelKill, LogSpan, NodeEvidence
from kubectl_memdoctor.node_logs import prefilter
from kubectl_memdoctor.node_logs.files import LogSource, open_logs
from kubectl_memdoctor.node_logs.log_pass import OUT_OF_ORDER, Readers
from kubectl_memdoctor.node_logs.prefilter import Block, Hits, Sieve
from kubectl_memdoctor.node_logs.reading import NodeLogs, read_node_logs, read_stream

from .node_lines import (
    CADVISOR,
    CARRIED,
    CONTAINER,
    DOCKER_PS,
    QUIET,
    REPORT,
    REST_OF_OLD_REPORT,
    SUMMARY,
    SYNC_FAILURE,
    TASK_OOM,
    UID,
    dmesg,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def stream(text: str | bytes, name: str = "log", writer: Writer = Writer.UNKNOWN) -> NodeEvidence:
    return read_stream([text.encode() if isinstance(text, str) else text], name, now=NOW, writer=writer)


def read(*paths: Path) -> NodeLogs:
    return read_node_logs(open_logs([str(path) for path in paths], None), now=NOW)


def untimed(kill: KernelKill) -> KernelKill:
    return msgspec.structs.replace(kill, time=None, zone_known=True, uptime_seconds=None, node="", lines=())


def kernel_span(evidence: NodeEvidence) -> LogSpan:
    (span,) = (span for span in evidence.spans if span.writer is Writer.KERNEL)
    return span


@pytest.mark.parametrize("form", CARRIED)
def test_a_report_is_the_same_in_every_format(form: str) -> None:
    (kill,) = stream(CARRIED[form]([*QUIET * 30, *REPORT, *QUIET * 30])).kills
    (expected,) = stream(dmesg([*QUIET * 30, *REPORT, *QUIET * 30])).kills
    assert untimed(kill) == untimed(expected)
    assert (kill.level, kill.pod_uid, kill.container_id) == (Level.CONTAINER, UID, CONTAINER)


@pytest.mark.parametrize("form", CARRIED)
def test_numbers_of_lines_are_right(form: str) -> None:
    """In a log of many blocks, with reports in some of them."""
    quiet = QUIET * 1500
    text = CARRIED[form]([*quiet, *REPORT, *quiet, *REPORT[:-1], REPORT[-1].replace("4242", "4243"), *quiet])
    lines = [line for kill in stream(text).kills for line in kill.lines]
    assert lines
    in_file = text.split("\n")
    for line in lines:
        entry = "\n".join(in_file[line.number - 1 : line.number + 14])
        assert line.text[:20] in entry or form.endswith("bytes")
    assert len({line.number for line in lines}) == len({(line.number, line.text) for line in lines}) > len(REPORT) // 2


@pytest.mark.parametrize("form", CARRIED)
def test_a_log_that_begins_in_the_middle_of_a_report(form: str) -> None:
    """Lines without a needle count as well there."""
    kills = stream(CARRIED[form]([*REST_OF_OLD_REPORT, *QUIET])).kills
    assert 65536 * 1024 in {kill.limit_bytes for kill in kills}


def syslog(lines: Sequence[str], start: datetime = datetime(2026, 11, 28, 10, tzinfo=UTC)) -> str:
    """A line a second."""
    return "".join(
        f"{start + timedelta(seconds=number):%b %d %H:%M:%S} worker-1 {line}\n" for number, line in enumerate(lines)
    )


KERNEL_LINES = tuple(f"kernel: {line}" for line in REPORT)
OTHERS = ("sshd[7]: Accepted publickey", f"kubelet[1]: {SYNC_FAILURE}", f"containerd[2]: {TASK_OOM}", "systemd[1]: x")
SMALL_BLOCKS = st.integers(1, 4000)
MIXED = st.lists(st.sampled_from([*KERNEL_LINES, *OTHERS, "kernel: " + QUIET[0], "app[9]: " + REPORT[-1]]), max_size=60)


def all_decoded(text: str) -> NodeEvidence:
    """Without a prefilter."""
    decoder, readers = LineDecoder("log", now=NOW), Readers("")
    for number, entry in enumerate(text.encode().splitlines(), 1):
        for line in decoder.lines(entry, number):
            readers.read(line)
    readers.finish()
    kubelet, runtime = readers.kubelet.evidence(), readers.runtime.evidence({})
    return NodeEvidence(
        kills=readers.kernel.kills,
        sandbox_failures=(*kubelet.sandbox_failures, *runtime.sandbox_failures),
        runtime_ooms=runtime.runtime_ooms,
    )


@given(MIXED, st.integers(0, 5), SMALL_BLOCKS)
def test_the_prefilter_leaves_nothing_out(lines: list[str], quiet: int, block_bytes: int) -> None:
    """Not even behind a first block, which is read as a whole."""
    text = syslog(["systemd[1]: Started Session of user root."] * quiet * 10 + lines)
    with patch.object(prefilter, "BLOCK_BYTES", block_bytes):
        found = stream(text)
    expected = all_decoded(text)
    assert found.kills == expected.kills
    assert found.sandbox_failures == expected.sandbox_failures
    assert found.runtime_ooms == expected.runtime_ooms


def test_what_another_program_says_is_not_the_kernel_s() -> None:
    assert stream(syslog([f"app[9]: {line}" for line in REPORT])).kills == ()


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


PIECES = [form([*QUIET, *REPORT]).encode() for form in CARRIED.values()]
PIECES += [part.encode() for part in (DOCKER_PS, CADVISOR, SUMMARY, syslog(OTHERS))]
PIECES += [gzip.compress(PIECES[0], mtime=0), "\ufeff".encode("utf-16-le") + b"[", b"\0" * 50, b"x" * 5000]
SIZES = st.lists(st.integers(0, 5000), max_size=8)


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=60), max_size=4), SIZES, SMALL_BLOCKS)
def test_any_bytes_cut_anywhere(pieces: list[bytes], sizes: list[int], block_bytes: int) -> None:
    data = b"".join(pieces)
    with patch.object(prefilter, "BLOCK_BYTES", block_bytes):
        whole = read_stream([data], "log", now=NOW)
        assert read_stream(cut(data, sizes), "log", now=NOW) == whole


@given(st.sampled_from(PIECES), st.data())
def test_a_log_that_ends_anywhere(piece: bytes, data: st.DataObject) -> None:
    read_stream([piece[: data.draw(st.integers(0, len(piece)))]], "log", now=NOW)


def test_a_long_line_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the line: no more is decoded, and no more than the line is sieved."""
    decoded: list[int] = []
    sieved: list[int] = []
    decode, sieve = LineDecoder.lines, Sieve.hits

    def decode_noted(self: LineDecoder, entry: bytes, number: int, framing: Framing) -> tuple[LogLine, ...]:
        decoded.append(len(entry))
        return decode(self, entry, number, framing)

    def sieve_noted(self: Sieve, block: Block) -> Hits:
        sieved.append(block.end)
        return sieve(self, block)

    monkeypatch.setattr(LineDecoder, "lines", decode_noted)
    monkeypatch.setattr(Sieve, "hits", sieve_noted)

    def work(size: int) -> tuple[int, int]:
        decoded.clear()
        sieved.clear()
        stream(dmesg([*QUIET, "oom " * (size // 4), *QUIET]))
        return sum(decoded), sum(sieved)

    (short_decoded, short_sieved), (long_decoded, long_sieved) = work(LONGEST_ENTRY // 2), work(LONGEST_ENTRY - 100)
    assert long_decoded <= 2 * short_decoded + 2000
    assert long_sieved <= 2 * short_sieved
    assert max(work(4 * LONGEST_ENTRY)) < short_sieved


# Spans


def test_a_span_reaches_from_the_first_to_the_last_line() -> None:
    evidence = stream(syslog([OTHERS[0], *KERNEL_LINES, *OTHERS * 500, OTHERS[0]]), "messages")
    span = kernel_span(evidence)
    assert (span.file, span.node) == ("messages", "worker-1")
    assert span.first == datetime(2026, 11, 28, 10, tzinfo=UTC)
    assert span.last == span.first + timedelta(seconds=2010)
    assert {span.writer for span in evidence.spans} == {Writer.KERNEL, Writer.KUBELET, Writer.CONTAINERD}


def test_a_log_without_the_kernel_s_lines_has_no_span_of_the_kernel() -> None:
    spans = stream(syslog([OTHERS[0], OTHERS[1]] * 10)).spans
    assert [span.writer for span in spans] == [Writer.KUBELET]


def test_a_single_line_of_the_kernel_far_behind_is_seen() -> None:
    text = syslog([OTHERS[0]] * 5000 + ["kernel: " + QUIET[0]] + [OTHERS[0]] * 5000)
    assert Writer.KERNEL in {span.writer for span in stream(text).spans}


def test_uptimes_of_a_log_without_times() -> None:
    span = kernel_span(stream(dmesg(QUIET * 2000, 100.0)))
    assert (span.first, span.last) == (None, None)
    assert (span.first_uptime_seconds, span.last_uptime_seconds) == (100.0, 103.999)


def test_each_start_of_the_node_has_a_span_of_its_own() -> None:
    first, second = dmesg(QUIET * 2000, 100.0), dmesg(["Linux version 6.1.0-18-amd64 (x)", *QUIET], 0.0)
    spans = [(span.first_uptime_seconds, span.last_uptime_seconds) for span in stream(first + second + second).spans]
    assert spans == [(100.0, 103.999), (0.0, 0.002), (0.0, 0.002)]


def test_times_that_go_backwards_are_a_gap() -> None:
    newer = syslog(["kernel: x"] * 3, datetime(2026, 11, 27, tzinfo=UTC))
    older = syslog(["kernel: x"] * 3, datetime(2026, 11, 26, tzinfo=UTC))
    assert kernel_span(stream(newer + older)).gaps == (OUT_OF_ORDER,)
    assert kernel_span(stream(older + newer)).gaps == ()


def test_what_the_kernel_left_out_is_a_gap() -> None:
    assert kernel_span(stream(dmesg([*QUIET, "oom_kill_process: 12 callbacks suppressed"]))).gaps


def test_a_log_that_is_cut_off_has_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "dmesg.gz"
    path.write_bytes(gzip.compress(dmesg([*QUIET * 3000, *REPORT]).encode())[:-40])
    logs = read(path)
    assert logs.problems == (f"{path}: the gzip data is cut off",)
    assert kernel_span(logs.evidence).gaps == (f"{path} ends too early: the gzip data is cut off",)


def test_when_the_node_started() -> None:
    """Where a line has both: the kernel's uptime and a time whose zone is known."""
    text = "".join(
        f"2026-11-28T10:00:0{second}+00:00 worker-1 kernel: [  60{second}.000000] x\n" for second in range(9)
    )
    assert stream(text).boots == {"worker-1": datetime(2026, 11, 28, 9, 50, tzinfo=UTC)}
    assert stream(syslog(["kernel: [  600.000000] x"])).boots == {}


# Files


FILES = {
    "dmesg.txt": dmesg([*QUIET, *REPORT]),
    "messages": syslog([*OTHERS, *KERNEL_LINES]),
    "docker-ps.txt": DOCKER_PS,
    "cadvisor.txt": CADVISOR,
    "summary.json": SUMMARY,
    "image.bin": "\0\1\2\3" * 100,
    "notes.txt": "nothing of a log\n",
}


def test_a_folder_of_everything(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    logs = read(tmp_path)
    found = logs.evidence
    assert [kill.pod_uid for kill in found.kills] == [UID, UID]
    assert [(failures.writer, failures.pod_uid, failures.count) for failures in found.sandbox_failures] == [
        (Writer.KUBELET, UID, 1)
    ]
    assert [oom.container_id for oom in found.runtime_ooms] == [CONTAINER]
    assert [(listing.pod_uid, listing.count) for listing in found.listings] == [(UID, 1)]
    assert [(counters.pod, counters.oom_events) for counters in found.counters] == [("web-1", 3)]
    assert [usage.working_set_bytes for usage in found.usages if usage.pod] == [1000]
    assert (logs.problems, logs.passed_over) == ((), 2)
    assert {(Path(file.name).name, file.format, file.lines) for file in logs.files} == {
        ("dmesg.txt", "dmesg", 11),
        ("messages", "syslog", 13),
        ("docker-ps.txt", "list of sandboxes", 2),
        ("cadvisor.txt", "metrics", 2),
        ("summary.json", "a kubelet's summary", 0),
    }


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"\0\1\2\3" * 100, "is not a text file"),
        (b"LPKSHHRH" + bytes(300), "is a journal in systemd's own form"),
        (b"x".ljust(257, b"\0") + b"ustar" + bytes(300), "is an archive"),
        (b"PK\x03\x04" + bytes(300), "is an archive"),
        (b"Dear reader,\nthe node was slow.\n", "none of its lines is in a format that is known"),
        (b'{"kind": "List"}', "is neither a log nor a list of sandboxes"),
        (b"\x1f\x8b\x08\0\0", "the gzip data is cut off"),
    ],
)
def test_a_named_file_of_no_use_costs_one_line(tmp_path: Path, data: bytes, problem: str) -> None:
    bad, good = tmp_path / "bad", tmp_path / "dmesg"
    bad.write_bytes(data)
    good.write_text(dmesg(REPORT))
    logs = read(bad, good)
    (line,) = logs.problems
    assert line.startswith(f"{bad}: {problem}")
    assert len(logs.evidence.kills) == 1


def test_a_report_that_goes_on_in_the_next_rotated_part(tmp_path: Path) -> None:
    (tmp_path / "kern.log.1").write_text(syslog(KERNEL_LINES[:4]))
    (tmp_path / "kern.log").write_text(syslog(KERNEL_LINES[4:], datetime(2026, 11, 28, 10, 0, 4, tzinfo=UTC)))
    logs = read(tmp_path)
    (kill,) = logs.evidence.kills
    assert (kill.limit_bytes, kill.pod_uid) == (65536 * 1024, UID)
    older, newer = logs.evidence.spans
    assert (older.last, newer.first) == (newer.first, datetime(2026, 11, 28, 10, 0, 4, tzinfo=UTC))


def test_a_year_is_not_after_the_file_was_written(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_text(syslog(["kernel: x"]))
    os.utime(path, (datetime(2024, 6, 1, tzinfo=UTC).timestamp(),) * 2)
    assert kernel_span(read(path).evidence).first == datetime(2023, 11, 28, 10, tzinfo=UTC)


LISTED = "0123456789ab".ljust(64, "0")


@pytest.mark.parametrize(("listing", "uid"), [(DOCKER_PS, UID), (DOCKER_PS.replace("k8s_POD_", "k8s_app_"), "")])
def test_a_cgroup_without_memory_for_the_kernel_is_named_by_a_listing_of_its_sandbox(
    tmp_path: Path, listing: str, uid: str
) -> None:
    cache = f"  cache: dentry(7:docker-{LISTED}.scope), object size: 192, buffer size: 192"
    (tmp_path / "dmesg.txt").write_text(dmesg([*QUIET, "SLUB: Unable to allocate memory on node -1 (gfp=0xd0)", cache]))
    (tmp_path / "docker-ps.txt").write_text(listing)
    (found,) = read(tmp_path).evidence.allocation_failures
    assert (found.pod_uid, found.count) == (uid, 1)


def test_docker_s_ids_are_named_by_a_listing(tmp_path: Path) -> None:
    failure = f"Handler for POST /v1.38/containers/{LISTED}/start returned error: x"
    (tmp_path / "dockerd.log").write_text(f'time="2026-11-28T18:45:27+08:00" level=error msg="{failure}"\n')
    (tmp_path / "docker-ps.txt").write_text(DOCKER_PS)
    (failures,) = read(tmp_path).evidence.sandbox_failures
    assert (failures.name, failures.pod_uid) == ("web-1", UID)


def test_a_layout_s_node_goes_into_the_evidence(tmp_path: Path) -> None:
    folder = tmp_path / "nodes" / "worker-7"
    folder.mkdir(parents=True)
    (folder / "dmesg").write_text(dmesg(REPORT))
    evidence = read(tmp_path).evidence
    assert {kill.node for kill in evidence.kills} == {span.node for span in evidence.spans} == {"worker-7"}


def test_a_stream_s_own_errors_are_the_caller_s() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"[    1.000000] x\n"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        read_stream(chunks(), "log", now=NOW)


def test_a_log_whose_lines_name_nobody_is_whose_it_is_said_to_be() -> None:
    text = TASK_OOM + "\n"
    (oom,) = stream(text, "x", Writer.CONTAINERD).runtime_ooms
    assert oom.line == LogLine(
        TASK_OOM.partition(" ")[2], Writer.CONTAINERD, "x", 1, datetime(2026, 11, 28, 18, 45, 30, tzinfo=UTC)
    )


def test_readers_of_a_series_are_kept_apart_from_others(tmp_path: Path) -> None:
    """The same log given twice is read twice: what is the same, contexts find out."""
    source = LogSource("a", lambda: iter([dmesg(REPORT).encode()]))
    assert len(read_node_logs([source, source], now=NOW).evidence.kills) == 2
