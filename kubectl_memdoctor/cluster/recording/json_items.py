"""Takes a JSON text apart into the objects of its Lists, a piece at a time, without holding more than a piece.

The quick way guesses where an object ends: at the last place in the piece that looks like the border between the first
two objects. What proves the guess is the decoder: if everything from an object's beginning up to the guess, put in
brackets, is a valid JSON array, the guess is a border, since a parser of the whole text stands in the same state there.
Where no guess holds, the exact way finds the end of one object by its brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct

from kubectl_memdoctor.cluster.recording.forms import Run
from kubectl_memdoctor.cluster.recording.texts import Text, refuse
from kubectl_memdoctor.cluster.source import AccessError

PIECE_BYTES = 1 << 19
"""Enough objects to make one decoding worth its while, little enough to stay in the processor's cache."""

LARGEST_OBJECT_BYTES = 32 << 20
"""etcd takes requests of 1.5 MiB by default (--max-request-bytes); nothing near this is a Kubernetes object."""

LOG_STARTS = b"==== START logs for container "
LOG_ENDS = b"==== END logs for container "

_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\]}:{\[\"]*")
_BRACKET_OR_STRING = re.compile(rb'["{}\[\]]')
_BORDER = re.compile(rb'[ \t\r\n]*\}[ \t\r\n]*,[ \t\r\n]*\{[ \t\r\n]*"[^"\\]{0,80}"')

_NOTED = frozenset({b'"kind"', b'"apiVersion"', b'"message"'})
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Document(Struct):
    """One JSON value of the text. What it says about itself may come after its items."""

    kind: str = ""
    api_version: str = ""
    message: str = ""
    is_list: bool = False
    closed: bool = False

    def note(self, key: str, value: str) -> None:
        """One member of its outermost level."""
        if key == "kind":
            self.kind = value
        elif key == "apiVersion":
            self.api_version = value
        elif key == "message":
            self.message = value


class _Outermost(msgspec.Struct, rename="camel", frozen=True):
    kind: str = ""
    api_version: str = ""
    message: str = ""
    items: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_OUTERMOST_DECODER = msgspec.json.Decoder(_Outermost)


class Piece(Struct, frozen=True):
    """Some objects of one document: bytes `start` to `end` of `text`, comma-separated, and what they are."""

    document: Document
    text: Text
    start: int
    end: int
    runs: Sequence[Run] = ()


Read = Callable[[bytes | memoryview, str, str], list[Run]]
"""A JSON array of objects, the list's kind and apiVersion -> runs; raises msgspec.DecodeError for anything else."""


class _Window:
    """The part of a text that is being looked at; `at` is the next byte in `data`, which begins at `base`."""

    def __init__(self, text: Text, piece_bytes: int) -> None:
        self.text = text
        self.data = bytearray()
        self.base = 0
        self.at = 0
        self.ended = False
        self._piece_bytes = piece_bytes

    def more(self) -> bool:
        """Appends to `data`; False at the text's end. Raises AccessError when there is no end to one object."""
        if self.ended:
            return False
        if len(self.data) > LARGEST_OBJECT_BYTES:
            raise refuse(
                self.text.name,
                f"line {self.line(self.at)}: more than {LARGEST_OBJECT_BYTES >> 20} MiB in one piece:"
                " nothing that kubectl saves is this large",
            )
        piece = self.text.read_at(self.base + len(self.data), self._piece_bytes)
        self.ended = len(piece) < self._piece_bytes
        self.data += piece
        return bool(piece)

    def fill(self, length: int) -> None:
        """At least so many bytes from `at` on, where there are as many."""
        while len(self.data) - self.at < length and self.more():
            pass

    def forget(self) -> None:
        """Drops what lies before `at`, but for one byte."""
        passed = max(self.at - 1, 0)
        del self.data[:passed]
        self.base += passed
        self.at -= passed

    def line(self, where: int) -> int:
        """The line of a place in `data`, counted from 1, by reading everything before it again."""
        offset, lines = 0, 1
        end = self.base + where
        while offset < end:
            piece = self.text.read_at(offset, min(PIECE_BYTES, end - offset))
            lines += piece.count(b"\n")
            offset += len(piece) or end
        return lines

    def begins_with(self, word: bytes) -> bool:
        """Whether this is what comes next."""
        self.fill(len(word))
        return self.data.startswith(word, self.at)

    def skip_past(self, word: bytes) -> bool:
        """Passes everything up to the next `word` and that; False when there is none."""
        while (found := self.data.find(word, self.at)) < 0:
            self.at = max(self.at, len(self.data) - len(word))
            self.forget()
            if not self.more():
                return False
        self.at = found + len(word)
        return True

    def skip_space(self) -> int:
        """Returns the next byte that is no white space, -1 at the end."""
        while True:
            found = _SPACE.match(self.data, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.data):
                return self.data[self.at]
            if not self.more():
                return -1


class JsonReader:
    """One JSON text's objects, in order."""

    def __init__(self, text: Text, read: Read, piece_bytes: int = PIECE_BYTES) -> None:
        self._text = text
        self._read = read
        self._piece_bytes = piece_bytes
        self._window = _Window(text, piece_bytes)

    def pieces(self) -> Iterator[Piece]:
        """A last piece without objects closes each document, which knows its kind then.

        Raises AccessError with the line at which the text stops being JSON.
        """
        window = self._window
        while (first := window.skip_space()) != -1:
            document = Document()
            window.forget()
            if first == ord("{"):
                yield from self._whole_object(document) or self._object(document)
            elif first == ord("["):
                document.is_list = True
                yield from self._array(document)
            else:
                self._between_documents()
                continue
            document.closed = True
            end = window.base + window.at
            yield Piece(document, self._text, end, end)

    def _between_documents(self) -> None:
        """Passes a line of three dashes, or the log of a container: `kubectl cluster-info dump` prints those between
        its Lists.

        https://github.com/kubernetes/kubectl/blob/v0.37.0/pkg/cmd/clusterinfo/clusterinfo_dump.go
        """
        window = self._window
        if window.begins_with(b"---"):
            window.skip_past(b"\n")
        elif not window.begins_with(LOG_STARTS):
            raise self._broken(window.at)
        elif not (window.skip_past(LOG_ENDS) and window.skip_past(b"\n")):
            raise self._broken(len(window.data))

    def _whole_object(self, document: Document) -> list[Piece]:
        """One object that is a line of its own, or all of the text, as most are that are not in a List. Nothing where
        it is not that, or is a List."""
        window = self._window
        start = window.at
        for end in self._likely_ends(start):
            try:
                outermost = _OUTERMOST_DECODER.decode(window.data[start:end])
            except _NOT_JSON:
                continue
            if outermost.items is not msgspec.UNSET:
                break
            document.kind, document.api_version = outermost.kind, outermost.api_version
            document.message = outermost.message
            runs = self._decoded(start, end, "", "")
            window.at = end
            return [Piece(document, self._text, window.base + start, window.base + end, runs)]
        return []

    def _likely_ends(self, start: int) -> Iterator[int]:
        window = self._window
        end_of_line = window.data.find(b"\n", start)
        if end_of_line >= 0:
            yield end_of_line
        if window.ended and (end_of_line < 0 or window.base == 0):
            yield len(window.data)

    def _object(self, document: Document) -> Iterator[Piece]:
        window = self._window
        start = window.at
        window.at += 1
        byte = window.skip_space()
        while byte != ord("}"):
            key = self._key()
            byte = window.skip_space()
            if key == b'"items"' and byte == ord("[") and may_be_list(document):
                document.is_list = True
                yield from self._array(document)
            else:
                self._member(document, key)
            byte = self._after_comma(ord("}"))
        window.at += 1
        if document.is_list and not may_be_list(document):
            raise refuse(self._text.name, ITEMS_OF_NO_LIST)
        if not document.is_list:
            runs = self._decoded(start, window.at, "", "")
            yield Piece(document, self._text, window.base + start, window.base + window.at, runs)

    def _key(self) -> bytes:
        window = self._window
        start = window.at
        if window.data[start : start + 1] != b'"':
            raise self._broken(start)
        window.at = self._string_end(start)
        if window.skip_space() != ord(":"):
            raise self._broken(window.at)
        key = bytes(window.data[start : self._string_end(start)])
        if _is_malformed(key):
            raise self._broken(start)
        window.at += 1
        return key

    def _member(self, document: Document, key: bytes) -> None:
        window = self._window
        start = window.at
        window.at = self._value_end(start)
        try:
            if key in _NOTED and window.data[start] == ord('"'):
                document.note(key.strip(b'"').decode(), msgspec.json.decode(window.data[start : window.at], type=str))
            else:
                msgspec.json.decode(window.data[start : window.at], type=msgspec.Raw)
        except _NOT_JSON as error:
            raise self._broken(start, error) from None

    def _after_comma(self, closing: int) -> int:
        """The next byte of what follows a comma, or `closing`."""
        window = self._window
        byte = window.skip_space()
        if byte == closing:
            return byte
        if byte != ord(","):
            raise self._broken(window.at)
        window.at += 1
        byte = window.skip_space()
        if byte in (closing, -1):
            raise self._broken(window.at)
        return byte

    def _array(self, document: Document) -> Iterator[Piece]:
        window = self._window
        window.at += 1
        border = b""
        byte = window.skip_space()
        while byte != ord("]"):
            window.forget()
            start = window.base + window.at
            guessed = self._guess(border, document) if border else None
            window.at, runs = guessed or self._exactly(document)
            yield Piece(document, self._text, start, window.base + window.at, runs)
            end = window.at
            byte = self._after_comma(ord("]"))
            if not guessed:
                border = self._border(end)
        window.at += 1

    def _border(self, end: int) -> bytes:
        """What stands between the object that ends at `end` and the next one, from white space to the next one's first
        key; nothing when it cannot be told."""
        data = self._window.data
        start = end - 1
        while data[start - 1] in b" \t\r\n":
            start -= 1
        found = _BORDER.match(data, start)
        return bytes(found[0]) if found else b""

    def _guess(self, border: bytes, document: Document) -> tuple[int, list[Run]] | None:
        """Where the last object of the piece ends, and the objects up to there."""
        window = self._window
        window.fill(self._piece_bytes)
        closing = border.index(b"}") + 1
        before = len(window.data)
        while (found := window.data.rfind(border, window.at, before)) >= 0:
            end = found + closing
            try:
                return end, self._in_brackets(window.at, end, document)
            except _NOT_JSON:
                before = end // 2
        return None

    def _in_brackets(self, start: int, end: int, document: Document) -> list[Run]:
        """Reads in place: the bytes around the objects, a bracket or comma and a comma, are brackets for a while."""
        data = self._window.data
        around = data[start - 1], data[end]
        data[start - 1], data[end] = b"[]"
        try:
            with memoryview(data) as view, view[start - 1 : end + 1] as body:
                return self._read(body, document.kind, document.api_version)
        finally:
            data[start - 1], data[end] = around

    def _exactly(self, document: Document) -> tuple[int, list[Run]]:
        """The one object (or other value) that begins here."""
        end = self._value_end(self._window.at)
        return end, self._decoded(self._window.at, end, document.kind, document.api_version)

    def _decoded(self, start: int, end: int, list_kind: str, list_api_version: str) -> list[Run]:
        try:
            return self._read(b"[%b]" % bytes(self._window.data[start:end]), list_kind, list_api_version)
        except _NOT_JSON as error:
            raise self._broken(start, error) from None

    def _value_end(self, start: int) -> int:
        window = self._window
        first = window.data[start : start + 1]
        if first == b'"':
            return self._string_end(start)
        if first != b"{" and first != b"[":
            return self._scalar_end(start)
        where, depth = start, 0
        while True:
            found = _BRACKET_OR_STRING.search(window.data, where)
            if found is None:
                where = len(window.data)
                self._must_have_more(start)
            elif found[0] == b'"':
                where = self._string_end(found.start())
            else:
                where = found.end()
                depth += 1 if found[0] in b"{[" else -1
                if not depth:
                    return where

    def _string_end(self, start: int) -> int:
        window = self._window
        where = start + 1
        while True:
            where = window.data.find(b'"', where)
            if where < 0:
                where = len(window.data)
                self._must_have_more(start)
            elif _backslashes_before(window.data, where) % 2:
                where += 1
            else:
                return where + 1

    def _scalar_end(self, start: int) -> int:
        window = self._window
        while True:
            found = _SCALAR.match(window.data, start)
            end = found.end() if found else start
            if end < len(window.data):
                if end == start:
                    raise self._broken(start)
                return end
            self._must_have_more(start)

    def _must_have_more(self, start: int) -> None:
        window = self._window
        if not window.more():
            raise self._broken(start if _is_malformed(window.data[start:]) else len(window.data))

    def _broken(self, where: int, error: Exception | None = None) -> AccessError:
        window = self._window
        if where >= len(window.data) and not window.more():
            return refuse(self._text.name, f"ends too early, in line {window.line(where)}: save it again")
        encoding = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        line = window.line(where)
        return refuse(self._text.name, f"line {line}: what begins here is not valid {encoding}: save it again")


ITEMS_OF_NO_LIST = "has items, and its kind, further down, is not that of a list: save it again"


def may_be_list(document: Document) -> bool:
    return not document.kind or document.kind.endswith("List")


def _is_malformed(data: bytes | bytearray) -> bool:
    """Whether a value, which may have no end, is wrong before it stops."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except _NOT_JSON as error:
        return "truncated" not in str(error)
    return False


def _backslashes_before(data: bytearray, where: int) -> int:
    start = where
    while data[start - 1] == ord("\\"):
        start -= 1
    return where - start
