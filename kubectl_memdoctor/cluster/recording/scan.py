"""One pass over a recording: every object once, and notes of where each lies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from msgspec import Struct

from kubectl_memdoctor.cluster.recording.forms import (
    Form,
    ItemReader,
    Run,
    inner_lists,
    list_form,
    newest_time,
)
from kubectl_memdoctor.cluster.recording.json_items import Document, JsonReader, Piece
from kubectl_memdoctor.cluster.recording.texts import (
    HOW_TO_SAVE,
    NOT_KUBERNETES,
    READ_BYTES,
    Place,
    Spool,
    SpooledText,
    Text,
    refuse,
)
from kubectl_memdoctor.objects import PODS, ApiObject

EMPTY_LIST = f"a list of nothing, which does not tell what was asked for: {HOW_TO_SAVE}"
NO_TIME = datetime.min.replace(tzinfo=UTC)


class Extent(Struct, frozen=True):
    """Where some objects of one form lie side by side. `doubles` are the places of those that came before elsewhere."""

    text: Text
    start: int
    end: int
    form: Form
    namespaces: frozenset[str]
    doubles: frozenset[int]

    def array(self) -> bytes:
        """The objects as a JSON array."""
        return _array(self.text, self.start, self.end)

    def objects(self, array: bytes, type_: type[ApiObject] | None = None) -> list[Any]:
        """Those of `array`, without the doubles. `type_`: read more of them than usual."""
        return _without(self.form.read(array, type_), self.doubles)


class Scan:
    """What a pass has found so far; all of it once `walk` has ended."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._spool = Spool()
        self._seen: set[int] = set()
        self._objects = 0
        self._saw_empty_list = False
        self.extents: dict[str, list[Extent]] = {}
        """By the resource, as `group_resource` names it: pods and pods.metrics.k8s.io are two."""
        self.recorded: set[str] = set()
        """The resources that were saved, though perhaps as an empty list."""
        self.namespaces: set[str] = set()
        """Of all objects, also of those that no rule reads."""
        self.newest = NO_TIME
        """Of all times at which something had happened."""
        self.names_runtime_class = False
        """Whether any pod does."""

    def walk(self) -> Iterator[tuple[Form, list[Any]]]:
        """The objects as they are found. Raises AccessError when a text is broken or holds nothing."""
        for place in self._places:
            text = place.open(self._spool)
            before = self._objects, len(self.recorded)
            yield from self._walk_text(text)
            text.release()
            if not text.in_folder and before == (self._objects, len(self.recorded)):
                raise refuse(text.name, EMPTY_LIST if self._saw_empty_list else NOT_KUBERNETES)

    def _walk_text(self, text: Text) -> Iterator[tuple[Form, list[Any]]]:
        kindless: list[Piece] = []
        for piece in _pieces(text, self._spool):
            for run in piece.runs:
                if run.kind:
                    yield from self._found(run, piece.text, piece.start)
                elif piece.document.is_list:
                    start, end = piece.start + run.start, piece.start + run.end
                    kindless.append(Piece(piece.document, piece.text, start, end))
            if piece.document.closed:
                self._note(piece.document, text)
                for late in kindless:
                    yield from self._found_late(late)
                kindless = []

    def _note(self, document: Document, text: Text) -> None:
        """What a document says of itself as a whole."""
        if document.kind == "Status":
            raise refuse(text.name, f'the API server\'s refusal was saved instead of objects: "{document.message}"')
        self._saw_empty_list = document.is_list and document.kind == "List"
        form = list_form(document.kind, document.api_version)
        if form is not None:
            self.recorded.add(form.resource.group_resource)

    def _found_late(self, piece: Piece) -> Iterator[tuple[Form, list[Any]]]:
        """Items without a kind, after the List's own kind is known."""
        document = piece.document
        array = _array(piece.text, piece.start, piece.end)
        for run in ItemReader().read(array, document.kind, document.api_version):
            if run.kind:
                yield from self._found(run, piece.text, piece.start)
            elif not piece.text.in_folder:
                raise refuse(piece.text.name, NOT_KUBERNETES)

    def _found(self, run: Run, text: Text, base: int) -> Iterator[tuple[Form, list[Any]]]:
        form, objects = run.form, run.objects
        if form is None and run.kind.endswith("List"):
            yield from self._inside(_array(text, base + run.start, base + run.end), text)
        self._objects += len(objects)
        namespaces = frozenset(map(_NAMESPACE, objects))
        self.namespaces |= namespaces
        self.newest = newest_time(form.resource if form else None, objects, self.newest)
        if form is None:
            return
        doubles = self._doubles(form.resource.group_resource, objects)
        extent = Extent(text, base + run.start, base + run.end, form, namespaces, doubles)
        self.extents.setdefault(form.resource.group_resource, []).append(extent)
        self.recorded.add(form.resource.group_resource)
        objects = _without(objects, doubles)
        if form.resource is PODS:
            self.names_runtime_class = self.names_runtime_class or any(map(_RUNTIME_CLASS, objects))
        yield form, objects

    def _inside(self, array: bytes, text: Text) -> Iterator[tuple[Form, list[Any]]]:
        """The items of Lists that are themselves items."""
        for inner in inner_lists(array):
            api_version = inner.api_version or ""
            self._note(Document(inner.kind, api_version), text)
            items = b",".join(map(bytes, inner.items or ()))
            copy = SpooledText(text.name, iter(()), self._spool, in_folder=text.in_folder)
            copy.append(items)
            for run in ItemReader().read(b"[%b]" % items, inner.kind, api_version):
                if run.kind:
                    yield from self._found(run, copy, 0)

    def _doubles(self, resource: str, objects: Sequence[Any]) -> frozenset[int]:
        """The places of objects that were seen before: folders often hold the same object in several files."""
        keys = [_identity(resource, entry) for entry in objects]
        fresh = set(keys)
        if len(fresh) == len(keys) and self._seen.isdisjoint(fresh):
            self._seen |= fresh
            return frozenset()
        doubles = set()
        for place, key in enumerate(keys):
            if key in self._seen and key != _NAMELESS:
                doubles.add(place)
            self._seen.add(key)
        return frozenset(doubles)


