"""Saved text, wherever it lies: files, folders, standard input, compressed or not.

Every text is read as UTF-8 bytes from any place in it. What cannot be read that way (standard input, gzip, UTF-16) is
copied to a temporary file as far as it has been read; the file has no name, so nothing is left behind.
"""

from __future__ import annotations

import codecs
import os
import tempfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.cluster.source import AccessError

STANDARD_INPUT = "standard input"
EXTENSIONS = frozenset({".json", ".yaml", ".yml", ".gz"})
READ_BYTES = 1 << 20
SPOOLED_IN_MEMORY_BYTES = 4 << 20
HOW_TO_SAVE = 'save what "kubectl get pods,events,nodes,replicasets,deployments,limitranges -A -o json" prints'
NOT_KUBERNETES = f"neither a Kubernetes object nor a list of them: {HOW_TO_SAVE}"

_HEAD_BYTES = 512
_TAR_MAGIC_AT = 257
_GZIP_MAGIC = b"\x1f\x8b"
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_OTHER_MAGICS = (
    (b"PK\x03\x04", "a zip archive: unpack it and give the folder"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz: unpack it first"),
)


def refuse(name: str, what: str) -> AccessError:
    """`name`: the file; `what`: what is wrong and what to do."""
    return AccessError(f"error: {clean(name)}: {clean(what)}")


class Text(Protocol):
    """`name` is what error messages call it; `in_folder`: found in a folder rather than named by the user."""

    name: str
    in_folder: bool

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end. Raises AccessError."""

    def release(self) -> None:
        """It will not be read for a while."""


class FileText:
    """A file that is UTF-8 as it lies there."""

    def __init__(self, path: Path, name: str, *, in_folder: bool) -> None:
        self.name = name
        self.in_folder = in_folder
        self._path = path
        self._file: BinaryIO | None = None

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            if self._file is None:
                self._file = self._path.open("rb", buffering=0)
            self._file.seek(offset)
            return _read_all(self._file, length)
        except OSError as error:
            raise _unreadable(self.name, error) from None

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _read_all(file: BinaryIO, length: int) -> bytes:
    """One read may bring less than there is."""
    pieces = []
    while length and (piece := file.read(length)):
        pieces.append(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _unreadable(name: str, error: OSError) -> AccessError:
    return refuse(name, f"cannot be read: {error.strerror or error}")


class Spool:
    """One temporary file for all that has to be kept."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOLED_IN_MEMORY_BYTES)  # noqa: SIM115
        self._length = 0

    def append(self, piece: bytes) -> int:
        """Returns where the piece begins. Raises AccessError, for one when the disk is full."""
        start = self._length
        try:
            self._file.seek(start)
            self._file.write(piece)
        except OSError as error:
            raise refuse(tempfile.gettempdir(), f"no room for a copy of the recording: {error.strerror}") from None
        self._length += len(piece)
        return start

    def read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)


class SpooledText:
    """A text that comes in pieces and is kept as they come. Others may use the same spool in between."""

    def __init__(self, name: str, pieces: Iterator[bytes], spool: Spool, *, in_folder: bool = False) -> None:
        self.name = name
        self.in_folder = in_folder
        self._pieces = pieces
        self._spool = spool
        self._length = 0
        self._starts: list[int] = []
        self._places: list[int] = []
        """Where the stretch that begins at the byte of the same index in `_starts` lies in the spool."""

    def append(self, piece: bytes) -> int:
        """Returns where the piece begins."""
        start = self._length
        place = self._spool.append(piece)
        if not self._starts or place - self._places[-1] != start - self._starts[-1]:
            self._starts.append(start)
            self._places.append(place)
        self._length += len(piece)
        return start

    def read_at(self, offset: int, length: int) -> bytes:
        while self._length < offset + length and (piece := next(self._pieces, b"")):
            self.append(piece)
        end = min(offset + length, self._length)
        pieces = []
        while offset < end:
            stretch = bisect_right(self._starts, offset) - 1
            stretch_end = self._starts[stretch + 1] if stretch + 1 < len(self._starts) else self._length
            place = self._places[stretch] + offset - self._starts[stretch]
            pieces.append(self._spool.read_at(place, min(end, stretch_end) - offset))
            offset = min(end, stretch_end)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def release(self) -> None:
        pass


class Place(Protocol):
    """Where a text is to be had. `saved_at`: when it was written, where that is known."""

    saved_at: datetime | None

    def open(self, spool: Spool) -> Text:
        """Raises AccessError when it cannot be read or is no text."""


class _FilePlace:
    def __init__(self, path: Path, name: str, *, in_folder: bool) -> None:
        self._path = path
        self._name = name
        self._in_folder = in_folder
        self.saved_at: datetime | None = datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def open(self, spool: Spool) -> Text:
        text = FileText(self._path, self._name, in_folder=self._in_folder)
        head = text.read_at(0, _HEAD_BYTES)
        text.release()
        if head.startswith((_GZIP_MAGIC, codecs.BOM_UTF8, *_UTF16)):
            return _spooled(_of_file(self._path, self._name), self._name, spool, in_folder=self._in_folder)
        _must_be_text(head, self._name)
        return text


