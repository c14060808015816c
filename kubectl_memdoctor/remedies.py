"""From a change to the command that makes it, where the pod comes from; and since when the limit is what it is.

A rule says which container gets which limit. Here that becomes a command which `kubectl` takes as it stands and the
same change as a strategic merge patch of the owner, together with what the owner's history tells.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.finding import Evidence, Finding, MemoryChange, Owner, Remedy
from kubectl_memdoctor.objects import Container, LimitRange, Pod, PodSpec
from kubectl_memdoctor.owners import PodOwner, Revision
from kubectl_memdoctor.pod_limit import LimitSource, container_memory_limit, is_static

ADDRESSED = re.compile(r"\bkubectl (?=-n |describe )")
"""A command that goes to a cluster; `kubectl patch --local` goes to none."""
RECREATED = frozenset({"ReplicaSet", "ReplicationController", "StatefulSet"})
"""Owners that leave a failing pod as it is when their template changes: it must be deleted to come back changed.
A StatefulSet does so in its default ordered roll-out:
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback"""

ROLLS_BACK = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")
"""Put on a Job's pods by the API server, which refuses a new Job that still carries them."""


def complete(finding: Finding, pod: Pod, owner: PodOwner, limit_ranges: Sequence[LimitRange], now: datetime) -> Finding:
    """The finding with its owner, the remedy's command and patch, and the history of the limit."""
    finding = msgspec.structs.replace(finding, owner=as_printed(owner))
    remedy = finding.remedy
    if remedy is None or not remedy.changes:
        return finding
    remedy = _with_requests(remedy, owner)
    container = remedy.changes[0].container
    history = (
        None if _is_default(pod, container) else limit_history(owner, container, _limit_of(pod.spec, container), now)
    )
    remedy = _with_command(remedy, finding, pod, owner, limit_ranges)
    if history is None:
        return msgspec.structs.replace(finding, remedy=remedy)
    return msgspec.structs.replace(
        finding,
        details=(*finding.details, f"{history.sentence}."),
        evidence=(*finding.evidence, *history.evidence),
        remedy=msgspec.structs.replace(remedy, rollback=history.rollback),
    )


def _is_default(pod: Pod, container: str | None) -> bool:
    """Whether admission gave the limit: no template ever said it."""
    limit = container_memory_limit(pod, container) if container is not None else None
    return limit is not None and limit.from_limit_range


def as_printed(owner: PodOwner) -> Owner:
    return Owner(kind=owner.kind, namespace=owner.namespace, name=owner.name)


def _with_requests(remedy: Remedy, owner: PodOwner) -> Remedy:
    """Where the template asks for exactly its limit, the request follows the limit: the pod's QoS class stays."""
    template = owner.template
    if template is None:
        return remedy
    changes = tuple(_following_request(change, template) for change in remedy.changes)
    return msgspec.structs.replace(remedy, changes=changes)


def _following_request(change: MemoryChange, template: PodSpec) -> MemoryChange:
    resources = _resources_of(template, change.container)
    if change.limit is None or change.request is not None or resources is None:
        return change
    request = resources.requests.get("memory")
    if request is None or request != resources.limits.get("memory"):
        return change
    return msgspec.structs.replace(change, request=change.limit)


def _resources_of(spec: PodSpec, container: str | None) -> Any:
    if container is None:
        return spec.resources
    return next((entry.resources for entry in _all_containers(spec) if entry.name == container), None)


def _all_containers(spec: PodSpec) -> tuple[Container, ...]:
    return (*spec.containers, *spec.init_containers)


def _limit_of(spec: PodSpec, container: str | None) -> str | None:
    resources = _resources_of(spec, container)
    return resources.limits.get("memory") if resources else None


def _with_command(
    remedy: Remedy, finding: Finding, pod: Pod, owner: PodOwner, limit_ranges: Sequence[LimitRange]
) -> Remedy:
    if is_static(pod):
        text = f"{remedy.text} This is a static pod: change its manifest on node {pod.spec.node_name}."
        return msgspec.structs.replace(remedy, text=text)
    if not owner.known:
        text = f"{remedy.text} The template is held by {owner.kind}/{owner.name}: change it there."
        return msgspec.structs.replace(remedy, text=text)
    patch = owner_patch(owner.kind, pod.spec, remedy.changes)
    if finding.memory is not None and finding.memory.limit_source == LimitSource.LIMIT_RANGE and owner.kind != "Pod":
        from_range = _limit_range_remedy(remedy, pod, owner, limit_ranges)
        if from_range is not None:
            return from_range
    text = remedy.text
    if owner.manager:
        text += f" {owner.manager} writes this object: make the change there as well, or it will be undone."
    return msgspec.structs.replace(remedy, text=text, command=_command(owner, pod, remedy.changes, patch), patch=patch)


