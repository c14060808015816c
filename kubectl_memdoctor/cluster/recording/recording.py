"""A recording as a Source."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from kubectl_memdoctor.cluster.recording.scan import NO_TIME, Extent, Scan
from kubectl_memdoctor.cluster.recording.selectors import Selector, escaped, selector
from kubectl_memdoctor.cluster.recording.texts import HOW_TO_SAVE, STANDARD_INPUT, Place, find_places, refuse
from kubectl_memdoctor.cluster.source import NotFound, NotRecorded, Origin, Page
from kubectl_memdoctor.objects import (
    EVENTS,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PODS,
    RUNTIME_CLASSES,
    Namespace,
    Object,
    ObjectMeta,
    Resource,
)

NOT_RECORDED = "not in the recording"
BESIDE_PODS = frozenset({EVENTS.group_resource, NODES.group_resource, LIMIT_RANGES.group_resource})
"""What rules look at by itself. A recording without any of these and without pods is of no use."""


class Recording:
    """The Source of saved objects."""

    parallel = False
    kubelets = None

    def __init__(self, places: Sequence[Place], name: str) -> None:
        """`name` is what the user calls it."""
        self._places = places
        self._name = name
        self._scan: Scan | None = None

    def origin(self) -> Origin:
        return Origin(recording=self._name)

    def now(self) -> datetime:
        """The newest time that the objects speak of; without any, when the newest file was written."""
        newest = self._scanned().newest
        saved = (place.saved_at for place in self._places if place.saved_at)
        return newest if newest > NO_TIME else max(saved, default=datetime.now(UTC))

    def get(self, resource: Resource[Object], namespace: str | None, name: str) -> Object:
        # A whole pass first: the next question would need it anyway.
        self._scanned()
        for page in self.list(resource, namespace, field_selector=f"metadata.name={escaped(name)}"):
            if page.items:
                return page.items[0]
        raise NotFound(f'Error from server (NotFound): {resource.group_resource} "{name}" not found')

    def list(
        self,
        resource: Resource[Object],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[Page[Object]]:
        wanted = selector(resource, namespace, label_selector, field_selector)
        if self._scan is None and resource == PODS and wanted.type is None:
            yield from self._first_pass(resource, wanted)
        else:
            yield from self._again(resource, wanted)
        self._must_be_recorded(resource)

    def _first_pass(self, resource: Resource[Object], wanted: Selector) -> Iterator[Page[Object]]:
        scan = Scan(self._places)
        for form, objects in scan.walk():
            if form.resource.group_resource == resource.group_resource:
                yield _page(objects, wanted)
        self._scan = scan

    def _scanned(self) -> Scan:
        if self._scan is None:
            scan = Scan(self._places)
            for _ in scan.walk():
                pass
            self._scan = scan
        return self._scan

    def _again(self, resource: Resource[Object], wanted: Selector) -> Iterator[Page[Object]]:
        scan = self._scanned()
        if resource == NAMESPACES:
            yield _page(self._namespaces(scan), wanted)
            return
        for extent in scan.extents.get(resource.group_resource, ()):
            if wanted.namespace is None or wanted.namespace in extent.namespaces:
                yield _page(_objects(extent, wanted), wanted)

    def _namespaces(self, scan: Scan) -> builtins.list[Any]:
        """Those that were saved, and those that something saved lies in."""
        saved = [
            entry
            for extent in scan.extents.get(NAMESPACES.group_resource, ())
            for entry in extent.objects(extent.array())
        ]
        names = {entry.metadata.name for entry in saved}
        return saved + [Namespace(ObjectMeta(name=name)) for name in sorted(scan.namespaces - names - {""})]

    def _must_be_recorded(self, resource: Resource[Any]) -> None:
        """A list that was never saved is not an empty list. Where no pod names a RuntimeClass nothing is missed."""
        scan = self._scanned()
        if resource.group_resource in scan.recorded or resource == NAMESPACES:
            return
        if resource == RUNTIME_CLASSES and not scan.names_runtime_class:
            return
        missing = refuse(self._name, f"no {resource.group_resource} in it: {HOW_TO_SAVE}")
        if resource == PODS and scan.recorded.isdisjoint(BESIDE_PODS):
            raise missing
        raise NotRecorded(str(missing), resource=resource.group_resource, reason=NOT_RECORDED)


def _objects(extent: Extent, wanted: Selector) -> builtins.list[Any]:
    array = extent.array()
    extent.text.release()
    # Words may be written with escapes; then only decoding tells.
    if b"\\u" not in array and not all(word in array for word in wanted.words()):
        return []
    return extent.objects(array, wanted.type)


def _page(objects: Sequence[Any], wanted: Selector) -> Page[Any]:
    if wanted.takes_all():
        return Page(tuple(objects))
    return Page(tuple(entry for entry in objects if wanted.matches(entry)))


def open_recording(paths: Sequence[str], stdin: BinaryIO | None) -> Recording:
    """The files, folders and `-` (standard input) given with -f. Raises AccessError when one is not there."""
    names = ", ".join(STANDARD_INPUT if path == "-" else path for path in dict.fromkeys(paths))
    # A file name may hold bytes that are no text, a report may not.
    return Recording(find_places(paths, stdin), names.encode(errors="replace").decode())
