"""What all that is made for a while carries: labels and annotations by which it is found again when its run is gone."""

from __future__ import annotations

import random
from typing import Any

Manifest = dict[str, Any]

LIFE_LABEL = "memdoctor.dev/ttl-seconds"
"""Where the newest thing of a run is older than this, the run is gone."""
PROCESS_ANNOTATION = "memdoctor.dev/process"
"""Which process of which machine made it."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "kubectl-memdoctor"}
SERIAL_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/util/rand/rand.go: no words come of them by accident."""
GRACE_SECONDS = 1
"""Of a pod. Not 0: then the API server forgets it at once, and nobody knows when its node has ended it."""


def new_serial() -> str:
    return "".join(random.choices(SERIAL_LETTERS, k=5))


def run_labels(run_label: str, serial: str, life_seconds: int) -> dict[str, str]:
    """`run_label` says of which kind of run it is; its value is the run's own."""
    return {**MANAGED_BY, run_label: serial, LIFE_LABEL: str(life_seconds)}


def selector(run_label: str) -> str:
    """Of everything that runs of one kind have made."""
    return ",".join([*(f"{key}={value}" for key, value in MANAGED_BY.items()), run_label])


def made_object(kind: str, metadata: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}