def owner_patch(kind: str, spec: PodSpec, changes: Sequence[MemoryChange]) -> dict[str, Any]:
    """The changes as a strategic merge patch of an owner of that kind."""
    body: dict[str, Any] = {}
    init_names = {container.name for container in spec.init_containers}
    for change in changes:
        resources = _patch_resources(change)
        if change.container is None:
            body["resources"] = resources
            continue
        where = "initContainers" if change.container in init_names else "containers"
        body.setdefault(where, []).append({"name": change.container, "resources": resources})
    if kind == "Pod":
        return {"spec": body}
    template = {"spec": {"template": {"spec": body}}}
    return {"spec": {"jobTemplate": template}} if kind == "CronJob" else template


def _patch_resources(change: MemoryChange) -> dict[str, dict[str, str]]:
    resources = {}
    if change.limit is not None:
        resources["limits"] = {"memory": change.limit}
    if change.request is not None:
        resources["requests"] = {"memory": change.request}
    return resources


def _command(owner: PodOwner, pod: Pod, changes: Sequence[MemoryChange], patch: dict[str, Any]) -> str:
    if owner.kind == "Pod":
        return _recreate(owner, {"spec": {"nodeName": None, **patch["spec"]}})
    if owner.kind == "Job":
        return _recreate(owner, _fresh_job(patch))
    change = _set_resources(owner, changes) or _patch_command(owner, patch)
    if owner.kind in RECREATED:
        return f"{change} && {kubectl(owner.namespace)} delete pod {shlex.quote(pod.metadata.name)}"
    return change


def addressed(findings: Sequence[Finding], flags: Sequence[str]) -> tuple[Finding, ...]:
    """With commands that reach the cluster of the finding's context, or else the one that `flags` name
    (`--context=prod`), rather than the current one."""
    return tuple(_addressed(finding, shlex.join(cluster_flags(finding, flags))) for finding in findings)


def cluster_flags(finding: Finding, flags: Sequence[str]) -> list[str]:
    """`flags`, and the one that says which of several clusters the finding is about."""
    return [*flags, *([f"--context={finding.context}"] if finding.context else [])]


def _addressed(finding: Finding, flags: str) -> Finding:
    if finding.remedy is None or not flags:
        return finding
    command, rollback = (
        text and ADDRESSED.sub(lambda _: f"kubectl {flags} ", text)
        for text in (finding.remedy.command, finding.remedy.rollback)
    )
    remedy = msgspec.structs.replace(finding.remedy, command=command, rollback=rollback)
    return msgspec.structs.replace(finding, remedy=remedy)


def kubectl(namespace: str) -> str:
    return f"kubectl -n {shlex.quote(namespace)}" if namespace else "kubectl"


def _target(owner: PodOwner) -> str:
    return shlex.quote(f"{owner.kind.lower()}/{owner.name}")


def _set_resources(owner: PodOwner, changes: Sequence[MemoryChange]) -> str | None:
    """`kubectl set resources` for the change of one container; it knows no pod-level resources."""
    if len(changes) != 1 or changes[0].container is None:
        return None
    change = changes[0]
    words = [kubectl(owner.namespace), "set resources", _target(owner), "-c", shlex.quote(change.container or "")]
    if change.limit is not None:
        words.append(f"--limits=memory={shlex.quote(change.limit)}")
    if change.request is not None:
        words.append(f"--requests=memory={shlex.quote(change.request)}")
    return " ".join(words)


def _patch_command(owner: PodOwner, patch: dict[str, Any]) -> str:
    return f"{kubectl(owner.namespace)} patch {_target(owner)} --type=strategic -p {_quoted(patch)}"


def _quoted(patch: dict[str, Any] | list[Any]) -> str:
    return shlex.quote(json.dumps(patch, separators=(",", ":")))


def _fresh_job(patch: dict[str, Any]) -> dict[str, Any]:
    """A Job's template cannot be changed, so it is made anew, without what the API server had added to it."""
    template = {"metadata": {"labels": dict.fromkeys(JOB_LABELS)}, **patch["spec"]["template"]}
    return {"spec": {"selector": None, "template": template}}


def _recreate(owner: PodOwner, patch: dict[str, Any]) -> str:
    target = _target(owner)
    base = kubectl(owner.namespace)
    return (
        f"{base} get {target} -o json"
        f" | kubectl patch --local -f - --type=strategic -p {_quoted(patch)} -o json"
        f" | {base} replace --force -f -"
    )


