"""A LimitRange gives containers a memory limit with which they cannot start, or one that is no whole number of bytes.

## What it finds
A LimitRange whose default memory limit for containers is under what a pod's sandbox needs to start, or has a fraction
of a byte (`300m` is 0.3 byte). A default request with a fraction of a byte is found, too: it reserves nothing.

## Why it matters
Every container of the namespace that says nothing about memory gets this limit on admission. The manifests look fine,
and none of these pods starts.

## When it is wrong
What a sandbox needs differs by runtime; a default between the known minima is only *possible*. A pod of several
containers has the sum of their limits, which may be enough.

## How to mend it
Write the default that was meant. Pods get it when they are made; those that exist keep the old one.

## References
- LimitRange: https://kubernetes.io/docs/concepts/policy/limit-range/
- Default limits: https://kubernetes.io/docs/tasks/administer-cluster/manage-resources/memory-default-namespace/
- Where it is filled in: https://github.com/kubernetes/kubernetes/blob/v1.34.0/plugin/pkg/admission/limitranger/admission.go
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import NamespaceContext
from kubectl_memdoctor.finding import (
    Confidence,
    Evidence,
    Finding,
    InvolvedObject,
    Memory,
    Remedy,
    Severity,
)
from kubectl_memdoctor.limit_sentences import PAGE_BYTES, in_bytes
from kubectl_memdoctor.measured_minimum import cpus
from kubectl_memdoctor.objects import CONFIG_MAPS, LIMIT_RANGES, NODES, LimitRange, Node
from kubectl_memdoctor.sandbox_minimum import SandboxMinimum, sandbox_minimum
from kubectl_memdoctor.suggested_limit import MEBIBYTE, Suggestion, for_start

SCOPE = NamespaceContext
NEEDS = (LIMIT_RANGES,)
USES = (NODES, CONFIG_MAPS)
SUPERSEDES = ()


def find(namespace: NamespaceContext) -> Iterator[Finding]:
    minima = _minima(namespace)
    for limit_range in namespace.limit_ranges:
        for index, item in enumerate(limit_range.spec.limits):
            if item.type != "Container":
                continue
            limit = _amount(item.default.get("memory"))
            request = _amount(item.default_request.get("memory"))
            if limit is not None:
                yield from _limit(limit_range, index, limit, minima)
            if request is not None and request != limit:
                yield from _request(limit_range, index, request, minima)


def _minima(namespace: NamespaceContext) -> tuple[SandboxMinimum, ...]:
    """One for each kind of Linux node; the whole known span where none was read."""
    cluster = namespace.cluster
    kinds = {(node.status.node_info, cpus(node)): node for _, node in sorted(cluster.nodes.items())}
    linux: list[Node | None] = [node for (info, _), node in kinds.items() if info.operating_system != "windows"]
    return tuple(
        sandbox_minimum(
            node,
            handler=None,
            failures=(),
            bounds=None,
            measured=cluster.measured,
            override_bytes=cluster.minimum_bytes,
        )
        for node in linux or [None]
    )


def _amount(text: str | None) -> str | None:
    try:
        return text if text is not None and quantity.value(text) > 0 else None
    except quantity.QuantityError:
        return None


def _limit(limit_range: LimitRange, index: int, text: str, minima: tuple[SandboxMinimum, ...]) -> Iterator[Finding]:
    limit = quantity.value(text)
    most = max(minima, key=lambda minimum: minimum.high_bytes)
    confidence = _confidence(limit, minima)
    if confidence is not None:
        yield _finding(
            limit_range,
            index,
            "default",
            text,
            Severity.WARNING,
            confidence,
            f"gives containers a default memory limit of {text}, too small for a pod to start with",
            (*_what_it_is(text), f"{most.reason}."),
            most.high_bytes,
            for_start(text, most.high_bytes),
        )
    elif not quantity.is_whole(text):
        yield _fraction(limit_range, index, "default", "limit", text, Severity.INFO, most.high_bytes)


def _request(limit_range: LimitRange, index: int, text: str, minima: tuple[SandboxMinimum, ...]) -> Iterator[Finding]:
    if quantity.is_whole(text):
        return
    severity = Severity.WARNING if quantity.value(text) < MEBIBYTE else Severity.INFO
    minimum = max(minimum.high_bytes for minimum in minima)
    yield _fraction(limit_range, index, "defaultRequest", "request", text, severity, minimum)


def _confidence(limit: int, minima: tuple[SandboxMinimum, ...]) -> Confidence | None:
    if limit >= max(minimum.high_bytes for minimum in minima):
        return None
    if limit < PAGE_BYTES:
        return Confidence.CONFIRMED
    return Confidence.LIKELY if limit < min(minimum.low_bytes for minimum in minima) else Confidence.POSSIBLE


def _fraction(
    limit_range: LimitRange, index: int, field: str, kind: str, text: str, severity: Severity, minimum_bytes: int
) -> Finding:
    tiny = quantity.value(text) < MEBIBYTE
    suggestion = for_start(text, minimum_bytes) if tiny else _rounded(text)
    return _finding(
        limit_range,
        index,
        field,
        text,
        severity,
        Confidence.CONFIRMED,
        f"gives containers a default memory {kind} of {text}, which is not a whole number of bytes",
        tuple(_what_it_is(text)),
        None,
        suggestion,
    )


def _rounded(text: str) -> Suggestion:
    whole = f"{-(-quantity.value(text) // MEBIBYTE)}Mi"
    return Suggestion(whole, f"Write a whole number of bytes: {whole}.")


def _what_it_is(text: str) -> Iterator[str]:
    milli = ' ("m" is thousandths)' if text.endswith("m") else ""
    yield f"{text} is {in_bytes(text)}{milli}."


def _finding(
    limit_range: LimitRange,
    index: int,
    field: str,
    text: str,
    severity: Severity,
    confidence: Confidence,
    message: str,
    details: tuple[str, ...],
    minimum_bytes: int | None,
    suggestion: Suggestion,
) -> Finding:
    metadata = limit_range.metadata
    path = f"spec.limits[{index}].{field}.memory"
    is_limit = field == "default"
    request = limit_range.spec.limits[index].default_request.get("memory")
    alike = ("defaultRequest",) if is_limit and request == text else ()
    patch = [
        {"op": "replace", "path": f"/spec/limits/{index}/{name}/memory", "value": suggestion.quantity}
        for name in (field, *alike)
    ]
    return Finding(
        rule="limitrange-memory-default-too-small",
        severity=severity,
        confidence=confidence,
        involved_object=InvolvedObject(
            kind="LimitRange",
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid or None,
            field_path=path,
        ),
        message=message,
        details=details,
        memory=Memory(
            limit_bytes=quantity.value(text) if is_limit else None,
            limit_quantity=text if is_limit else None,
            limit_source="limitRange" if is_limit else None,
            request_bytes=None if is_limit else quantity.value(text),
            minimum_bytes=minimum_bytes,
        ),
        evidence=(Evidence(source="limitRange", object=f"limitrange/{metadata.name}", field=path, value=text),),
        remedy=Remedy(
            text=f"{suggestion.why} Pods get it when they are made anew.",
            command=f"kubectl -n {shlex.quote(metadata.namespace)} patch limitrange {shlex.quote(metadata.name)} "
            f"--type=json -p {shlex.quote(json.dumps(patch, separators=(',', ':')))}",
        ),
    )
