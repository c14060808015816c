"""What other clients do to a cluster meanwhile: a few writes a second, or none since etcd was last compacted.

An API server answers pages from a snapshot of its cache. A compaction drops those, and only a write makes the next one;
until then each page is read from etcd and decoded anew:
https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4988-snapshottable-api-server-cache
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from cluster.api import path
from cluster.control_plane import ControlPlane

from bench.etcd import Etcd
from bench.fleet import OLD_HASH, place

EVERY_SECONDS = 0.5
FORGOTTEN_SECONDS = 120.0


@contextlib.contextmanager
def trickle(plane: ControlPlane) -> Iterator[None]:
    """Within the block, a pod that is well is written twice a second."""
    done = threading.Event()
    thread = threading.Thread(target=_write, args=(plane, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _write(plane: ControlPlane, done: threading.Event) -> None:
    while not done.wait(EVERY_SECONDS):
        touch(plane)


def touch(plane: ControlPlane) -> None:
    where = place(1)
    target = path("v1", "Pod", where.namespace, where.pod_name(OLD_HASH))
    change = {"metadata": {"annotations": {"touched": str(time.time_ns())}}}
    plane.api().call("PATCH", target, change, content_type="application/merge-patch+json")


def forget(plane: ControlPlane) -> None:
    """Compacts etcd, and waits until the API server has dropped its snapshots."""
    first = plane.api().call("GET", "/api/v1/pods?limit=1")
    touch(plane)
    with Etcd(plane.etcd) as etcd:
        etcd.compact()
    next_page = f"/api/v1/pods?limit=1&continue={first['metadata']['continue']}"
    deadline = time.monotonic() + FORGOTTEN_SECONDS
    while plane.api().raw(next_page).status != 410:
        if time.monotonic() > deadline:
            raise RuntimeError("the API server did not notice the compaction")
        time.sleep(0.5)
