"""The sieve finds what a search in every line finds; blocks do not depend on how a stream is cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.log_formats import KEPT_OF_LONGER, LONGEST_ENTRY, Framing
from kubectl_memdoctor.node_logs import prefilter
from kubectl_memdoctor.node_logs.log_pass import BOOT, BYTES_FOR_TEXT, Readers
from kubectl_memdoctor.node_logs.prefilter import BLOCK_BYTES, LEAST_LETTERS, Block, Sieve, blocks

NEEDLES = (*Readers.NEEDLES, *BYTES_FOR_TEXT, BOOT.encode())
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


def hits(sieve: Sieve, data: bytes) -> Iterator[tuple[int, int]]:
    found = sieve.hits(Block(data, len(data)))
    place = 0
    while (hit := found.after(place)) is not None:
        yield hit.start, hit.lines
        place = hit.start + 1


def hits_line_by_line(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    for lines, line in enumerate(data.split(b"\n")):
        if any(needle in line for needle in NEEDLES):
            yield start, lines
        start += len(line) + 1


words = st.sampled_from([*NEEDLES, *LOOKALIKES, b"\n", b"\n\n", b" ", b"x" * 200]) | st.binary(max_size=8)


@given(st.lists(words, max_size=40))
def test_the_sieve_finds_all_lines_with_a_needle_and_no_other(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert [*hits(Sieve(NEEDLES), data)] == [*hits_line_by_line(data)]


@given(st.lists(words, max_size=40))
def test_lines_are_counted(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert Sieve(NEEDLES).hits(Block(data, len(data))).lines == data.count(b"\n")


def test_hits_before_a_place_are_passed_over() -> None:
    found = Sieve([b"oom"]).hits(Block(b"oom\noom\nx\noom", 13))
    assert [found.after(place) for place in (1, 8, 14)] == [prefilter.Hit(4, 1), prefilter.Hit(10, 3), None]


@pytest.mark.parametrize("needle", NEEDLES)
def test_enough_of_each_needle_passes_the_sieve(needle: bytes) -> None:
    """Else lines that have nothing to do with it would be looked at one by one."""
    assert all(len(left) >= LEAST_LETTERS for left in Sieve([needle]).remains)


@pytest.mark.parametrize("needle", NEEDLES)
def test_a_needle_looks_the_same_in_json(needle: bytes) -> None:
    """Quotes, backslashes and what is no ASCII are written otherwise there, by Go also <, > and &."""
    assert needle in BYTES_FOR_TEXT or (not set(needle) & set(b'"\\<>&\n') and needle.isascii())


def test_a_needle_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is left"):
        Sieve([b"oom", b"123"])


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
