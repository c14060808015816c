"""A source that answers from memory, and tells what it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from typed import convert

from kubectl_memdoctor.cluster.recording.selectors import selector
from kubectl_memdoctor.cluster.source import NotFound, Origin, Page, Unreadable
from kubectl_memdoctor.objects import RESOURCES, Object, Resource

from .made import NOW


class MemorySource:
    """`items` are objects as the API writes them; `forbidden` names resources that may not be read."""

    parallel = False
    kubelets = None

    def __init__(self, items: Sequence[dict[str, Any]], forbidden: Sequence[str] = ()) -> None:
        types = {resource.kind: resource for resource in RESOURCES}
        self._objects: dict[str, list[Any]] = {}
        for item in items:
            resource = types[item["kind"]]
            self._objects.setdefault(resource.group_resource, []).append(convert(item, resource.type))
        self._forbidden = forbidden
        self.asked: list[tuple[str, ...]] = []

    def origin(self) -> Origin:
        return Origin()

    def now(self) -> datetime:
        return NOW

    def get(self, resource: Resource[Object], namespace: str | None, name: str) -> Object:
        self.asked.append(("get", resource.name, namespace or "", name))
        self._must_be_allowed(resource)
        for entry in self._objects.get(resource.group_resource, ()):
            if entry.metadata.name == name and entry.metadata.namespace == (namespace or ""):
                found: Object = entry
                return found
        raise NotFound(f'Error from server (NotFound): {resource.group_resource} "{name}" not found')

    def list(
        self,
        resource: Resource[Object],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[Page[Object]]:
        self.asked.append(("list", resource.name, namespace or "", label_selector, field_selector))
        self._must_be_allowed(resource)
        wanted = selector(resource, namespace, label_selector, field_selector)
        yield Page(tuple(entry for entry in self._objects.get(resource.group_resource, ()) if wanted.matches(entry)))

    def _must_be_allowed(self, resource: Resource[Any]) -> None:
        if resource.name in self._forbidden:
            raise Unreadable("Error from server (Forbidden): no", resource=resource.name, reason="forbidden: no")
