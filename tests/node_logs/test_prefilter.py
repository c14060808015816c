"""The sieve finds what a search in every line finds; blocks do not depend on how a stream is cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.log_formats import KEPT_OF_LONGER, LONGEST_ENTRY, Framing
from kubectl_memdoctor.node_logs.log_pass import BOOT, BYTES_FOR_TEXT, Readers
from kubectl_memdoctor.node_logs.prefilter import BLOCK_BYTES, Block, Sieve, blocks

NEEDLES = (*Readers.NEEDLES, *BYTES_FOR_TEXT, BOOT.encode())
ORDINARY = (
    "Nov 27 10:00:00 worker-1 kernel: [  812.114201] docker0: port 3(veth1f) entered disabled state",
    "Nov 27 10:00:00 worker-1 kernel: [  812.114310] IPVS: rr: TCP 10.96.0.10:53 - no destination available",
    'Nov 27 10:00:01 worker-1 kubelet[1234]: I1127 10:00:01.1 1234 kubelet.go:2453] "SyncLoop (PLEG): event for pod"',
    'Nov 27 10:00:01 worker-1 kubelet[1234]: E1127 10:00:01.2 1234 pod_workers.go:1298] "Error syncing pod, skipping"',
    'Nov 27 10:00:02 worker-1 containerd[900]: time="2026-11-27T10:00:02Z" level=info msg="StopContainer for x"',
    "Nov 27 10:00:03 worker-1 sshd[2211]: Accepted publickey for core from 10.0.0.1 port 53122 ssh2: SHA256:x",
    "Nov 27 10:00:04 worker-1 systemd[1]: Started Session 4 of User root.",
)
LOOKALIKES = (
    b"oom",
    b"room",
    b"mjolr",
    b"skilled ",
    b"out of memo",
    b"OM",
    b"SLUB:",
    b"PodSandbo",
    b"kernel messag",
    b"",
)


def places(sieve: Sieve, data: bytes) -> Iterator[int]:
    found = sieve.hits(Block(data, len(data)))
    place = -1
    while (place := found.after(place + 1)) >= 0:
        yield place


def every_place(data: bytes) -> list[int]:
    shortest = Sieve(NEEDLES).needles
    return sorted({place for place in range(len(data)) if any(data.startswith(needle, place) for needle in shortest)})


words = st.sampled_from([*NEEDLES, *LOOKALIKES, b"\n", b"\n\n", b" ", b"x" * 200]) | st.binary(max_size=8)


@given(st.lists(words, max_size=40))
def test_the_sieve_finds_all_needles_and_nothing_else(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert [*places(Sieve(NEEDLES), data)] == every_place(data)


@given(st.lists(words, max_size=40))
def test_lines_are_counted(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert Sieve(NEEDLES).hits(Block(data, len(data))).lines == data.count(b"\n")


def test_places_before_another_are_passed_over() -> None:
    found = Sieve([b"oom"]).hits(Block(b"oom\noom\nx\noom", 13))
    assert [found.after(place) for place in (1, 8, 14)] == [4, 10, -1]


def test_nothing_behind_a_block_s_end_is_found() -> None:
    assert Sieve([b"oom"]).hits(Block(b"x\noom", 4)).after(0) == -1


def test_of_a_log_without_needles_little_has_to_be_searched() -> None:
    """Where what is left of a needle stands in what is left of the log, the sieve saved nothing."""
    sieve = Sieve(Readers.NEEDLES)
    left = sieve.sieved("\n".join(ORDINARY).encode())
    assert len(left) < len("\n".join(ORDINARY)) / 5
    assert len([needle for needle, remains in sieve.remains.items() if remains in left]) <= 2


@pytest.mark.parametrize("needle", NEEDLES)
def test_a_needle_looks_the_same_in_json(needle: bytes) -> None:
    """Quotes, backslashes and what is no ASCII are written otherwise there, by Go also <, > and &."""
    assert needle in BYTES_FOR_TEXT or (not set(needle) & set(b'"\\<>&\n') and needle.isascii())


def test_a_needle_of_which_nothing_passes_is_found() -> None:
    assert [*places(Sieve([b"123"]), b"x\n0123")] == [3]


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


LINES = st.lists(
    st.sampled_from([1, 20, 3000, BLOCK_BYTES - 1, BLOCK_BYTES, LONGEST_ENTRY, LONGEST_ENTRY + 1]), max_size=6
)


@settings(max_examples=40)
@given(LINES, st.lists(st.integers(0, 2 * BLOCK_BYTES), max_size=6), st.sampled_from(list(Framing)))
def test_blocks_do_not_depend_on_chunks(lengths: list[int], sizes: list[int], framing: Framing) -> None:
    data = b"".join(b"_" * (length - len(framing.separator)) + framing.separator for length in lengths)
    whole = [*blocks([data], framing)]
    assert whole == [*blocks(cut(data, sizes), framing)]
    assert sum(block.data.count(b"\n", 0, block.end) + block.left_out for block in whole) == data.count(b"\n")
    if max(lengths, default=0) <= LONGEST_ENTRY:
        assert b"".join(block.data[: block.end] for block in whole) == data


def test_of_a_line_that_is_too_long_the_beginning_is_kept() -> None:
    data = b"a\n" + b"x" * (3 * LONGEST_ENTRY) + b"\nb\n"
    assert b"".join(block.data[: block.end] for block in blocks([data], Framing.LINES)).split(b"\n")[1:] == [
        b"x" * KEPT_OF_LONGER + b"b",
        b"",
    ]
