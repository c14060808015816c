"""One pass over a recording: every object once, and notes of where each lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubectl_memdoctor.cluster.recording.forms import Form, ItemReader, Run, form_of, newest_time
from kubectl_memdoctor.cluster.recording.json_items import Document, JsonReader, Piece
from kubectl_memdoctor.cluster.recording.texts import READ_BYTES, Text, refuse
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import PODS, Pod

NO_TIME = datetime.min.replace(tzinfo=UTC)
NOT_KUBERNETES = "neither a Kubernetes object nor a list of them"


@dataclass(frozen=True, slots=True)
class Extent:
    """Where some objects of one form lie side by side. `doubles` are the places of those that came before elsewhere."""

    text: Text
    start: int
    end: int
    form: Form
    namespaces: frozenset[str]
    doubles: frozenset[int] = frozenset()

    def read(self) -> bytes:
        """The objects as a JSON array."""
        return _array(self.text, self.start, self.end)

    def objects(self, array: bytes) -> list[Any]:
        """Those of `read`, without the doubles."""
        return _without(self.form.read(array), self.doubles)


class Scan:
    """What a pass has found so far; all of it once `walk` has ended."""

    def __init__(self, texts: Iterable[Text]) -> None:
        self._texts = texts
        self._seen: set[int] = set()
        self.extents: dict[str, list[Extent]] = {}
        """By the resource's name."""
        self.recorded: set[str] = set()
        """Names of the resources that were saved, though perhaps as an empty list."""
        self.namespaces: set[str] = set()
        """Of all objects, also of those that no rule reads."""
        self.newest = NO_TIME
        """Of all times at which something had happened."""
        self.names_runtime_class = False
        self._objects = 0

    def walk(self) -> Iterator[tuple[Form, list[Any]]]:
        """The objects as they are found. Raises AccessError when a text is broken or holds nothing."""
        for text in self._texts:
            before = self._objects
            recorded = len(self.recorded)
            yield from self._walk_text(text)
            text.release()
            if self._objects == before and len(self.recorded) == recorded and not text.in_folder:
                raise refuse(text.name, NOT_KUBERNETES)

    def _walk_text(self, text: Text) -> Iterator[tuple[Form, list[Any]]]:
        kindless: list[Piece] = []
        for piece in _pieces(text):
            for run in piece.runs:
                if run.form is None and not run.kind and piece.document.is_list and not piece.document.closed:
                    kindless.append(Piece(piece.document, piece.text, piece.start + run.start, piece.start + run.end))
                else:
                    yield from self._found(piece.document, piece.text, piece.start, run)
            if piece.document.closed:
                yield from self._closed(piece.document, kindless)
                kindless = []

    def _closed(self, document: Document, kindless: Sequence[Piece]) -> Iterator[tuple[Form, list[Any]]]:
        form = None
        if document.kind.endswith("List"):
            form = form_of(document.kind.removesuffix("List"), document.api_version)
        if document.kind == "Status":
            raise AccessError(_refused(document))
        if form is not None:
            self.recorded.add(form.resource.name)
        for piece in kindless:
            if form is None and document.kind in ("", "List"):
                if piece.text.in_folder:
                    continue
                raise refuse(piece.text.name, f"an item without a kind: {NOT_KUBERNETES}")
            objects = form.read(_array(piece.text, piece.start, piece.end)) if form else ()
            run = Run(form, document.kind.removesuffix("List"), 0, piece.end - piece.start, objects)
            yield from self._found(document, piece.text, piece.start, run)

    def _found(self, document: Document, text: Text, base: int, run: Run) -> Iterator[tuple[Form, list[Any]]]:
        if not run.kind or run.kind == "Status":
            return
        objects = list(run.objects)
        self._objects += len(objects) or 1
        namespaces = frozenset(entry.metadata.namespace for entry in objects)
        self.namespaces |= namespaces
        self.newest = newest_time(run.form.resource if run.form else None, objects, self.newest)
        if run.form is None:
            return
        doubles = self._doubles(run.form.resource.name, objects)
        objects = _without(objects, doubles)
        extent = Extent(text, base + run.start, base + run.end, run.form, namespaces, doubles)
        self.extents.setdefault(run.form.resource.name, []).append(extent)
        self.recorded.add(run.form.resource.name)
        if run.form.resource is PODS:
            self.names_runtime_class = self.names_runtime_class or any(map(_names_runtime_class, objects))
        yield run.form, objects

    def _doubles(self, resource: str, objects: Sequence[Any]) -> frozenset[int]:
        """The places of objects that were seen before: folders often hold the same object in several files."""
        keys = [_identity(resource, entry) for entry in objects]
        fresh = set(keys)
        if len(fresh) == len(keys) and self._seen.isdisjoint(fresh):
            self._seen |= fresh
            return frozenset()
        doubles = set()
        for place, key in enumerate(keys):
            if key in self._seen:
                doubles.add(place)
            self._seen.add(key)
        return frozenset(doubles)


def _array(text: Text, start: int, end: int) -> bytes:
    return b"[%b]" % text.read_at(start, end - start)


def _identity(resource: str, entry: Any) -> int:
    metadata = entry.metadata
    return hash(metadata.uid or (resource, metadata.namespace, metadata.name))


def _without(objects: list[Any], places: frozenset[int]) -> list[Any]:
    return [entry for place, entry in enumerate(objects) if place not in places] if places else objects


def _names_runtime_class(pod: Pod) -> bool:
    return pod.spec.runtime_class_name != ""


def _refused(document: Document) -> str:
    return f"error: {document.kind}: {document.message}"


def _pieces(text: Text) -> Iterator[Piece]:
    head = text.read_at(0, READ_BYTES)
    start = head.lstrip()[:1]
    if not start and len(head) < READ_BYTES:
        raise refuse(text.name, "is empty: save it again")
    read = ItemReader().read
    if start in (b"{", b"["):
        return JsonReader(text, read).pieces()
    if b"kind" not in head:
        if text.in_folder:
            return iter(())
        raise refuse(text.name, NOT_KUBERNETES)
    from kubectl_memdoctor.cluster.recording.yaml_items import YamlReader

    return YamlReader(text, read).pieces()
