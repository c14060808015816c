"""Pods of a workload are not created at all, since a quota or LimitRange on memory forbids them.

## What it finds
A ReplicaSet, StatefulSet, DaemonSet, Job or any other controller whose newest word is that it cannot create a pod,
where the API server's reason is memory: a ResourceQuota that is used up or demands a memory limit that the template
lacks, or a LimitRange whose minimum, maximum or ratio the template does not keep. Quotas on cpu or on the number of
objects are left alone.

## Why it matters
There is no pod to look at: `kubectl get pods` shows fewer pods, or none, and no error.

## When it is wrong
The controller's event is all there is. It tries again less and less often, up to every 17 minutes or so; where its
newest failure is older than that, it may have been mended, and the finding is *likely*. A later success makes it
silent.

## How to mend it
Raise the quota, free memory that other pods of the namespace request, or let the template ask for less. Where a limit
is demanded, give every container one.

## References
- Quotas: https://kubernetes.io/docs/concepts/policy/resource-quotas/
- LimitRanges: https://kubernetes.io/docs/concepts/policy/limit-range/
- The quota's words: https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go
- The LimitRange's words: https://github.com/kubernetes/kubernetes/blob/v1.34.0/plugin/pkg/admission/limitranger/admission.go
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta

import msgspec
from msgspec import Struct, field

from kubectl_memdoctor import quantity
from kubectl_memdoctor.context import NamespaceContext
from kubectl_memdoctor.evidence.event_groups import EventGroup, group_events, newest_first
from kubectl_memdoctor.finding import Confidence, Finding, InvolvedObject, Remedy, Severity
from kubectl_memdoctor.objects import EVENTS, Event

SCOPE = NamespaceContext
NEEDS = (EVENTS,)
USES = ()
SUPERSEDES = ()

RETRIES = timedelta(minutes=20)
"""Controllers retry after at most 1000 seconds, and the recorder lets one event in 5 minutes pass.
https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/client-go/util/workqueue/default_rate_limiters.go"""

STALE = timedelta(hours=1)
"""As long as events live: a recording may hold older ones, of which nobody knows what came after."""

SPREAD = timedelta(seconds=5)
"""A controller makes several pods at once: those that fit, and those that do not, in the same moment."""

_MEMORY_NAMES = r"(?:memory|limits\.memory|requests\.memory)"
_EXCEEDED = re.compile(
    r"\bexceeded quota: (?P<quota>[\w.-]{1,253}), requested: (?P<requested>.{1,600}?), used: (?P<used>.{1,600}?), "
    r"limited: (?P<limited>\S{1,400})",
    re.IGNORECASE,
)
_AMOUNT = re.compile(rf"(?:^|,)({_MEMORY_NAMES})=([^,\s]{{1,40}})")
_DEMANDED = re.compile(r"\bfailed quota: (?P<quota>[\w.-]{1,253}): must specify (?P<what>.{1,600})", re.IGNORECASE)
_DEMANDED_MEMORY = re.compile(rf"(?<![\w.]){_MEMORY_NAMES}(?![\w.])")
_RANGE = re.compile(
    r"\b(?:(?:maximum|minimum) memory usage per (?P<per>\w{1,20}) is (?P<bound>[^\s,]{1,40})"
    r"|memory max limit to request ratio per (?P<ratio_per>\w{1,20}) is (?P<ratio>[^\s,]{1,40}))"
    r"[^\[\]]{0,80}?(?=, (?:maximum|minimum|memory|cpu|storage|ephemeral)|\]|$)",
    re.IGNORECASE,
)
_OVER_LIMIT = re.compile(r"\bmust be less than or equal to memory limit\b", re.IGNORECASE)


class _Refusal(Struct, frozen=True):
    """Why the API server takes no pod: `headline` completes "its pods are not created: "."""

    headline: str
    details: tuple[str, ...]
    remedy: Remedy = field(default_factory=lambda: Remedy(text=""))


def find(namespace: NamespaceContext) -> Iterator[Finding]:
    for events in _by_object(namespace):
        group = _newest_failure(events)
        refusal = _refusal(namespace.name, group.message) if group is not None else None
        if group is None or refusal is None:
            continue
        age = namespace.cluster.now - group.last if group.last else timedelta()
        if age > STALE:
            continue
        involved = events[0].involved_object
        evidence = msgspec.structs.replace(group.evidence(), object=f"{involved.kind.lower()}/{involved.name}")
        yield Finding(
            rule="workload-memory-quota-exceeded",
            severity=Severity.CRITICAL,
            confidence=Confidence.CONFIRMED if age <= RETRIES else Confidence.LIKELY,
            involved_object=InvolvedObject(
                kind=involved.kind, namespace=namespace.name, name=involved.name, uid=involved.uid or None
            ),
            message=f"cannot create its pods: {refusal.headline}",
            details=refusal.details,
            evidence=(evidence,),
            remedy=refusal.remedy,
        )


def _by_object(namespace: NamespaceContext) -> Iterator[list[Event]]:
    """The events of each workload, newest first; one that was made anew under the same name has another uid."""
    groups: dict[tuple[str, str, str], list[Event]] = {}
    for event in sorted(namespace.owner_events, key=newest_first, reverse=True):
        involved = event.involved_object
        if event.reason in ("FailedCreate", "SuccessfulCreate"):
            groups.setdefault((involved.kind, involved.name, involved.uid), []).append(event)
    yield from groups.values()


def _newest_failure(events: list[Event]) -> EventGroup | None:
    """None when the newest of the events tells of a success."""
    groups = group_events(events)
    failure = next((group for group in groups if group.reason == "FailedCreate"), None)
    success = next((group for group in groups if group.reason == "SuccessfulCreate"), None)
    if failure is None or success is None or failure.last is None or success.last is None:
        return failure
    return failure if success.last - failure.last <= SPREAD else None


def _refusal(namespace: str, message: str) -> _Refusal | None:
    return (
        _exceeded(namespace, message)
        or _demanded(namespace, message)
        or _out_of_range(namespace, message)
        or _over_limit(namespace, message)
    )


def _exceeded(namespace: str, message: str) -> _Refusal | None:
    found = _EXCEEDED.search(message)
    if found is None:
        return None
    requested, used, limited = (dict(_AMOUNT.findall(found[part])) for part in ("requested", "used", "limited"))
    if not requested:
        return None
    name, asked = next(iter(requested.items()))
    has, most = used.get(name, "?"), limited.get(name, "?")
    return _Refusal(
        f"quota {found['quota']} allows {name}={most}, {has} are used, and a pod needs {asked}",
        tuple(
            f"{key}: {used.get(key, '?')} of {limited.get(key, '?')} are used; a pod needs {amount}."
            for key, amount in requested.items()
        ),
        _larger_quota(namespace, found["quota"], requested, used),
    )


def _larger_quota(namespace: str, quota: str, requested: dict[str, str], used: dict[str, str]) -> Remedy:
    enough = {name: _sum(used.get(name), amount) for name, amount in requested.items()}
    text = "Lower what the template asks for, or what others in the namespace do"
    if not all(enough.values()):
        command = _describe(namespace, f"resourcequota {shlex.quote(quota)}")
        return Remedy(text=f"{text}, or raise the quota.", command=command)
    patch = json.dumps({"spec": {"hard": enough}}, separators=(",", ":"))
    return Remedy(
        text=f"{text}; or have the quota raised: the command makes room for one more pod.",
        command=f"kubectl -n {shlex.quote(namespace)} patch resourcequota {shlex.quote(quota)} --type=merge "
        f"-p {shlex.quote(patch)}",
    )


def _sum(used: str | None, asked: str) -> str | None:
    try:
        return quantity.format_nano(quantity.nano(used or "") + quantity.nano(asked))
    except quantity.QuantityError:
        return None


def _describe(namespace: str, what: str) -> str:
    return f"kubectl -n {shlex.quote(namespace)} describe {what}"


def _demanded(namespace: str, message: str) -> _Refusal | None:
    found = _DEMANDED.search(message)
    if found is None:
        return None
    demands = (entry.partition(" for: ")[0] for entry in found["what"].split("; "))
    names = list(dict.fromkeys(name for demand in demands for name in _DEMANDED_MEMORY.findall(demand)))
    if not names:
        return None
    kinds = " and ".join("a memory limit" if name == "limits.memory" else "a memory request" for name in names)
    return _Refusal(
        f"quota {found['quota']} demands {kinds} of every container, and the template lacks it",
        (f"The API server says: must specify {found['what']}",),
        Remedy(
            text="Give every container of the template what is demanded, or the namespace a LimitRange with defaults.",
            command=_describe(namespace, f"resourcequota {shlex.quote(found['quota'])}"),
        ),
    )


def _out_of_range(namespace: str, message: str) -> _Refusal | None:
    found = _RANGE.search(message)
    if found is None:
        return None
    words = " ".join(found[0].split()).rstrip(" .")
    return _Refusal(
        f"a LimitRange of the namespace forbids them: {words}",
        (),
        Remedy(
            text="Change the template so that it keeps to the LimitRange, or the LimitRange.",
            command=_describe(namespace, "limitrange"),
        ),
    )


def _over_limit(namespace: str, message: str) -> _Refusal | None:
    """A request above the limit. The API server refuses that in a template of its own making too, so that it comes
    up here when a LimitRange filled in the limit."""
    if _OVER_LIMIT.search(message) is None:
        return None
    return _Refusal(
        "the memory request is above the memory limit, which a LimitRange may have filled in",
        (f"The API server says: {message}",),
        Remedy(
            text="Give the template a memory limit of its own, at least as large as its request.",
            command=_describe(namespace, "limitrange"),
        ),
    )