def _limit_range_remedy(remedy: Remedy, pod: Pod, owner: PodOwner, limit_ranges: Sequence[LimitRange]) -> Remedy | None:
    """The default is mended in the LimitRange; its pods must be made anew to get it."""
    change = remedy.changes[0]
    found = _default_of(limit_ranges, _limit_of(pod.spec, change.container))
    if found is None or change.limit is None:
        return None
    name, index, fields = found
    base = kubectl(pod.metadata.namespace)
    patch = [
        {"op": "replace", "path": f"/spec/limits/{index}/{field}/memory", "value": change.limit} for field in fields
    ]
    pod_name = shlex.quote(pod.metadata.name)
    again = f"rollout restart {_target(owner)}" if owner.kind in ROLLS_BACK else f"delete pod {pod_name}"
    return msgspec.structs.replace(
        remedy,
        text=f"{remedy.text} The limit is the default of LimitRange {name}: mend it there, then make the pods anew.",
        command=f"{base} patch limitrange {shlex.quote(name)} --type=json -p {_quoted(patch)} && {base} {again}",
    )


def _default_of(limit_ranges: Sequence[LimitRange], limit: str | None) -> tuple[str, int, tuple[str, ...]] | None:
    """The LimitRange, the index of its item, and the fields of it that hold the limit: the request may be the same."""
    for limit_range in limit_ranges:
        for index, item in enumerate(limit_range.spec.limits):
            if item.type == "Container" and limit is not None and item.default.get("memory") == limit:
                alike = ("defaultRequest",) if item.default_request.get("memory") == limit else ()
                return limit_range.metadata.name, index, ("default", *alike)
    return None


class LimitHistory(Struct, frozen=True):
    """Since when a limit is what it is. `rollback` is there when the revision before had a larger limit, or none."""

    sentence: str
    evidence: tuple[Evidence, ...]
    rollback: str | None


def limit_history(owner: PodOwner, container: str | None, current: str | None, now: datetime) -> LimitHistory | None:
    """What the revisions say about one container's memory limit; None when they say nothing of use."""
    revisions = owner.revisions
    if len(revisions) < 2:
        return None
    newest = revisions[-1]
    newest_limit = _limit_of(newest.template, container)
    if newest_limit != current:
        if owner.kind == "Deployment" and owner.template and _limit_of(owner.template, container) == newest_limit:
            # It is a pod of the newest template, changed on its way or since: by a webhook, or resized in place.
            return None
        sentence = f"Revision {newest.number} of {_named(owner)} already says {newest_limit or 'no limit'}"
        return LimitHistory(
            f"{sentence}; this pod is of an older one", _revision_evidence(owner, container, newest), None
        )
    start = len(revisions) - 1
    while start > 0 and _limit_of(revisions[start - 1].template, container) == current:
        start -= 1
    since = revisions[start]
    if start == 0:
        return None
    before = revisions[start - 1]
    before_limit = _limit_of(before.template, container)
    age = f"{human_duration(now - since.since)} ago, " if since.since else ""
    sentence = (
        f"{before_limit or 'no limit'} until revision {before.number}, {current or 'no limit'} since revision "
        f"{since.number} ({age}{_image_change(before, since, container)})"
    )
    return LimitHistory(
        f"{_named(owner)}: {sentence}",
        (*_revision_evidence(owner, container, before), *_revision_evidence(owner, container, since)),
        _rollback(owner, before, before_limit, current),
    )


def _named(owner: PodOwner) -> str:
    return f"{owner.kind.lower()}/{owner.name}"


def _image_change(before: Revision, since: Revision, container: str | None) -> str:
    old, new = (
        {entry.name: entry.image for entry in _all_containers(revision.template)} for revision in (before, since)
    )
    if container is not None:
        old, new = {container: old.get(container, "")}, {container: new.get(container, "")}
    changed = sorted(name for name in new if old.get(name) != new[name])
    if not changed:
        return "image unchanged"
    return f"image changed from {old.get(changed[0]) or 'none'} to {new[changed[0]]}"


def _revision_evidence(owner: PodOwner, container: str | None, revision: Revision) -> tuple[Evidence, ...]:
    limit = _limit_of(revision.template, container)
    return (
        Evidence(
            source="owner",
            object=_named(owner),
            field=f"revision {revision.number}",
            value=f"memory limit {limit}" if limit else "no memory limit",
            time=revision.since,
        ),
    )


def _rollback(owner: PodOwner, before: Revision, before_limit: str | None, current: str | None) -> str | None:
    if owner.kind not in ROLLS_BACK or not _is_larger(before_limit, current):
        return None
    return f"{kubectl(owner.namespace)} rollout undo {_target(owner)} --to-revision={before.number}"


def _is_larger(before: str | None, current: str | None) -> bool:
    if before is None or current is None:
        return before is None
    try:
        return quantity.value(before) > quantity.value(current)
    except quantity.QuantityError:
        return False
