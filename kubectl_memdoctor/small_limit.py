"""The remedy for a limit that is too small to start with: which containers to raise, and to what."""

from __future__ import annotations

from kubectl_memdoctor import quantity
from kubectl_memdoctor.finding import MemoryChange, Remedy
from kubectl_memdoctor.limit_sentences import too_small
from kubectl_memdoctor.pod_limit import ContainerLimit, LimitSource, PodLimit
from kubectl_memdoctor.suggested_limit import for_start


def raise_limit(limit: PodLimit, minimum_bytes: int) -> Remedy:
    """Raises the pod-level limit (bytes needed: `minimum_bytes`) in the fields that it is made of."""
    if limit.source is LimitSource.POD:
        suggestion = for_start(limit.quantity, minimum_bytes)
        return Remedy(text=suggestion.why, changes=(MemoryChange(limit=suggestion.quantity),))
    raised = [(entry.name, for_start(entry.quantity, minimum_bytes)) for entry in _to_raise(limit, minimum_bytes)]
    return Remedy(
        text=" ".join(dict.fromkeys(suggestion.why for _, suggestion in raised)),
        changes=tuple(MemoryChange(container=name, limit=suggestion.quantity) for name, suggestion in raised),
    )


def _to_raise(limit: PodLimit, minimum_bytes: int) -> tuple[ContainerLimit, ...]:
    """Only those whose unit was typed wrong, where that is enough for the pod; else all that are too small."""
    small = too_small(limit, minimum_bytes)
    mistyped = tuple(entry for entry in small if _meant_bytes(entry) >= minimum_bytes)
    return mistyped or small


def _meant_bytes(entry: ContainerLimit) -> int:
    meant = quantity.likely_intended(entry.quantity) if entry.quantity else None
    return quantity.value(meant) if meant else 0