class _StreamPlace:
    """Standard input or a pipe: it comes only once."""

    saved_at: datetime | None = None

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._text: Text | None = None

    def open(self, spool: Spool) -> Text:
        if self._text is None:
            self._text = _spooled(_of_stream(self._stream, self._name), self._name, spool, in_folder=False)
        return self._text


def find_places(paths: Sequence[str], stdin: BinaryIO | None) -> list[Place]:
    """The texts behind `-f`: each a file, a folder, or `-`. Raises AccessError when one is not there."""
    return [place for path in dict.fromkeys(paths) for place in _places_of(path, stdin)]


def _places_of(path: str, stdin: BinaryIO | None) -> list[Place]:
    if path == "-":
        if stdin is None:
            raise AccessError("error: there is no standard input to read")
        return [_StreamPlace(stdin, STANDARD_INPUT)]
    if path.startswith(("http://", "https://")):
        raise refuse(path, "an address is not read: save it to a file first")
    try:
        if os.path.isdir(path):
            return _in_folder(path)
        if not os.path.exists(path):
            raise AccessError(f'error: the path "{clean(path)}" does not exist')
        if not os.path.isfile(path):
            return [_StreamPlace(open(path, "rb", buffering=0), path)]
        return [_FilePlace(Path(path), path, in_folder=False)]
    except OSError as error:
        raise _unreadable(path, error) from None


def _in_folder(folder: str) -> list[Place]:
    def fail(error: OSError) -> None:
        raise _unreadable(str(error.filename), error)

    found = sorted(
        os.path.join(root, name)
        for root, _, names in os.walk(folder, onerror=fail)
        for name in names
        if os.path.splitext(name)[1].lower() in EXTENSIONS
    )
    if not found:
        raise refuse(folder, "no .json, .yaml, .yml or .gz file in this folder")
    return [_FilePlace(Path(path), path, in_folder=True) for path in found]


def _of_file(path: Path, name: str) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            yield from _of_stream(file, name)
    except OSError as error:
        raise _unreadable(name, error) from None


def _of_stream(stream: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while piece := stream.read(READ_BYTES):
            yield piece
    except OSError as error:
        raise _unreadable(name, error) from None


def _spooled(pieces: Iterator[bytes], name: str, spool: Spool, *, in_folder: bool) -> SpooledText:
    head, pieces = _peek(pieces)
    if head.startswith(_GZIP_MAGIC):
        head, pieces = _peek(_unpacked(pieces, name))
    for mark, encoding in _UTF16.items():
        if head.startswith(mark):
            head, pieces = _peek(_transcoded(pieces, encoding, name))
    if head.startswith(codecs.BOM_UTF8):
        head, pieces = _peek(_without_mark(pieces))
    _must_be_text(head, name)
    return SpooledText(name, pieces, spool, in_folder=in_folder)


def _peek(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all pieces from the beginning."""
    head = b""
    while len(head) < _HEAD_BYTES and (piece := next(pieces, b"")):
        head += piece
    return head, _chained(head, pieces)


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces)[len(codecs.BOM_UTF8) :]
    return _chained(first, pieces)


def _unpacked(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The text of all members of a gzip file."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        for piece in pieces:
            while piece:
                if inflater.eof:
                    piece = piece.lstrip(b"\0")
                    inflater = zlib.decompressobj(wbits=31) if piece else inflater
                    continue
                if text := inflater.decompress(piece, READ_BYTES):
                    yield text
                piece = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        while not inflater.eof and (text := inflater.decompress(b"", READ_BYTES)):
            yield text
    except zlib.error:
        raise refuse(name, "the gzip data is broken: save or copy it again") from None
    if not inflater.eof:
        raise refuse(name, "the gzip data ends too early: save or copy it again")


def _transcoded(pieces: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """PowerShell 5 writes what `kubectl get ... > file` prints as UTF-16."""
    decoder = codecs.getincrementaldecoder(encoding)()
    first = True
    try:
        for piece in pieces:
            text = decoder.decode(piece)
            if first and text:
                text, first = text.removeprefix("\ufeff"), False
            if text:
                yield text.encode()
        decoder.decode(b"", final=True)
    except UnicodeError:
        raise refuse(name, "is not valid UTF-16: save it again, as UTF-8 where you can") from None


def _must_be_text(head: bytes, name: str) -> None:
    for magic, what in _OTHER_MAGICS:
        if head.startswith(magic):
            raise refuse(name, f"is {what}")
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        raise refuse(name, "is a tar archive: unpack it and give the folder")
    if b"\0" in head:
        raise refuse(name, "is a binary file, not JSON or YAML")
    if head.lstrip().startswith(b"<"):
        raise refuse(name, "is HTML or XML, not JSON or YAML: perhaps a proxy's or login page was saved instead")
