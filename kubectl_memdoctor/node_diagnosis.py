"""Nodes, and all pods on them, through rules to a report; and what their logs tell of pods that are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from kubectl_memdoctor import node_ooms
from kubectl_memdoctor.cluster.source import AccessError, NotFound, Source, Unreadable
from kubectl_memdoctor.context import ClusterContext, NodeContext, PodContext, small_below
from kubectl_memdoctor.diagnosis import (
    EVENT_SELECTORS,
    NO_NODE_LOOK,
    NO_USAGE_LOOK,
    NODE_EVENTS,
    NodeLook,
    Surroundings,
    ask_nodes,
    bring_back,
    counts,
    namespaces_of_killed,
    own_minimum,
    report_of,
    with_usages,
)
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence
from kubectl_memdoctor.evidence.pod_join import same_host
from kubectl_memdoctor.examination import examine, worst_first
from kubectl_memdoctor.finding import Diagnosis, Finding, Summary
from kubectl_memdoctor.log_findings import log_findings
from kubectl_memdoctor.logged_pods import logged_pods
from kubectl_memdoctor.measured_minimum import Measurement
from kubectl_memdoctor.node_facts import NodeView, PodSums, node_facts, part_of
from kubectl_memdoctor.objects import EVENTS, NODES, PODS, Event, Node
from kubectl_memdoctor.owner_lookup import OwnerLookup
from kubectl_memdoctor.pod_pass import Progress
from kubectl_memdoctor.reading import Asked, Reading
from kubectl_memdoctor.selection import Selection
from kubectl_memdoctor.survey import Survey, pod_contexts


def diagnose_nodes(
    source: Source,
    names: Sequence[str],
    *,
    label_selector: str = "",
    minimum_bytes: int | None = None,
    measured: tuple[Measurement, ...] | None = None,
    nodes_look: NodeLook = NO_NODE_LOOK,
    progress: Progress = lambda nodes, remaining: None,
) -> Diagnosis:
    """The nodes of these names, or with these labels. `measured` on the nodes; None: what the cluster has saved.

    Raises NotFound when none of them exists, AccessError when neither nodes nor pods can be read.
    """
    with Reading(source) as reading:
        surroundings = Surroundings(reading, (None,), EVENT_SELECTORS, own_minimum(minimum_bytes, measured))
        found = _find(reading, names, label_selector)
        asked_events = [_events_of(reading, name) for name in found.names]
        survey = Survey(small_below(minimum_bytes, surroundings.saved.answer().measured), named=True)
        sums = {name: _pods_on(reading, name, survey) for name in found.names}
        # After the pods, so that a kill which their statuses tell of stands in the logs already.
        evidence = ask_nodes(reading, nodes_look, found.names, progress).answer()
        bring_back(reading, survey, evidence)
        usage = NO_USAGE_LOOK.reading(reading)
        usage.ask_now(namespaces_of_killed(survey, Selection()))
        node_events = [event for answer in asked_events for event in answer.answer()]
        cluster = surroundings.context(found.nodes, survey.requested, minimum_bytes, evidence, node_events)
        cluster = with_usages(cluster, survey.kept, usage, NO_USAGE_LOOK)
        pods = pod_contexts(survey, cluster)
        nodes = [NodeContext(node, cluster) for node in found.nodes]
        by_rules = examine([*pods, *nodes], cluster, OwnerLookup(reading))
        views = tuple(_views(found.names, cluster, pods, sums))
        findings = tuple(sorted((*by_rules, *_by_logs(views, by_rules)), key=worst_first))
        looked_at = Summary(survey.pods, len(views), counts(findings))
        problems = (*nodes_look.problems, *_of_others(nodes_look.read, found.names))
        report = report_of(surroundings, cluster, survey, looked_at, findings, problems)
        return Diagnosis(report, errors=found.errors, nodes=tuple(map(node_facts, views)))


class _Found(Struct, frozen=True):
    """`nodes` are fewer than `names` where they cannot be read."""

    names: tuple[str, ...]
    nodes: tuple[Node, ...]
    errors: tuple[str, ...] = ()


def _find(reading: Reading, names: Sequence[str], label_selector: str) -> _Found:
    if not names:
        nodes = tuple(node for page in reading.source.list(NODES, label_selector=label_selector) for node in page.items)
        if not nodes:
            raise AccessError(f'error: no node has the labels "{label_selector}"')
        return _Found(tuple(node.metadata.name for node in nodes), nodes)
    asked = {name: reading.start(lambda name=name: reading.source.get(NODES, None, name)) for name in names}  # type: ignore[misc]
    nodes_found: dict[str, Node | None] = {}
    errors: list[str] = []
    for name, answer in asked.items():
        try:
            nodes_found[name] = answer.answer()
        except NotFound as error:
            errors.append(str(error))
        except Unreadable as unreadable:
            reading.unreadable[NODES.name] = unreadable.reason
            nodes_found[name] = None
    if not nodes_found:
        raise NotFound("\n".join(errors))
    return _Found(tuple(nodes_found), tuple(filter(None, nodes_found.values())), tuple(errors))


def _events_of(reading: Reading, node: str) -> Asked[list[Event]]:
    selector = f"involvedObject.kind=Node,involvedObject.name={node}"
    return reading.objects(EVENTS, "default", field_selector=selector, noted_as=NODE_EVENTS)


def _pods_on(reading: Reading, node: str, survey: Survey) -> PodSums:
    sums = PodSums()
    try:
        for page in reading.source.list(PODS, field_selector=f"spec.nodeName={node}"):
            for pod in page.items:
                survey.add(pod)
                sums.add(pod)
    except Unreadable as unreadable:
        if NODES.name in reading.unreadable:
            raise
        reading.unreadable[PODS.name] = unreadable.reason
    return sums


def _views(
    names: Sequence[str], cluster: ClusterContext, pods: Sequence[PodContext], sums: Mapping[str, PodSums]
) -> Iterator[NodeView]:
    for name in names:
        part = part_of(cluster.node_evidence.whole, name, alone=len(names) == 1)
        gone = tuple(logged for logged in logged_pods(part) if not any(entry.holds(logged) for entry in sums.values()))
        here = tuple(pod for pod in pods if pod.pod.spec.node_name == name)
        yield NodeView(name, cluster, here, sums[name], part, gone)


def _by_logs(views: Iterable[NodeView], by_rules: Iterable[Finding]) -> Iterator[Finding]:
    """Of pods that are gone, and of nodes whose want of memory no pod's finding tells of."""
    told = {finding.node for finding in by_rules if finding.rule == node_ooms.RULE}
    for view in views:
        for logged in view.unlisted:
            found = log_findings(logged, view.cluster)
            yield from (msgspec.structs.replace(finding, node=view.name) for finding in found)
        kills = node_ooms.kills_of_no_pod(view.evidence)
        if kills:
            yield node_ooms.by_kernel(view.name, kills, view.cluster)
        elif view.name not in told:
            yield from node_ooms.by_events(view.name, view.cluster)


def _of_others(read: NodeEvidence, names: Sequence[str]) -> Iterator[str]:
    """A line for each log that was given and is of another node, or of nobody knows which of several."""
    for file, host in {span.file: span.node for span in read.spans}.items():
        if not host and len(names) > 1:
            yield f"{file}: it does not name its node: only what is in pods of these nodes is told of"
        elif host and not any(same_host(name, host) for name in names):
            yield f"{file}: it is the log of {host}, not of {' or '.join(names)}"
