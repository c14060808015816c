"""Keeps a result in the ConfigMap that later runs read."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import field

from kubectl_memdoctor.cluster.source import NotFound, Source
from kubectl_memdoctor.cluster.writing import ApiWriter, Conflict
from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.measured_minimum import (
    CONFIG_MAP_KEY,
    CONFIG_MAP_NAME,
    CONFIG_MAP_NAMESPACE,
    MeasuredMinimumError,
    Measurement,
    decode,
    encode,
    merge,
)
from kubectl_memdoctor.objects import ApiObject, Resource
from kubectl_memdoctor.temporary.manifests import MANAGED_BY

TRIES = 5
"""Where others save at the same time."""
SAVED_NAME = f"configmap/{CONFIG_MAP_NAME} in namespace {CONFIG_MAP_NAMESPACE}"


class _VersionedMeta(ApiObject, frozen=True, gc=False):
    name: str = ""
    resource_version: str = ""


class _Saved(ApiObject, frozen=True, gc=False):
    metadata: _VersionedMeta = _VersionedMeta()
    data: dict[str, str] = field(default_factory=dict)


SAVED = Resource("configmaps", "ConfigMap", "v1", True, _Saved)


class Saved:
    """The ConfigMap of measured minimums."""

    def __init__(self, source: Source, writer: ApiWriter) -> None:
        self._source = source
        self._writer = writer

    def read(self) -> tuple[str, tuple[Measurement, ...]]:
        """Its resourceVersion, empty when there is none yet, and what it holds. Raises AccessError, CouldNotLook."""
        try:
            found = self._source.get(SAVED, CONFIG_MAP_NAMESPACE, CONFIG_MAP_NAME)
        except NotFound:
            return "", ()
        text = found.data.get(CONFIG_MAP_KEY, "")
        try:
            return found.metadata.resource_version, decode(text.encode(), SAVED_NAME) if text else ()
        except MeasuredMinimumError as error:
            raise CouldNotLook(f"error: {error}; nothing can be added to it: mend or delete it first") from None

    def add(self, measurements: Sequence[Measurement]) -> None:
        """To what it holds of other nodes and kinds of nodes. Raises AccessError, CouldNotLook."""
        for left in reversed(range(TRIES)):
            version, old = self.read()
            metadata: dict[str, object] = {"name": CONFIG_MAP_NAME, "namespace": CONFIG_MAP_NAMESPACE}
            metadata |= {"labels": MANAGED_BY} | ({"resourceVersion": version} if version else {})
            data = {CONFIG_MAP_KEY: encode(merge(old, measurements))}
            manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            try:
                self._writer.apply(SAVED, manifest)
            except Conflict:
                if not left:
                    raise
            else:
                return
