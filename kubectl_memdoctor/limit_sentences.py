"""A memory limit in words: as written, in bytes, what the kubelet and the kernel make of it, where it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor import quantity
from kubectl_memdoctor.pod_limit import ContainerLimit, LimitSource, PodLimit

PAGE_BYTES = 4096
"""The smallest page of any Linux kernel; the kernel rounds a cgroup's limit down to whole pages.
https://github.com/torvalds/linux/blob/v6.1/mm/page_counter.c (page_counter_memparse)"""


def in_bytes(text: str) -> str:
    """`64Mi` -> "67108864 bytes", `300m` -> "0.3 byte"."""
    exact = quantity.exact(text)
    return f"{exact} byte" if quantity.value(text) == 1 else f"{exact} bytes"


def limit_line(limit: PodLimit) -> str:
    """One line for a pod's short page."""
    if limit.not_checked_reason:
        return limit.not_checked_reason
    if limit.limit_bytes is None:
        return f"no pod-level limit: {_why_none(limit)}"
    return f"{limit.quantity} ({_byte_count(limit.limit_bytes)}), from {_origin(limit)}"


def _byte_count(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"


def _why_none(limit: PodLimit) -> str:
    if not limit.unlimited:
        return "no container has a memory limit"
    names = ", ".join(limit.unlimited)
    return (
        f"container {names} has no memory limit"
        if len(limit.unlimited) == 1
        else f"containers {names} have no memory limit"
    )


def _origin(limit: PodLimit) -> str:
    if limit.source is LimitSource.POD:
        return "spec.resources.limits.memory"
    if len(limit.deciding) == 1:
        only = limit.deciding[0]
        return f"the namespace's LimitRange, for container {only.name}" if only.from_limit_range else only.field
    return f"the limits of {len(limit.deciding)} containers together"


def why_no_pod_limit(limit: PodLimit) -> str:
    """A whole sentence without its full stop: why the pod's cgroup is not limited."""
    return f"the pod as a whole has no memory limit, since {_why_none(limit)}"


def small_limit_sentences(limit: PodLimit) -> Iterator[str]:
    """What a too small limit really says; for limits that the kubelet enforces on the pod."""
    if limit.limit_bytes is None or limit.quantity is None:
        return
    yield _what_it_is(limit.quantity, limit.limit_bytes)
    yield from _where_it_comes_from(limit)


def _what_it_is(text: str, limit_bytes: int) -> str:
    milli = ' ("m" is thousandths)' if text.endswith("m") else ""
    words = f"The limit {text} is {in_bytes(text)}{milli}"
    if not quantity.is_whole(text):
        words += f"; the kubelet rounds it up to {_byte_count(limit_bytes)}"
    if limit_bytes < PAGE_BYTES:
        joint = ", the kernel" if not quantity.is_whole(text) else "; the kernel rounds it"
        words += f"{joint} down to 0 pages"
    return f"{words}."


def _where_it_comes_from(limit: PodLimit) -> Iterator[str]:
    if limit.source is LimitSource.POD:
        yield "It is the limit of the whole pod, spec.resources."
        return
    if len(limit.deciding) > 1:
        parts = " + ".join(f"{entry.name} {entry.quantity}" for entry in limit.deciding)
        yield f"It is the sum over the pod's containers: {parts}."
    elif limit.deciding and limit.deciding[0].init:
        yield f"It is the limit of init container {limit.deciding[0].name}, the largest that the pod ever needs."
    given = [entry.name for entry in limit.deciding if entry.from_limit_range]
    if given:
        yield f"The manifest gives {_containers(given)} no limit: a LimitRange of the namespace did."
    if limit.overhead_bytes:
        yield f"{_byte_count(limit.overhead_bytes)} of it are the RuntimeClass's overhead."


def _containers(names: list[str]) -> str:
    return f"container {names[0]}" if len(names) == 1 else f"containers {', '.join(names)}"


def deciding_fields(limit: PodLimit) -> Iterator[tuple[str, str]]:
    """Field path and value of every limit that the pod's limit is made of."""
    if limit.source is LimitSource.POD and limit.quantity is not None:
        yield "spec.resources.limits.memory", limit.quantity
        return
    for entry in limit.deciding:
        if entry.quantity is not None:
            yield entry.field, entry.quantity


def too_small(limit: PodLimit, minimum_bytes: int) -> tuple[ContainerLimit, ...]:
    """The containers whose own limit is under what a sandbox needs: those to raise. All of them if only the sum is."""
    small = tuple(entry for entry in limit.deciding if _bytes(entry) < minimum_bytes)
    return small or limit.deciding


def _bytes(entry: ContainerLimit) -> int:
    return quantity.value(entry.quantity) if entry.quantity else 0
