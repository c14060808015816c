"""The few lines of interest in gigabytes of log, without looking at the others one by one.

What is searched for are needles: a line without one is of no interest. `bytes.find` is fast, but there are a dozen
needles, and each would pass over all of the log. So a block is sieved first: only some letters are left of it, a sixth
of its length, and the searches are that much shorter.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kubectl_memdoctor.evidence.log_formats import KEPT_OF_LONGER, LONGEST_ENTRY, Framing

BLOCK_BYTES = 64 << 10
"""What is searched at a time: it stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Block:
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


LETTERS = b"jUBDLSMOxbkgmdlro"
"""What passes the sieve besides line breaks, rarest first in logs. Of each needle enough is left that few other lines
look like it; with other letters the same lines are found, only later."""
LEAST_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Hit:
    """A line with a needle: where it begins in its block, and how many lines of the block are before it."""

    start: int
    lines: int


class Sieve:
    """Finds lines that hold a needle. In what the sieve leaves of a block it searches what it leaves of each needle;
    only a line in which that is found is searched for the needles themselves."""

    def __init__(self, needles: Iterable[bytes]) -> None:
        """Raises ValueError for a needle of which nothing is left."""
        self.needles = _shortest(needles)
        self._left_out = bytes(set(range(256)) - {*LETTERS, ord("\n")})
        self.remains = _shortest(_up_to_rarest(self._sieved(needle)) for needle in self.needles)
        if b"" in self.remains:
            raise ValueError(f"nothing is left of one of {self.needles}")

    def hits(self, block: Block) -> Hits:
        return Hits(block, self._sieved(block.data[: block.end]), self)

    def _sieved(self, data: bytes) -> bytes:
        return data.translate(None, self._left_out)


def _shortest(needles: Iterable[bytes]) -> list[bytes]:
    """Without those that hold another one."""
    every = dict.fromkeys(needles)
    return [one for one in every if not any(other in one for other in every if other != one)]


def _up_to_rarest(letters: bytes) -> bytes:
    """The end of a text is what `find` looks at first."""
    ends = range(min(LEAST_LETTERS, len(letters)), len(letters) + 1)
    end = min(ends, key=lambda end: LETTERS.index(letters[end - 1 : end])) if letters else 0
    return letters[:end]


class _Places:
    """The places of several texts, in order; each is searched only from its last place on."""

    def __init__(self, data: bytes, texts: Iterable[bytes]) -> None:
        self._data = data
        self._next = [(place, text) for text in texts if (place := data.find(text)) >= 0]
        heapq.heapify(self._next)

    def after(self, start: int) -> int:
        """The first at or behind `start`, which never goes back; -1: there is none."""
        while self._next and self._next[0][0] < start:
            text = self._next[0][1]
            place = self._data.find(text, start)
            if place < 0:
                heapq.heappop(self._next)
            else:
                heapq.heapreplace(self._next, (place, text))
        return self._next[0][0] if self._next else -1


class Hits:
    """Of one block, in order."""

    def __init__(self, block: Block, sieved: bytes, sieve: Sieve) -> None:
        self.lines = sieved.count(b"\n")
        """Of the whole block."""
        self._all = _found(block, sieved, sieve)
        self._next = next(self._all, None)

    def after(self, start: int) -> Hit | None:
        """The first that begins at or behind `start`, which never goes back."""
        while self._next is not None and self._next.start < start:
            self._next = next(self._all, None)
        return self._next


def _found(block: Block, sieved: bytes, sieve: Sieve) -> Iterator[Hit]:
    places = _Places(sieved, sieve.remains)
    start = lines = passed = 0
    while (place := places.after(passed)) >= 0:
        for _ in range(sieved.count(b"\n", passed, place)):
            start = block.data.find(b"\n", start) + 1
            lines += 1
        end = block.data.find(b"\n", start, block.end)
        line = block.data[start : end if end >= 0 else block.end]
        if any(needle in line for needle in sieve.needles):
            yield Hit(start, lines)
        passed = sieved.find(b"\n", place) + 1
        if not passed:
            return
        start, lines = end + 1, lines + 1
