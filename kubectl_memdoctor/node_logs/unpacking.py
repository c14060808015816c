"""Bytes of a log as they come -> plain UTF-8 bytes: unpacked, whatever the name says, and from UTF-16 where marked."""

from __future__ import annotations

import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

MOST_AT_ONCE = 1 << 20
"""Bytes that are unpacked at a time, however small they were packed."""
_GZIP = 16 + zlib.MAX_WBITS
"""https://docs.python.org/3/library/zlib.html#zlib.decompress"""


class BrokenOffError(Exception):
    """The rest cannot be had; the message says why."""


class _Unpacker(Protocol):
    """What bz2 and lzma have in common."""

    def decompress(self, data: bytes, max_length: int) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Gzip:
    """zlib's, with their manners."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=_GZIP)
        self._is_full = False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._is_full = len(out) == max_length
        return out

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._is_full

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _zstd() -> _Unpacker:
    raise BrokenOffError("packed with zstd: unpack it with zstd -d")


_KINDS: tuple[tuple[bytes, str, Callable[[], _Unpacker]], ...] = (
    (b"\x1f\x8b\x08", "gzip", _Gzip),
    (b"\xfd7zXZ\x00", "xz", lzma.LZMADecompressor),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
)
_LONGEST_MAGIC = max(len(magic) for magic, _, _ in _KINDS)


def plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Raises BrokenOffError where the packed data ends too early or is damaged, after all that could be unpacked."""
    head, chunks = peeked(chunks, _LONGEST_MAGIC)
    packed = next((kind for kind in _KINDS if head.startswith(kind[0])), None)
    if packed is None:
        return _utf8(chunks)
    return _utf8(_unpacked(chunks, *packed))


def peeked(chunks: Iterable[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes, or all of fewer, and everything from the beginning."""
    rest = iter(chunks)
    taken: list[bytes] = []
    have = 0
    for chunk in rest:
        taken.append(chunk)
        have += len(chunk)
        if have >= size:
            break
    head = b"".join(taken)
    return head[:size], _again(head, rest)


def _again(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _unpacked(chunks: Iterable[bytes], magic: bytes, name: str, make: Callable[[], _Unpacker]) -> Iterator[bytes]:
    """One stream or several, one after the other; padding behind them is left out."""
    unpacker = make()
    for chunk in chunks:
        data = chunk
        while data:
            if unpacker.eof:
                if not magic.startswith(data[: len(magic)]):
                    return
                unpacker = make()
            yield from _fed(unpacker, data, name)
            data = unpacker.unused_data if unpacker.eof else b""
    if not unpacker.eof:
        raise BrokenOffError(f"the {name} data is cut off")


def _fed(unpacker: _Unpacker, data: bytes, name: str) -> Iterator[bytes]:
    while not unpacker.eof:
        try:
            out = unpacker.decompress(data, MOST_AT_ONCE)
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
            raise BrokenOffError(f"the {name} data is damaged: {error}") from None
        if out:
            yield out
        if unpacker.needs_input:
            return
        data = b""


_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def _utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """By the byte order mark, such as PowerShell's `>` writes; other encodings are left as they are."""
    head, chunks = peeked(chunks, len(codecs.BOM_UTF8))
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if encoding is None:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")
