"""Takes a YAML text apart into objects, one at a time, with kubectl's reading of plain words.

Times, versions and quantities stay as they are written: only null, true, false and whole numbers are more than text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from kubectl_memdoctor.cluster.recording.json_items import ITEMS_OF_NO_LIST, Document, Piece, Read, may_be_list
from kubectl_memdoctor.cluster.recording.texts import NOT_KUBERNETES, READ_BYTES, Spool, SpooledText, Text, refuse
from kubectl_memdoctor.cluster.source import AccessError

LARGEST_LINE_BYTES = 32 << 20
GATHERED_BYTES = 1 << 18
MOST_ALIASED_BYTES = 32 << 20
"""How much aliases may repeat. A file of a few hundred bytes can otherwise ask for more than any memory."""

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Stream:
    """A text as the parser reads it, with an end to the length of lines."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._offset = 0
        self._line_bytes = 0

    def read(self, size: int) -> bytes:
        piece = self._text.read_at(self._offset, max(size, READ_BYTES))
        self._offset += len(piece)
        newline = piece.rfind(b"\n")
        self._line_bytes = self._line_bytes + len(piece) if newline < 0 else len(piece) - newline
        if self._line_bytes > LARGEST_LINE_BYTES:
            raise refuse(self._text.name, f"a line of more than {LARGEST_LINE_BYTES >> 20} MiB: not a recording")
        return piece


class YamlReader:
    """One YAML text's objects, in order, as JSON in a text of its own."""

    def __init__(self, text: Text, read: Read, spool: Spool) -> None:
        self._name = text.name
        self._read = read
        self._parser = _LOADER(_Stream(text))
        self._spool = SpooledText(text.name, iter(()), spool, in_folder=text.in_folder)
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased_bytes = 0

    def pieces(self) -> Iterator[Piece]:
        """As those of a JsonReader. Raises AccessError with the line at which the text stops being YAML."""
        try:
            for event in iter(self._parser.get_event, None):
                if isinstance(event, yaml.DocumentStartEvent):
                    yield from self._document()
        except yaml.YAMLError as error:
            raise self._broken(error) from None
        except RecursionError:
            raise refuse(self._name, "nested too deeply: not a recording") from None
        finally:
            self._parser.dispose()

    def _document(self) -> Iterator[Piece]:
        document = Document()
        self._anchors.clear()
        event = self._parser.get_event()
        if isinstance(event, yaml.MappingStartEvent):
            yield from self._mapping(document)
        elif isinstance(event, yaml.SequenceStartEvent):
            document.is_list = True
            yield from self._items(document)
        elif self._value(event)[0] is not None:
            raise refuse(self._name, f"line {_line(event)}: {NOT_KUBERNETES}")
        document.closed = True
        yield Piece(document, self._spool, 0, 0)

    def _mapping(self, document: Document) -> Iterator[Piece]:
        """The outermost mapping: a List, whose items pass by, or one object."""
        members: dict[str, Any] = {}
        for key, event in self._members():
            if key == "items" and isinstance(event, yaml.SequenceStartEvent) and may_be_list(document):
                document.is_list = True
                yield from self._items(document)
                continue
            value, _ = self._value(event)
            if not document.is_list:
                members[key] = value
            if isinstance(value, str):
                document.note(key, value)
        # kubectl writes keys in order: a list that was cut between two lines lacks what comes after its items.
        if document.is_list and document.api_version and not document.kind:
            raise refuse(self._name, "ends too early, without its kind: save it again")
        if document.is_list and not may_be_list(document):
            raise refuse(self._name, ITEMS_OF_NO_LIST)
        if not document.is_list:
            yield self._piece(document, [msgspec.json.encode(members)])

    def _items(self, document: Document) -> Iterator[Piece]:
        gathered: list[bytes] = []
        gathered_bytes = 0
        for event in self._until(yaml.SequenceEndEvent):
            gathered.append(msgspec.json.encode(self._value(event)[0]))
            gathered_bytes += len(gathered[-1])
            if gathered_bytes >= GATHERED_BYTES:
                yield self._piece(document, gathered)
                gathered, gathered_bytes = [], 0
        if gathered:
            yield self._piece(document, gathered)

    def _piece(self, document: Document, objects: list[bytes]) -> Piece:
        text = b",".join(objects)
        start = self._spool.append(text)
        list_kind = document.kind if document.is_list else ""
        runs = self._read(b"[%b]" % text, list_kind, document.api_version)
        return Piece(document, self._spool, start, start + len(text), runs)

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := self._parser.get_event(), end):
            yield event

    def _members(self) -> Iterator[tuple[str, yaml.Event]]:
        """Keys with the event that begins their value; who takes one reads the value."""
        for event in self._until(yaml.MappingEndEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else str(self._value(event)[0])
            yield key, self._parser.get_event()

    def _value(self, event: yaml.Event) -> tuple[Any, int]:
        """What begins with this event, and how many bytes it takes with all aliases written out."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            value: Any = event.value if event.style or event.tag else _plain(event.value)
            length = len(event.value) + 1
        elif isinstance(event, yaml.SequenceStartEvent):
            values = [self._value(entry) for entry in self._until(yaml.SequenceEndEvent)]
            value, length = [value for value, _ in values], 1 + sum(length for _, length in values)
        else:
            value, length = self._dict()
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._anchors[event.anchor] = value, length
        return value, length

    def _dict(self) -> tuple[dict[str, Any], int]:
        members: dict[str, Any] = {}
        merged: list[Any] = []
        total = 1
        for key, event in self._members():
            value, length = self._value(event)
            total += len(key) + length
            if key == "<<":
                merged += value if isinstance(value, list) else [value]
            else:
                members[key] = value
        for other in merged:
            if isinstance(other, dict):
                members = {**other, **members}
        return members, total

    def _alias(self, event: yaml.AliasEvent) -> tuple[Any, int]:
        line = _line(event)
        if event.anchor not in self._anchors:
            raise refuse(self._name, f"line {line}: not valid YAML: nothing is named &{event.anchor} before")
        value, length = self._anchors[event.anchor]
        self._aliased_bytes += length
        if self._aliased_bytes > MOST_ALIASED_BYTES:
            raise refuse(self._name, f"line {line}: excessive aliasing: not a recording")
        return value, length

    def _broken(self, error: yaml.YAMLError) -> AccessError:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        return refuse(self._name, f"{where}not valid YAML ({said}): save it again")


def _plain(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    return int(word) if _WHOLE.fullmatch(word) else word


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
