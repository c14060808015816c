"""Debug pods that a command which was killed has left."""

from __future__ import annotations

from datetime import timedelta

from kubectl_memdoctor.cluster.source import Source
from kubectl_memdoctor.debugging.manifests import LIFE_SECONDS, PREFIX, RUN_LABEL
from kubectl_memdoctor.objects import PODS
from kubectl_memdoctor.temporary.manifests import selector
from kubectl_memdoctor.temporary.removal import Leftover, listed


def left_debug_pods(source: Source, namespace: str | None) -> list[Leftover]:
    """In one namespace, None for all. Raises AccessError."""
    found: list[Leftover] = []
    for pod in listed(source, PODS, namespace, selector(RUN_LABEL)):
        serial = pod.metadata.labels.get(RUN_LABEL, "")
        # Somebody may have copied the labels.
        if pod.metadata.name == f"{PREFIX}{serial}" and pod.metadata.deletion_timestamp is None:
            leftover = Leftover(serial, timedelta(seconds=LIFE_SECONDS))
            leftover.note(PODS, pod.metadata)
            found.append(leftover)
    return found
