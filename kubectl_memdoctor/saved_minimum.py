"""The minimums that `calibrate --save` keeps in the cluster, and that every later run reads."""

from __future__ import annotations

from msgspec import Struct

from kubectl_memdoctor.cluster.source import NotFound, NotRecorded, Source, Unreadable
from kubectl_memdoctor.measured_minimum import (
    CONFIG_MAP_KEY,
    CONFIG_MAP_NAME,
    CONFIG_MAP_NAMESPACE,
    MeasuredMinimumError,
    Measurement,
    decode,
)
from kubectl_memdoctor.objects import CONFIG_MAPS


class SavedMinimum(Struct, frozen=True):
    """`unreadable`: why the ConfigMap could not be read; `fault`: what is wrong with what it holds."""

    measured: tuple[Measurement, ...] = ()
    unreadable: str = ""
    fault: str = ""


def saved_minimum(source: Source) -> SavedMinimum:
    """Asks for the ConfigMap; where there is none, nothing was saved. Raises AccessError where the source fails as a
    whole."""
    try:
        found = source.get(CONFIG_MAPS, CONFIG_MAP_NAMESPACE, CONFIG_MAP_NAME)
    except (NotFound, NotRecorded):
        return SavedMinimum()
    except Unreadable as unreadable:
        return SavedMinimum(unreadable=unreadable.reason)
    name = f"ConfigMap {CONFIG_MAP_NAMESPACE}/{CONFIG_MAP_NAME}"
    text = found.data.get(CONFIG_MAP_KEY)
    if text is None:
        return SavedMinimum(fault=f"{name}: has no key {CONFIG_MAP_KEY}")
    try:
        return SavedMinimum(decode(text.encode(errors="replace"), f"{name}: {CONFIG_MAP_KEY}"))
    except MeasuredMinimumError as error:
        return SavedMinimum(fault=str(error))