_NAMELESS = 0
_NAMESPACE = attrgetter("metadata.namespace")
_RUNTIME_CLASS = attrgetter("spec.runtime_class_name")


def _identity(resource: str, entry: Any) -> int:
    """Objects with neither uid nor name, as a template has them, are never the same."""
    metadata = entry.metadata
    if not metadata.uid and not metadata.name:
        return _NAMELESS
    return hash(metadata.uid or (resource, metadata.namespace, metadata.name))


def _array(text: Text, start: int, end: int) -> bytes:
    return b"[%b]" % text.read_at(start, end - start)


def _without(objects: list[Any], places: frozenset[int]) -> list[Any]:
    return [entry for place, entry in enumerate(objects) if place not in places] if places else objects


def _pieces(text: Text, spool: Spool) -> Iterator[Piece]:
    head = text.read_at(0, READ_BYTES)
    start = head.lstrip()
    if not start and len(head) < READ_BYTES:
        raise refuse(text.name, "is empty: save it again")
    read = ItemReader().read
    if _JSON.match(start):
        return JsonReader(text, read).pieces()
    if b"kind" not in head:
        if text.in_folder:
            return iter(())
        raise refuse(text.name, NOT_KUBERNETES)
    # Only YAML needs it, and it takes a while to load.
    from kubectl_memdoctor.cluster.recording.yaml_items import YamlReader

    return YamlReader(text, read, spool).pieces()


_JSON = re.compile(rb'\[|\{[ \t\r\n]*(["}]|\Z)')
"""A mapping whose first key stands without quotes is YAML."""
