"""A memory-backed volume of the pod has no room, since the pod's memory limit sizes it.

## What it finds
A pod that stays in ContainerCreating while the kubelet fails to fill a tmpfs volume: `MountVolume.SetUp failed for
volume "kube-api-access-..." : write .../token: no space left on device`. Service-account tokens, secrets, projected and
downward API volumes and memory-backed emptyDirs are all tmpfs, and the kubelet makes them as large as the pod's memory
limit at most. Volumes are mounted before the sandbox is made, so under about 12 KiB this is the first and only symptom.

## Why it matters
The message speaks of a full device and of a Secret or token, never of memory. Making the Secret anew does not help.

## When it is wrong
A full tmpfs under an ample limit has another cause, such as an emptyDir's own sizeLimit: that is not reported. One
projected volume of many large Secrets may need more than is reckoned with here.

## How to mend it
Raise the memory limit where the pod's template is; sandbox-memory-limit-too-small says how much a pod needs at least.

## References
- The size of a tmpfs volume: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/volume/emptydir/empty_dir.go
- A report of it: https://github.com/kubernetes/kubernetes/issues/79950
"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.context import PodContext, Trait
from kubectl_memdoctor.evidence.event_groups import EventGroup
from kubectl_memdoctor.evidence.mount_errors import MountFailure, read_mount_error
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, RuledOut, Severity
from kubectl_memdoctor.limit_sentences import PAGE_BYTES, deciding_fields, small_limit_sentences
from kubectl_memdoctor.objects import CONFIG_MAPS, EVENTS, LIMIT_RANGES, NODES, PODS, RUNTIME_CLASSES
from kubectl_memdoctor.small_limit import raise_limit

SCOPE = PodContext
TRAITS = Trait.STARTING
NEEDS = (PODS, EVENTS)
USES = (NODES, LIMIT_RANGES, RUNTIME_CLASSES, CONFIG_MAPS)
SUPERSEDES = (
    "sandbox-memory-limit-too-small",
    "pod-memory-limit-below-sandbox-minimum",
    "memory-quantity-fractional",
)

_WHY = (
    "Token, secret and other memory-backed volumes are no larger than the pod's memory limit, "
    "and they are filled before the sandbox starts."
)

CERTAINLY_FULL = 3 * PAGE_BYTES
"""Bytes. A token volume holds three files (token, ca.crt, namespace), and each takes a page at least."""

NEVER_FULL = 2 << 20
"""Bytes. A Secret has 1 MiB at most, and an update is written beside the old copy.
https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/apis/core/types.go (MaxSecretSize)"""


def find(pod: PodContext) -> Iterator[Finding]:
    limit = pod.limit.limit_bytes
    full = list(_full_volumes(pod))
    if limit is None or pod.limit.not_checked_reason or not full or pod.sandbox_errors:
        return
    if limit >= max(pod.minimum.high_bytes, NEVER_FULL):
        return
    _, newest = full[0]
    name = newest.volume or "of its own"
    yield Finding(
        rule="volume-memory-limit-too-small",
        severity=Severity.CRITICAL,
        confidence=Confidence.CONFIRMED if limit < CERTAINLY_FULL else Confidence.LIKELY,
        involved_object=pod.involved(),
        message=f"cannot start: its memory limit leaves no room in its memory-backed volume {name}",
        details=(
            *small_limit_sentences(pod.limit),
            _WHY,
            f"Once they fit, the sandbox comes next. {pod.minimum.reason}.",
        ),
        memory=pod.pod_memory(),
        evidence=tuple(_evidence(pod, full)),
        ruled_out=(
            RuledOut(cause="missing Secret or token", because="the kubelet had the data and failed to write it"),
            RuledOut(cause="full disk", because=f"volume {name} lies in memory, not on a disk"),
        ),
        remedy=raise_limit(pod.limit, pod.minimum.high_bytes),
    )


def _full_volumes(pod: PodContext) -> Iterator[tuple[EventGroup, MountFailure]]:
    tmpfs = {volume.name for volume in pod.pod.spec.volumes if volume.is_tmpfs()}
    for group in pod.events_of("FailedMount"):
        failure = read_mount_error(group.message)
        if failure.is_tmpfs_full and (failure.volume in tmpfs or not pod.pod.spec.volumes):
            yield group, failure


def _evidence(pod: PodContext, full: list[tuple[EventGroup, MountFailure]]) -> Iterator[Evidence]:
    for field, value in deciding_fields(pod.limit):
        yield pod.evidence(field, value)
    for group, _ in full:
        yield group.evidence()
    condition = pod.sandbox_condition
    if condition is not None:
        yield pod.evidence(f"status.conditions[{condition.type}]", condition.status, condition.last_transition_time)
