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
    parts = tuple(_parts(limit))
    if len(parts) == 1:
        yield f"The limit {_explained(limit.quantity)}{_rounded(limit.quantity, limit.limit_bytes)}."
    else:
        total = f"{' + '.join(f'{name} {text}' for name, text in parts)}, together {in_bytes(limit.quantity)}"
        yield f"The pod's limit is {total}{_rounded(limit.quantity, limit.limit_bytes)}."
        fractions = dict.fromkeys(text for _, text in parts if not quantity.is_whole(text))
        yield from (f"{_explained(text)}." for text in fractions)
    yield from _where_it_comes_from(limit)


def _parts(limit: PodLimit) -> Iterator[tuple[str, str]]:
    """Name and quantity of everything that the pod's limit is the sum of."""
    if limit.source is LimitSource.POD and limit.quantity is not None:
        yield (
            "the pod's own",
            quantity.format_nano(quantity.nano(limit.quantity) - limit.overhead_bytes * quantity.NANO),
        )
    for entry in limit.deciding:
        if entry.quantity is not None:
            yield entry.name, entry.quantity
    if limit.overhead_bytes:
        yield "the RuntimeClass's overhead", quantity.format_bytes(limit.overhead_bytes)


def _explained(text: str) -> str:
    milli = ' ("m" is thousandths)' if text.endswith("m") else ""
    return f"{text} is {in_bytes(text)}{milli}"


def _rounded(text: str, limit_bytes: int) -> str:
    up = "" if quantity.is_whole(text) else f"; the kubelet rounds it up to {_byte_count(limit_bytes)}"
    if limit_bytes >= PAGE_BYTES:
        return up
    return f"{up}, the kernel down to 0 pages" if up else "; the kernel rounds it down to 0 pages"


def _where_it_comes_from(limit: PodLimit) -> Iterator[str]:
    if limit.source is LimitSource.POD:
        yield "It is the limit of the whole pod, spec.resources."
        return
    if len(limit.deciding) == 1 and limit.deciding[0].init:
        yield f"It is the limit of init container {limit.deciding[0].name}, the largest that the pod ever needs."
    given = [entry.name for entry in limit.deciding if entry.from_limit_range]
    if given:
        yield f"The manifest gives {_containers(given)} no limit: a LimitRange of the namespace did."


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
    """The containers whose own limit is under what a sandbox needs: those to raise. All of them if only the sum is.

    What starts no sandbox starts no container either, so those that run at another time count as well.
    """
    small = tuple(entry for entry in (*limit.deciding, *limit.others) if _bytes(entry) < minimum_bytes)
    return small or limit.deciding


def _bytes(entry: ContainerLimit) -> int:
    return quantity.value(entry.quantity) if entry.quantity else 0
