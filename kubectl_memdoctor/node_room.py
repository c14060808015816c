"""How much memory the nodes have left for another pod, as the scheduler counts: allocatable minus requested."""

from __future__ import annotations

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import ClusterContext
from kubectl_memdoctor.suggested_limit import MEBIBYTE


class NodeRoom(Struct, frozen=True):
    """Bytes. `free` is None when not all pods were seen, so that nobody knows what they request."""

    name: str
    allocatable: int
    free: int | None


def node_rooms(cluster: ClusterContext) -> tuple[NodeRoom, ...]:
    """Every node that says what it has; most room first."""
    rooms = []
    for name, node in cluster.nodes.items():
        allocatable = _bytes(node.status.allocatable.get("memory"))
        if allocatable is None:
            continue
        free = None if cluster.requested is None else allocatable - cluster.requested.get(name, 0)
        rooms.append(NodeRoom(name, allocatable, free))
    return tuple(sorted(rooms, key=lambda room: (-_available(room), room.name)))


def _available(room: NodeRoom) -> int:
    return room.allocatable if room.free is None else room.free


def _bytes(text: str | None) -> int | None:
    try:
        return quantity.value(text) if text else None
    except quantity.QuantityError:
        return None


def at_least(count: int) -> str:
    """Bytes in words, rounded up to whole mebibytes or gibibytes where they are many: what is missing."""
    step = _step(count)
    return quantity.format_bytes(-(-count // step) * step)


def at_most(count: int) -> str:
    """Bytes in words, rounded down likewise: what is left. Nothing is left of a node that is overcommitted."""
    count = max(count, 0)
    step = _step(count)
    return quantity.format_bytes(count // step * step)


def _step(count: int) -> int:
    if count > 64 * 1024 * MEBIBYTE:
        return 1024 * MEBIBYTE
    return MEBIBYTE if count > 16 * MEBIBYTE else 1
