"""Saved text, wherever it lies: files, folders, standard input, compressed or not.

Every text is read as UTF-8 bytes from any place in it. What cannot be read that way (standard input, gzip, UTF-16) is
copied to a temporary file as far as it has been read; the file has no name, so nothing is left behind.
"""

from __future__ import annotations

import codecs
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from kubectl_memdoctor.cluster.source import AccessError

STANDARD_INPUT = "standard input"
EXTENSIONS = frozenset({".json", ".yaml", ".yml", ".gz"})
READ_BYTES = 1 << 20
SPOOLED_IN_MEMORY_BYTES = 4 << 20
GZIP_MAGIC = b"\x1f\x8b"
_OTHER_MAGICS = (
    (b"PK\x03\x04", "a zip archive: unpack it and give the folder"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz: unpack it first"),
)
_TAR_MAGIC_AT = 257
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class Text(Protocol):
    """`name` is what error messages call it."""

    name: str
    in_folder: bool
    """Found by walking a folder, rather than named by the user."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end. Raises AccessError."""

    def release(self) -> None:
        """It will not be read for a while."""


def refuse(name: str, what: str) -> AccessError:
    return AccessError(f"error: {name}: {what}")


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
            raise refuse(self.name, f"cannot be read: {error.strerror}") from None

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class SpooledText:
    """A text that comes in pieces and is copied to a temporary file as they are asked for."""

    def __init__(self, name: str, pieces: Iterator[bytes], *, in_folder: bool = False) -> None:
        self.name = name
        self.in_folder = in_folder
        self._pieces = pieces
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOLED_IN_MEMORY_BYTES)  # noqa: SIM115
        self._length = 0

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            while self._length < offset + length and (piece := next(self._pieces, b"")):
                self.append(piece)
            self._file.seek(offset)
            return self._file.read(length)
        except OSError as error:
            raise refuse(self.name, f"cannot be kept in {tempfile.gettempdir()}: {error.strerror}") from None

    def append(self, piece: bytes) -> int:
        """Returns where it begins."""
        start = self._length
        self._file.seek(start)
        self._file.write(piece)
        self._length += len(piece)
        return start

    def release(self) -> None:
        pass


def _read_all(file: BinaryIO, length: int) -> bytes:
    piece = file.read(length)
    if len(piece) in (0, length):
        return piece
    return piece + _read_all(file, length - len(piece))


def find_texts(paths: Sequence[str], stdin: BinaryIO | None) -> list[Text]:
    """The texts behind `-f`: each a file, a folder, or `-`. Raises AccessError when one is not there."""
    texts: list[Text] = []
    for path in dict.fromkeys(paths):
        if path == "-":
            if stdin is None:
                raise AccessError("error: there is no standard input to read")
            texts.append(_open(_pieces(stdin, STANDARD_INPUT), STANDARD_INPUT))
        elif path.startswith(("http://", "https://")):
            raise refuse(path, "an address is not read: save it to a file first")
        else:
            texts.extend(_texts_at(path))
    return texts


def _texts_at(path: str) -> Iterator[Text]:
    if os.path.isdir(path):
        yield from _in_folder(path)
    elif not os.path.exists(path):
        raise AccessError(f'error: the path "{path}" does not exist')
    else:
        yield _file_text(Path(path), path, in_folder=False)


def _in_folder(folder: str) -> Iterator[Text]:
    def fail(error: OSError) -> None:
        raise refuse(str(error.filename), f"cannot be read: {error.strerror}")

    found = [
        os.path.join(root, name)
        for root, _, names in os.walk(folder, onerror=fail)
        for name in names
        if os.path.splitext(name)[1].lower() in EXTENSIONS
    ]
    if not found:
        raise refuse(folder, "no .json, .yaml, .yml or .gz file in this folder")
    for path in sorted(found):
        yield _file_text(Path(path), path, in_folder=True)


def _file_text(path: Path, name: str, *, in_folder: bool) -> Text:
    text = FileText(path, name, in_folder=in_folder)
    if not path.is_file():
        # A pipe (`-f <(kubectl ...)`) can be read only once.
        return _open(_file_pieces(path, name), name)
    head = text.read_at(0, READ_BYTES)
    text.release()
    if head.startswith((GZIP_MAGIC, codecs.BOM_UTF8, *_UTF16)):
        return _open(_file_pieces(path, name), name, in_folder=in_folder)
    _must_be_text(head, name)
    return text


def _file_pieces(path: Path, name: str) -> Iterator[bytes]:
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise refuse(name, f"cannot be read: {error.strerror}") from None
    with file:
        yield from _pieces(file, name)


def _pieces(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while piece := file.read(READ_BYTES):
            yield piece
    except OSError as error:
        raise refuse(name, f"cannot be read: {error.strerror}") from None


def _open(pieces: Iterator[bytes], name: str, *, in_folder: bool = False) -> SpooledText:
    head, pieces = _peek(pieces)
    if head.startswith(GZIP_MAGIC):
        head, pieces = _peek(_unpacked(pieces, name))
    for mark, encoding in _UTF16.items():
        if head.startswith(mark):
            head, pieces = _peek(_transcoded(pieces, encoding, name))
    if head.startswith(codecs.BOM_UTF8):
        pieces = _without(codecs.BOM_UTF8, pieces)
    _must_be_text(head, name)
    return SpooledText(name, pieces, in_folder=in_folder)


def _peek(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes (at least 512 where there are as many), and all pieces from the beginning."""
    head = b""
    while len(head) < 512 and (piece := next(pieces, b"")):
        head += piece
    return head, _chained(head, pieces)


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _without(mark: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield next(pieces)[len(mark) :]
    yield from pieces


def _unpacked(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """All members of a gzip file."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if inflater.eof:
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    inflater = zlib.decompressobj(wbits=31)
                if text := inflater.decompress(rest, READ_BYTES):
                    yield text
                rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    except zlib.error:
        raise refuse(name, "the gzip data is broken: save or copy it again") from None
    while not inflater.eof and (text := inflater.decompress(b"", READ_BYTES)):
        yield text
    if not inflater.eof:
        raise refuse(name, "the gzip data ends too early: save or copy it again")


def _transcoded(pieces: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """PowerShell 5 writes `kubectl get ... > file` as UTF-16."""
    decoder = codecs.getincrementaldecoder(encoding)()
    first = True
    try:
        for piece in pieces:
            if text := decoder.decode(piece):
                yield (text.removeprefix("\ufeff") if first else text).encode()
                first = False
        decoder.decode(b"", final=True)
    except UnicodeError:
        raise refuse(name, "is not valid UTF-16: save it again as UTF-8") from None


def _must_be_text(head: bytes, name: str) -> None:
    if not head.strip():
        # More white space may follow; whoever reads it finds out that there is nothing.
        return
    for magic, what in _OTHER_MAGICS:
        if head.startswith(magic):
            raise refuse(name, f"is {what}")
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        raise refuse(name, "is a tar archive: unpack it and give the folder")
    if b"\0" in head:
        raise refuse(name, "is a binary file, not JSON or YAML")
    if head.lstrip().startswith(b"<"):
        raise refuse(name, "is HTML or XML, not JSON or YAML: a proxy's or login page may have been saved instead")
