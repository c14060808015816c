"""A container's memory request or limit is not a whole number of bytes.

## What it finds
A memory quantity whose exact value has a fraction of a byte. Mostly the suffix `m` (thousandths) was typed where `M` or
`Mi` was meant; a fraction with a binary unit (`1.1Gi`, which the API server rewrites to `1181116006400m`) is one too.

## Why it matters
`memory: 300m` is 0.3 byte, and the API server takes it: it only sends a warning to the client that wrote it, which most
controllers drop. As a limit it makes a container impossible to start, as a request it reserves nothing.

## When it is wrong
It is never wrong about the fraction. Where the quantity is large (`1.1Gi`) nothing breaks: it is then an info.

## How to mend it
Write a whole number with a unit: `300Mi` for mebibytes, `300M` for megabytes.

## References
- Meaning of memory: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#meaning-of-memory
- The API server's warning: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/api/pod/warnings.go
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.finding import Confidence, Finding, Memory, MemoryChange, Remedy, Severity
from kubectl_memdoctor.limit_sentences import PAGE_BYTES, in_bytes
from kubectl_memdoctor.objects import PODS, ResourceRequirements
from kubectl_memdoctor.suggested_limit import MEBIBYTE, for_start

SCOPE = PodContext
TRAITS = Trait.FRACTIONAL
NEEDS = (PODS,)
USES = ()
SUPERSEDES = ()


class _Fraction(Struct, frozen=True):
    name: str | None
    field: str
    field_path: str | None
    limit: str | None
    request: str | None

    def quantities(self) -> Iterator[tuple[str, str]]:
        if self.limit is not None:
            yield "limit", self.limit
        if self.request is not None and self.request != self.limit:
            yield "request", self.request


def find(pod: PodContext) -> Iterator[Finding]:
    for fraction in _fractions(pod):
        words = " and ".join(f"memory {kind} {text}" for kind, text in fraction.quantities())
        of = f" of container {fraction.name}" if fraction.name else ""
        yield Finding(
            rule="memory-quantity-fractional",
            severity=Severity.WARNING if _is_tiny(fraction) else Severity.INFO,
            confidence=Confidence.CONFIRMED,
            involved_object=pod.involved(fraction.field_path),
            message=f"its {words}{of} is not a whole number of bytes",
            details=tuple(_details(fraction)),
            memory=Memory(
                limit_bytes=quantity.value(fraction.limit) if fraction.limit else None,
                limit_quantity=fraction.limit,
                request_bytes=quantity.value(fraction.request) if fraction.request else None,
            ),
            evidence=tuple(
                pod.evidence(f"{fraction.field}.{kind}s.memory", text) for kind, text in fraction.quantities()
            ),
            remedy=_remedy(fraction, pod),
        )


def _fractions(pod: PodContext) -> Iterator[_Fraction]:
    spec = pod.pod.spec
    for list_name, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for index, container in enumerate(containers):
            field = f"spec.{list_name}[{index}].resources"
            found = _fraction(container.name, field, f"spec.{list_name}{{{container.name}}}", container.resources)
            if found:
                yield found
    found = _fraction(None, "spec.resources", None, spec.resources)
    if found:
        yield found


def _fraction(name: str | None, field: str, path: str | None, resources: ResourceRequirements) -> _Fraction | None:
    limit, request = (_if_fractional(amounts.get("memory")) for amounts in (resources.limits, resources.requests))
    return _Fraction(name, field, path, limit, request) if limit or request else None


def _if_fractional(text: str | None) -> str | None:
    try:
        return text if text is not None and not quantity.is_whole(text) else None
    except quantity.QuantityError:
        return None


def _is_tiny(fraction: _Fraction) -> bool:
    return any(quantity.value(text) < MEBIBYTE for _, text in fraction.quantities())


_EFFECTS = {
    "limit": "No container starts with less than one page of memory.",
    "request": "It reserves nothing: the scheduler takes the container for one that needs no memory.",
}


def _details(fraction: _Fraction) -> Iterator[str]:
    for kind, text in fraction.quantities():
        milli = ' ("m" is thousandths)' if text.endswith("m") else ""
        yield f"The {kind} {text} is {in_bytes(text)}{milli}."
        if quantity.value(text) < PAGE_BYTES:
            yield _EFFECTS[kind]
    if not _is_tiny(fraction):
        yield "Kubernetes rounds it up to a whole byte: nothing breaks, but it is hardly what was meant."


def _remedy(fraction: _Fraction, pod: PodContext) -> Remedy:
    changes = {kind: _whole(text, pod.minimum.high_bytes) for kind, text in fraction.quantities()}
    return Remedy(
        text=f"Write a whole number of bytes with a unit: {' and '.join(dict.fromkeys(changes.values()))}.",
        changes=(MemoryChange(container=fraction.name, limit=changes.get("limit"), request=changes.get("request")),),
    )


def _whole(text: str, minimum_bytes: int) -> str:
    """Large ones rounded up to whole mebibytes; tiny ones as they were probably meant."""
    bytes_ = quantity.value(text)
    if bytes_ < MEBIBYTE:
        return for_start(text, minimum_bytes).quantity
    return f"{-(-bytes_ // MEBIBYTE)}Mi"
