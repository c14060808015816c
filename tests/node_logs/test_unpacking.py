"""Packed logs, and those in UTF-16: the same text comes out, also in pieces; what breaks off is told after the rest."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.node_logs.unpacking import MOST_AT_ONCE, BrokenOffError, peeked, plain

TEXT = b"".join(b"[%5d.000000] line %d\n" % (number, number) for number in range(5000))
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}
packers = pytest.mark.parametrize("name", PACKERS)


def read(data: bytes, size: int = 1000) -> tuple[bytes, str]:
    """What comes out, and why there is no more."""
    out = bytearray()
    try:
        for chunk in plain(data[start : start + size] for start in range(0, len(data), size)):
            out += chunk
    except BrokenOffError as error:
        return bytes(out), str(error)
    return bytes(out), ""


@packers
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_packed(name: str, size: int) -> None:
    assert read(PACKERS[name](TEXT), size) == (TEXT, "")


@packers
@pytest.mark.parametrize("size", [5, 1 << 20])
def test_several_one_after_the_other(name: str, size: int) -> None:
    packed = PACKERS[name](b"one\n") + PACKERS[name](b"") + PACKERS[name](b"two\n")
    assert read(packed, size) == (b"one\ntwo\n", "")


@packers
def test_padding_is_left_out(name: str) -> None:
    assert read(PACKERS[name](TEXT) + b"\0" * 1024) == (TEXT, "")


@packers
def test_cut_off(name: str) -> None:
    text, problem = read(PACKERS[name](TEXT)[:-20])
    assert TEXT.startswith(text)
    assert problem == f"the {name} data is cut off"


@packers
def test_damaged(name: str) -> None:
    packed = bytearray(PACKERS[name](TEXT))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40
    _, problem = read(bytes(packed))
    assert problem.startswith(f"the {name} data is ")


@packers
def test_what_was_packed_to_almost_nothing_comes_in_pieces(name: str) -> None:
    packed = PACKERS[name](b"\0" * (8 * MOST_AT_ONCE))
    sizes = [len(chunk) for chunk in plain([packed])]
    assert sum(sizes) == 8 * MOST_AT_ONCE
    assert max(sizes) <= MOST_AT_ONCE


def test_zstd_is_named() -> None:
    assert read(b"\x28\xb5\x2f\xfd\x04\x00") == (b"", "packed with zstd: unpack it with zstd -d")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_byte_order_mark(encoding: str, size: int) -> None:
    mark = "" if encoding == "utf-8-sig" else "\ufeff"
    data = f"{mark}Mär 一 \U0001f600\n".encode(encoding)
    assert read(data, size) == ("Mär 一 \U0001f600\n".encode(), "")


def test_utf_16_that_is_cut_in_a_letter() -> None:
    assert read("\ufeffab".encode("utf-16-le")[:-1]) == ("a\ufffd".encode(), "")


@given(st.lists(st.binary(max_size=5)), st.integers(0, 12))
def test_a_look_ahead_takes_nothing_away(chunks: list[bytes], size: int) -> None:
    head, rest = peeked(chunks, size)
    whole = b"".join(chunks)
    assert head == whole[:size]
    assert b"".join(rest) == whole


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"\xff\xfe"]),
    st.integers(1, 50),
)
def test_any_bytes(data: bytes, start: bytes, size: int) -> None:
    read(start + data, size)
