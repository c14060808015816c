"""gzip in constant memory, as it comes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

CHUNK_BYTES = 1 << 18
"""The most that is unpacked at a time."""
_GZIP = 16 + zlib.MAX_WBITS
"""https://docs.python.org/3/library/zlib.html#zlib.decompress"""


def unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """One member or several, however much they unpack to. Raises zlib.error, and EOFError where it is cut."""
    unpacker = zlib.decompressobj(wbits=_GZIP)
    for chunk in packed:
        rest = chunk
        while rest:
            if unpacker.eof:
                unpacker = zlib.decompressobj(wbits=_GZIP)
            if plain := unpacker.decompress(rest, CHUNK_BYTES):
                yield plain
            rest = unpacker.unconsumed_tail or unpacker.unused_data
    if not unpacker.eof:
        raise EOFError("the compressed stream is cut")
