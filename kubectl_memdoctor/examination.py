"""Subjects before rules: what is found on a pod, a node or a namespace, with its owner and its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kubectl_memdoctor.context import ClusterContext, NamespaceContext, NodeContext, PodContext
from kubectl_memdoctor.finding import CONFIDENCES, SEVERITIES, Finding
from kubectl_memdoctor.owner_lookup import OwnerLookup
from kubectl_memdoctor.remedies import as_printed, complete
from kubectl_memdoctor.rules import Rule, rules

Subject = PodContext | NodeContext | NamespaceContext


def examine(subjects: Iterable[Subject], cluster: ClusterContext, owners: OwnerLookup) -> tuple[Finding, ...]:
    """Every subject before every rule that concerns it; worst finding first."""
    able = able_rules(cluster)
    found = [(subject, finding) for subject in subjects for finding in findings_on(subject, able)]
    for subject, _ in found:
        if isinstance(subject, PodContext):
            owners.prefetch(subject.pod)
    return tuple(sorted((completed(subject, finding, owners) for subject, finding in found), key=worst_first))


def able_rules(cluster: ClusterContext) -> tuple[Rule, ...]:
    """Those whose every need was read."""
    return tuple(rule for rule in rules() if not missing(rule.needs, cluster))


def findings_on(subject: Subject, able: Iterable[Rule]) -> list[Finding]:
    """What the rules find, without what another finding explains; without owners and commands."""
    scope = _scope(subject)
    concerned = (rule for rule in able if rule.scope == scope and _shows(subject, rule))
    found = [(rule, finding) for rule in concerned for finding in rule.find(subject)]
    return [finding for _, finding in found if not any(_explains(*other, finding) for other in found)]


def _scope(subject: Subject) -> str:
    if isinstance(subject, PodContext):
        return "Pod"
    return "Node" if isinstance(subject, NodeContext) else "Namespace"


def _shows(subject: Subject, rule: Rule) -> bool:
    return not isinstance(subject, PodContext) or bool(subject.traits & rule.traits)


def _explains(rule: Rule, cause: Finding, symptom: Finding) -> bool:
    """Whether `cause` is the reason for `symptom`: of one object, and not of two different containers."""
    if symptom.rule not in rule.supersedes:
        return False
    paths = {cause.involved_object.field_path, symptom.involved_object.field_path}
    return None in paths or len(paths) == 1


def completed(subject: Subject, finding: Finding, owners: OwnerLookup) -> Finding:
    """With its owner, and on a pod with the command that mends it and the history of the limit. Waits for owners."""
    if isinstance(subject, NamespaceContext):
        involved = finding.involved_object
        owner = owners.owner_of(involved.kind, subject.name, involved.name)
        return msgspec.structs.replace(finding, owner=as_printed(owner)) if owner else finding
    if not isinstance(subject, PodContext):
        return finding
    finding = msgspec.structs.replace(finding, node=subject.pod.spec.node_name or None)
    return complete(finding, subject.pod, owners.owner(subject.pod), subject.limit_ranges, subject.now)


def worst_first(finding: Finding) -> tuple[int, int, str, str, str, str, str]:
    involved = finding.involved_object
    return (
        SEVERITIES.index(finding.severity),
        CONFIDENCES.index(finding.confidence),
        involved.namespace or "",
        involved.name,
        involved.field_path or "",
        finding.rule,
        involved.uid or "",
    )


def missing(resources: Iterable[Any], cluster: ClusterContext) -> list[str]:
    """Names of those that could not be read."""
    return [resource.name for resource in resources if resource.name in cluster.unreadable]
