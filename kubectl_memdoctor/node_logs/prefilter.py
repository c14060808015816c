"""The few lines of interest in gigabytes of log, without looking at the others one by one.

What is searched for are needles: a line without one is of no interest. `bytes.find` is fast, but there are a dozen
needles, and each would pass over all of the log. So a block is sieved first: only some letters are left of it, a sixth
of its length, and the searches are that much shorter.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from msgspec import Struct

from kubectl_memdoctor.evidence.log_formats import KEPT_OF_LONGER, LONGEST_ENTRY, Framing

BLOCK_BYTES = 64 << 10
"""What is searched at a time: it stays in the processor's cache."""


class Block(Struct, frozen=True):
    """Whole entries: `data` up to `end`. `left_out`: how many lines the last of them lost, since it was too long."""

    data: bytes
    end: int
    left_out: int = 0


def blocks(chunks: Iterable[bytes], framing: Framing) -> Iterator[Block]:
    """The same ones however the stream is cut into chunks. Each byte is searched once for an entry's end."""
    pieces = _pieces(chunks)
    held = b""
    for piece in pieces:
        searched = max(0, len(held) - len(framing.separator) + 1)
        held += piece
        end = held.rfind(framing.separator, searched)
        if end >= 0:
            yield Block(held, end + framing.ours)
            held = held[end + framing.ours :]
        elif len(held) > LONGEST_ENTRY:
            block, held = _too_long(held, pieces, framing)
            yield block
    if held:
        yield Block(held, len(held))


def _too_long(held: bytes, pieces: Iterator[bytes], framing: Framing) -> tuple[Block, bytes]:
    """An entry's beginning, and what comes after its end."""
    kept, lines = held[:KEPT_OF_LONGER], held.count(b"\n", KEPT_OF_LONGER)
    reach = len(framing.separator) - 1
    for piece in pieces:
        edge = held[len(held) - reach :]
        held = edge + piece
        end = held.find(framing.separator)
        if end >= 0:
            end += framing.ours
            return Block(kept, len(kept), lines + held.count(b"\n", len(edge), end)), held[end:]
        lines += piece.count(b"\n")
    return Block(kept, len(kept), lines), b""


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """All of BLOCK_BYTES but the last."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size < BLOCK_BYTES:
            continue
        data = chunk if len(waiting) == 1 else b"".join(waiting)
        whole = size - size % BLOCK_BYTES
        for start in range(0, whole, BLOCK_BYTES):
            yield data[start : start + BLOCK_BYTES]
        waiting, size = [data[whole:]], size - whole
    if size:
        yield b"".join(waiting)


LETTERS = b"DLMOUdfghjlmouxy"
"""What passes the sieve besides line breaks: little of a log, yet so much of most needles that other lines rarely look
like them. Found by trying on logs of kernel, kubelet and runtimes; with other letters the same is found, only later."""


class Sieve:
    """Finds needles. In what the sieve leaves of a block it looks for what it leaves of each needle; only a needle of
    which that is there is searched in the block itself."""

    def __init__(self, needles: Iterable[bytes]) -> None:
        self.needles = _shortest(needles)
        self._left_out = bytes(set(range(256)) - {*LETTERS, ord("\n")})
        self.remains = {needle: self.sieved(needle) for needle in self.needles}

    def hits(self, block: Block) -> Hits:
        sieved = self.sieved(block.data[: block.end])
        return Hits(block, sieved.count(b"\n"), [needle for needle, left in self.remains.items() if left in sieved])

    def sieved(self, data: bytes) -> bytes:
        return data.translate(None, self._left_out)


def _shortest(needles: Iterable[bytes]) -> list[bytes]:
    """Without those that hold another one."""
    every = dict.fromkeys(needles)
    return [one for one in every if not any(other in one for other in every if other != one)]


class Hits:
    """The places of needles in one block. Each needle is searched only from its last place on."""

    def __init__(self, block: Block, lines: int, needles: Iterable[bytes]) -> None:
        self.lines = lines
        """Of the whole block."""
        self._data, self._end = block.data, block.end
        found = ((self._data.find(needle, 0, self._end), needle) for needle in needles)
        self._next = [(place, needle) for place, needle in found if place >= 0]
        heapq.heapify(self._next)

    def after(self, start: int) -> int:
        """The first at or behind `start`, which never goes back; -1: there is none."""
        while self._next and self._next[0][0] < start:
            needle = self._next[0][1]
            place = self._data.find(needle, start, self._end)
            if place < 0:
                heapq.heappop(self._next)
            else:
                heapq.heapreplace(self._next, (place, needle))
        return self._next[0][0] if self._next else -1
