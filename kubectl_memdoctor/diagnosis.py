"""Pods through rules to a report.

What is read beside the pods is asked for side by side with them; the pods pass by once, a page at a time; the
remarkable ones meet the rules; what the rules find gets its owner, its command and its history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from msgspec import Struct

from kubectl_memdoctor.cluster.prometheus_query import Prometheus
from kubectl_memdoctor.cluster.source import NotFound, Origin, Source, Unreadable
from kubectl_memdoctor.context import (
    ClusterContext,
    NamespaceContext,
    NodeContext,
    PodContext,
    Trait,
    small_below,
    traits,
)
from kubectl_memdoctor.early_findings import EarlyFindings, KnownSoFar, Tell
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence, merged
from kubectl_memdoctor.evidence.pod_join import EvidenceIndex
from kubectl_memdoctor.examination import Subject, examine, missing, worst_first
from kubectl_memdoctor.finding import (
    LOOKED_WITHOUT,
    SEVERITIES,
    Cluster,
    Confidence,
    Diagnosis,
    Finding,
    NotChecked,
    Report,
    Summary,
)
from kubectl_memdoctor.logged_pods import joined
from kubectl_memdoctor.measured_minimum import Measurement
from kubectl_memdoctor.node_reading import COUNTERS, read_nodes
from kubectl_memdoctor.objects import (
    CONFIG_MAPS,
    EVENTS,
    LIMIT_RANGES,
    NODE_PROXY,
    NODES,
    PODS,
    RUNTIME_CLASSES,
    Event,
    LimitRange,
    Node,
    Pod,
    RuntimeClass,
)
from kubectl_memdoctor.owner_lookup import TEMPLATE_HASH_LABEL, OwnerLookup
from kubectl_memdoctor.pod_facts import pod_facts
from kubectl_memdoctor.pod_pass import GoOn, PodPass, Progress, unless_it_exists
from kubectl_memdoctor.reading import Asked, Reading
from kubectl_memdoctor.rules import rules
from kubectl_memdoctor.saved_minimum import SavedMinimum, saved_minimum
from kubectl_memdoctor.selection import Selection, each_once, find_pods, identity
from kubectl_memdoctor.survey import Survey, pod_contexts
from kubectl_memdoctor.usage import NearLimit, near_by_counters, usages
from kubectl_memdoctor.usage_reading import UsageReading

EVENT_SELECTORS = ("type=Warning", "reason=SandboxChanged", "reason=Killing")
"""What rules read: Warnings, and two Normal events that prove something."""

FEW_PODS = 5
"""Up to so many named pods, their events are asked for by name rather than for the whole namespace."""

FEW_KEPT = 32
"""The same, of the pods of a cluster that stand out: an API server looks at the events of one namespace only."""

FIRST_PODS = 32
"""So many of the unwell pods are looked at, each with its own events and node, while the others still pass by."""

OWNER_EVENTS = "reason=FailedCreate"
"""What a workload's events tell rules."""

NODES_OWN_EVENTS = "involvedObject.kind=Node,type=Warning"

_PASSING = ("Scheduled", "Pulling", "Pulled", "Created", "Started", "AddedInterface", "SuccessfulAttachVolume")
"""Reasons of every pod's first minute, which no rule waits for."""

PODS_OWN_EVENTS = ",".join(("involvedObject.kind=Pod", *(f"reason!={reason}" for reason in _PASSING)))
"""What holds all that EVENT_SELECTORS pick of pods, and more. An API server looks at all its events for each list that
it is asked for, so one list with too many in it costs it less than one list a reason."""

FEW_NAMESPACES = 8
"""Up to so many, metrics and events are asked for one after the other rather than for the whole cluster."""

ABOUT_USE = Trait.KILLED | Trait.SEEN_KILLED | Trait.NEAR_LIMIT
"""What makes it worth asking how much a pod used in the past."""

NEIGHBOURS = "pods on the same nodes"
SIBLINGS = "pods of the same owner"
NODE_EVENTS = "events of nodes"
OTHER_PODS = "other pods"
"""As the resource of a NotChecked: those that were still to come when the run was interrupted."""
REVISION_LABELS = (TEMPLATE_HASH_LABEL, "controller-revision-hash")
"""Labels that all pods made from one template share."""


NODE_LOG = "node log"
"""As the resource of a NotChecked: a file that was given and could not be read."""


DEBUG_POD = "debug pod"
"""As the resource of a NotChecked: what it could not read."""
NOTHING_READ = NodeEvidence()


class NodeLook(Struct, frozen=True):
    """What is known of the nodes beforehand, from files, and how they themselves are asked.

    `deadline_seconds`: for all nodes together; None asks none. `thorough`: whole logs rather than their newest part.
    """

    read: NodeEvidence = NOTHING_READ
    problems: tuple[str, ...] = ()
    """A line for each file, or part of it, that could not be read."""
    deadline_seconds: float | None = None
    thorough: bool = False
    by_pods: Callable[[Sequence[str]], tuple[NodeEvidence, tuple[str, ...]]] | None = None
    """Reads nodes by a pod on each, and says what it could not. It may ask the user, and is called in the caller's
    thread."""

    @property
    def is_asked_for(self) -> bool:
        return bool(self.read) or self.deadline_seconds is not None or self.by_pods is not None


NO_NODE_LOOK = NodeLook()


class UsageLook(Struct, frozen=True):
    """What is asked about memory use, beside the use now of what was killed.

    `near_limit`: from which share of its limit (0 to 1) a container is listed; None lists none.
    """

    near_limit: float | None = None
    prometheus: Prometheus | None = None

    def reading(self, reading: Reading) -> UsageReading:
        return UsageReading(reading, self.prometheus, wanted=self.near_limit is not None)

    @property
    def is_asked_for(self) -> bool:
        return self.near_limit is not None or self.prometheus is not None


NO_USAGE_LOOK = UsageLook()


def diagnose_namespaces(
    source: Source,
    selection: Selection,
    *,
    minimum_bytes: int | None = None,
    measured: tuple[Measurement, ...] | None = None,
    nodes_look: NodeLook = NO_NODE_LOOK,
    usage_look: UsageLook = NO_USAGE_LOOK,
    progress: Progress = lambda pods, remaining: None,
    tell: Tell | None = None,
    go_on: GoOn | None = None,
) -> Diagnosis:
    """Every pod of the namespaces (None: of the cluster). `measured` on the nodes; None: what the cluster has saved.
    `tell` gets findings of the report while the pods still pass by.

    Raises AccessError when the pods cannot be read, NotFound when none of the namespaces exists.
    """
    with Reading(source) as reading:
        surroundings = Surroundings(reading, selection.scopes(), (OWNER_EVENTS,), own_minimum(minimum_bytes, measured))
        nodes = reading.objects(NODES)
        node_events = _node_events(reading, selection)
        owners = OwnerLookup(reading)
        usage = usage_look.reading(reading)
        near = _near_limit(usage, usage_look, selection)
        # A recording is read once from its beginning: what is saved in it is known only when its pods have passed by.
        saved = surroundings.saved.answer().measured if source.parallel else measured or ()
        survey = Survey(small_below(minimum_bytes, saved), named=nodes_look.is_asked_for, near=near)
        early = None
        if tell is not None and source.parallel and not (nodes_look.is_asked_for or usage_look.is_asked_for):
            beside = _BesidePods(reading, surroundings, minimum_bytes)
            early = EarlyFindings(beside, owners, tell, sums_requests=selection.is_whole_cluster())
        passing = PodPass(reading, selection, survey, progress, early, go_on)
        passing.run()
        needed = small_below(minimum_bytes, surroundings.saved.answer().measured)
        if needed > survey.small_below:
            survey = Survey(needed, named=nodes_look.is_asked_for, near=near)
            passing = PodPass(reading, selection, survey, progress, go_on=go_on)
            passing.run()
        if passing.missing and len(passing.missing) == len(selection.scopes()):
            raise NotFound("\n".join(passing.missing))
        if passing.is_interrupted:
            reading.unreadable[OTHER_PODS] = f"interrupted: looked at {survey.pods:,}"
        whole = selection.is_whole_cluster()
        all_seen = whole and not passing.is_interrupted and PODS.name not in reading.unreadable
        evidence = ask_nodes(reading, nodes_look, survey.nodes).answer()
        bring_back(reading, survey, evidence, usage_look.near_limit)
        surroundings.ask_about(survey.kept)
        usage.ask_now(namespaces_of_killed(survey, selection))
        requested = survey.requested if all_seen else None
        cluster = surroundings.context(nodes.answer(), requested, minimum_bytes, evidence, node_events.answer())
        cluster = with_usages(cluster, survey.kept, usage, usage_look)
        in_sight = _nodes_in_sight(cluster, survey, whole=whole)
        subjects: list[Subject] = [
            *(pod for pod in pod_contexts(survey, cluster) if early is None or not early.has_told(pod.pod)),
            *(NodeContext(node, cluster) for node in in_sight),
            *(NamespaceContext(name, cluster) for name in _namespaces_in_sight(cluster, survey, selection)),
        ]
        findings = examine(subjects, cluster, owners)
        if early is not None:
            findings = tuple(sorted((*early.findings, *findings), key=worst_first))
        looked_at = Summary(survey.pods, len(in_sight) or len(survey.nodes), counts(findings))
        report = report_of(surroundings, cluster, survey, looked_at, findings, nodes_look.problems)
        return Diagnosis(report, errors=tuple(passing.missing), is_interrupted=passing.is_interrupted)


def diagnose_pods(
    source: Source,
    selection: Selection,
    *,
    minimum_bytes: int | None = None,
    measured: tuple[Measurement, ...] | None = None,
    nodes_look: NodeLook = NO_NODE_LOOK,
    usage_look: UsageLook = NO_USAGE_LOOK,
) -> Diagnosis:
    """The pods that were asked for by name, by TYPE/NAME or by label. `measured` on the nodes; None: what the cluster
    has saved.

    Raises AccessError when they cannot be read, NotFound when none of them, or their namespace, exists.
    """
    with Reading(source) as reading:
        selectors = _event_selectors(selection)
        surroundings = Surroundings(reading, selection.scopes(), selectors, own_minimum(minimum_bytes, measured))
        pods, errors = find_pods(reading, selection)
        nowhere = (
            [] if pods else [line for name in selection.namespaces or () for line in unless_it_exists(reading, name)]
        )
        if nowhere:
            raise NotFound("\n".join(nowhere))
        owners = OwnerLookup(reading)
        small = small_below(minimum_bytes, surroundings.saved.answer().measured)
        asked = ask_nodes(reading, nodes_look, {pod.spec.node_name for pod in pods if pod.spec.node_name})
        usage = usage_look.reading(reading)
        killed = [pod for pod in pods if usage_look.is_asked_for or Trait.KILLED in traits(pod, small)]
        usage.ask_now(sorted({pod.metadata.namespace for pod in killed}))
        usage.ask_past(killed)
        round_two = _RoundTwo(reading, pods, owners, small)
        survey = Survey(small)
        wanted = set(map(identity, pods))
        for pod in each_once((*round_two.other_pods(), *pods)):
            survey.add(pod, keep=identity(pod) in wanted)
        cluster = surroundings.context(round_two.nodes(), None, minimum_bytes, asked.answer(), round_two.node_events())
        cluster = with_usages(cluster, pods, usage, usage_look)
        contexts = [context for context in pod_contexts(survey, cluster) if identity(context.pod) in wanted]
        findings = examine(contexts, cluster, owners)
        looked_at = Summary(len(pods), len(cluster.nodes) or len(survey.nodes), counts(findings))
        report = report_of(surroundings, cluster, survey, looked_at, findings, nodes_look.problems)
        return Diagnosis(report, tuple(map(pod_facts, contexts)), errors)


def _node_events(reading: Reading, selection: Selection) -> Asked[list[Event]]:
    """Of all nodes. Who looks at a few namespaces need not be allowed to read another's events."""
    if selection.namespaces is not None:
        return Asked(list, None)
    return reading.objects(EVENTS, "default", field_selector=NODES_OWN_EVENTS)


def own_minimum(minimum_bytes: int | None, measured: tuple[Measurement, ...] | None) -> SavedMinimum | None:
    """The user's own figures, which leave nothing to ask the cluster for; None without any."""
    if measured is None and minimum_bytes is None:
        return None
    return SavedMinimum(measured or ())


def _event_selectors(selection: Selection) -> tuple[str, ...]:
    names = selection.pod_names()
    if 0 < len(names) <= FEW_PODS:
        return tuple(map(_events_of_pod, names))
    return EVENT_SELECTORS


def _events_of_pod(name: str) -> str:
    return f"involvedObject.kind=Pod,involvedObject.name={name}"


def _tells(event: Event) -> bool:
    """Whether EVENT_SELECTORS pick it."""
    return event.type == "Warning" or event.reason in ("SandboxChanged", "Killing")


def ask_nodes(
    reading: Reading, look: NodeLook, names: Iterable[str], progress: Progress = lambda nodes, remaining: None
) -> Asked[EvidenceIndex]:
    """What the nodes say, and what was read of them before. `progress` counts nodes."""
    wanted = sorted(names)
    read = look.read
    if look.by_pods and wanted:
        printed, reasons = look.by_pods(wanted)
        read = merged((read, printed))
        reading.unreadable.update({DEBUG_POD: "; ".join(reasons)} if reasons else {})

    def ask() -> EvidenceIndex:
        if look.deadline_seconds is None or not wanted or not (reading.source.kubelets or look.thorough):
            return EvidenceIndex(joined(read))
        said, unreadable = read_nodes(
            reading.source, wanted, deadline_seconds=look.deadline_seconds, thorough=look.thorough, progress=progress
        )
        reading.unreadable.update(unreadable if look.thorough else _in_short(unreadable))
        return EvidenceIndex(joined(merged((read, said))))

    return reading.start(ask)


def _in_short(unreadable: Mapping[str, str]) -> dict[str, str]:
    """For who did not ask for it, one reason. What most nodes do not serve is none."""
    told = {name: reason for name, reason in unreadable.items() if not reason.startswith("not served")}
    first = next((name for name in (NODE_PROXY.name, COUNTERS, *told) if name in told), None)
    if first is None:
        return {}
    return {NODE_PROXY.name if first == COUNTERS else first: told[first]}


def bring_back(reading: Reading, survey: Survey, evidence: EvidenceIndex, near_limit: float | None = None) -> None:
    """Pods that looked well as they passed by, and of which a node tells otherwise."""
    told = evidence.mentioned()
    if near_limit is not None:
        told |= near_by_counters(evidence.whole.counters, near_limit)
    asked = [reading.object(PODS, namespace, name) for namespace, name in survey.let_go(told)]
    survey.kept.extend(pod for answer in asked if (pod := answer.answer()) is not None)


def _near_limit(usage: UsageReading, look: UsageLook, selection: Selection) -> NearLimit | None:
    """Known before the pods pass by: what is well in every other way would be let go."""
    if look.near_limit is None:
        return None
    usage.ask_now(selection.scopes())
    return NearLimit(look.near_limit, usage.working_sets())


def namespaces_of_killed(survey: Survey, selection: Selection) -> Sequence[str | None]:
    killed = (pod for pod in survey.kept if Trait.KILLED in traits(pod, survey.small_below))
    found = sorted({pod.metadata.namespace for pod in killed})
    return (None,) if len(found) > FEW_NAMESPACES and selection.namespaces is None else found


def with_usages(cluster: ClusterContext, pods: Sequence[Pod], usage: UsageReading, look: UsageLook) -> ClusterContext:
    """With what is known of the pods' use: now, and where that gives a reason to ask, in the past."""
    nodes = cluster.node_evidence.whole
    now = replace(cluster, usages=usages(pods, usage.measured(nodes)), near_limit=look.near_limit)
    if look.prometheus is None:
        return now
    usage.ask_past(pod for pod in pods if PodContext(pod, now).traits & ABOUT_USE)
    return replace(now, usages=usages(pods, usage.measured(nodes)))


class Surroundings:
    """What is read beside the pods, asked for at once."""

    def __init__(
        self,
        reading: Reading,
        scopes: Iterable[str | None],
        event_selectors: Iterable[str],
        own: SavedMinimum | None,
    ) -> None:
        """`own`: the user's figures instead of what the cluster has saved."""
        self._scopes = scopes = tuple(scopes)
        self._reading = reading
        self.origin: Asked[Origin] = reading.start(reading.source.origin)
        self._events: list[Asked[list[Event]]] = [
            reading.objects(EVENTS, scope, field_selector=selector) for scope in scopes for selector in event_selectors
        ]
        self._limit_ranges: list[Asked[list[LimitRange]]] = [reading.objects(LIMIT_RANGES, scope) for scope in scopes]
        self._runtime_classes: Asked[list[RuntimeClass]] = reading.objects(RUNTIME_CLASSES)
        self._now: datetime | None = None
        self.saved: Asked[SavedMinimum] = (
            Asked(lambda: own, None) if own else reading.start(lambda: saved_minimum(reading.source))
        )

    def ask_about(self, pods: Sequence[Pod]) -> None:
        """For the events of these pods, and of no others: a cluster has many, and most tell nothing."""
        names = {(pod.metadata.namespace, pod.metadata.name) for pod in pods}
        namespaces = sorted({namespace for namespace, _ in names})

        def is_wanted(event: Event) -> bool:
            return (_event_namespace(event), event.involved_object.name) in names and _tells(event)

        questions: list[tuple[str | None, str]] = [(scope, PODS_OWN_EVENTS) for scope in self._scopes]
        if self._reading.source.parallel and len(pods) <= FEW_KEPT:
            questions = [(namespace, _events_of_pod(name)) for namespace, name in sorted(names)]
        elif self._reading.source.parallel and len(namespaces) <= FEW_NAMESPACES:
            questions = [(namespace, PODS_OWN_EVENTS) for namespace in namespaces]
        self._events += [
            self._reading.objects(EVENTS, namespace, field_selector=selector, wanted=is_wanted)
            for namespace, selector in questions
        ]

    def are_here(self) -> bool:
        """Whether `beside` need not wait."""
        asked: tuple[Asked[Any], ...] = (*self._limit_ranges, self._runtime_classes, self.saved)
        return all(entry.is_here() for entry in asked)

    def beside(self, nodes: Iterable[Node], minimum_bytes: int | None, events: Sequence[Event]) -> ClusterContext:
        """What is known without having seen any pod, with these events. "Now" is what it was when this was asked for
        the first time."""
        limit_ranges: dict[str, list[LimitRange]] = {}
        for limit_range in (entry for asked in self._limit_ranges for entry in asked.answer()):
            limit_ranges.setdefault(limit_range.metadata.namespace, []).append(limit_range)
        handlers = {entry.metadata.name: entry.handler for entry in self._runtime_classes.answer() if entry.handler}
        self._now = self._now or self._reading.source.now()
        return ClusterContext(
            now=self._now,
            nodes={node.metadata.name: node for node in nodes},
            pod_events=_by(_pod_key, (event for event in events if event.involved_object.kind == "Pod")),
            node_events=_by(_object_name, (event for event in events if event.involved_object.kind == "Node")),
            owner_events=_by(_event_namespace, (event for event in events if _is_about_owner(event))),
            limit_ranges=limit_ranges,
            runtime_handlers=handlers,
            unreadable=self._reading.unreadable,
            minimum_bytes=minimum_bytes,
            measured=self.saved.answer().measured,
        )

    def context(
        self,
        nodes: Iterable[Node],
        requested: Mapping[str, int] | None,
        minimum_bytes: int | None,
        evidence: EvidenceIndex,
        node_events: Iterable[Event] = (),
    ) -> ClusterContext:
        """All that surrounds the pods."""
        events = [*(event for asked in self._events for event in asked.answer()), *node_events]
        beside = self.beside(nodes, minimum_bytes, events)
        about_owners = [event for events in beside.owner_events.values() for event in events]
        created = (event for event in self._successes(about_owners) if _is_about_owner(event))
        owner_events = _by(_event_namespace, (*about_owners, *created))
        return replace(beside, owner_events=owner_events, requested=requested, node_evidence=evidence)

    def _successes(self, events: Iterable[Event]) -> list[Event]:
        """What a workload created after all: asked for only where it failed to, since every new pod leaves such one."""
        failed = {_event_namespace(event) for event in events if event.reason == "FailedCreate"}
        asked = [
            self._reading.objects(EVENTS, namespace, field_selector="reason=SuccessfulCreate")
            for namespace in sorted(failed)
        ]
        return [event for answer in asked for event in answer.answer()]


def _by(key: Callable[[Event], str], events: Iterable[Event]) -> dict[str, list[Event]]:
    """Events by a key, each event once: two lists may both hold it."""
    groups: dict[str, dict[str, Event]] = {}
    for number, event in enumerate(events):
        groups.setdefault(key(event), {})[event.metadata.uid or str(number)] = event
    return {name: list(members.values()) for name, members in groups.items()}


def _pod_key(event: Event) -> str:
    involved = event.involved_object
    return involved.uid or f"{involved.namespace}/{involved.name}"


def _object_name(event: Event) -> str:
    return event.involved_object.name


def _event_namespace(event: Event) -> str:
    return event.involved_object.namespace or event.metadata.namespace


def _is_about_owner(event: Event) -> bool:
    return event.involved_object.kind not in ("Pod", "Node")


class _BesidePods:
    """For early findings: what surrounds the first few pods, from their own events and nodes, asked for by name."""

    def __init__(self, reading: Reading, surroundings: Surroundings, minimum_bytes: int | None) -> None:
        self._reading = reading
        self._surroundings = surroundings
        self._minimum_bytes = minimum_bytes
        self._asked: dict[str, Asked[tuple[list[Event], list[Node]] | None]] = {}

    def ask_about(self, pod: Pod) -> None:
        if len(self._asked) < FIRST_PODS and identity(pod) not in self._asked:
            self._asked[identity(pod)] = self._reading.start(lambda: self._own(pod))

    def of(self, pod: Pod) -> ClusterContext | None:
        asked = self._asked.get(identity(pod))
        if asked is None or not asked.is_here() or not self._surroundings.are_here():
            return None
        own = asked.answer()
        if own is None:
            return None
        found = self._surroundings.beside(own[1], self._minimum_bytes, own[0])
        return replace(found, nodes=KnownSoFar(found.nodes), node_events=KnownSoFar({}), owner_events=KnownSoFar({}))

    def _own(self, pod: Pod) -> tuple[list[Event], list[Node]] | None:
        """Just what the lists of the end hold of it; None where it cannot be had like this."""
        source = self._reading.source
        try:
            pages = source.list(EVENTS, pod.metadata.namespace, field_selector=_events_of_pod(pod.metadata.name))
            events = [event for page in pages for event in page.items if _tells(event)]
            nodes = [source.get(NODES, None, pod.spec.node_name)] if pod.spec.node_name else []
        except (Unreadable, NotFound):
            return None
        return events, nodes


class _RoundTwo:
    """What can be asked only once the pods are known: their nodes, owners, and other pods to compare them with."""

    def __init__(self, reading: Reading, pods: Sequence[Pod], owners: OwnerLookup, small_below_bytes: int) -> None:
        found = [(pod, traits(pod, small_below_bytes)) for pod in pods]
        node_names = sorted({pod.spec.node_name for pod in pods if pod.spec.node_name})
        self._nodes = [reading.object(NODES, None, name) for name in node_names]
        unscheduled = any(Trait.UNSCHEDULED in shown for _, shown in found)
        self._all_nodes = reading.objects(NODES) if unscheduled else None
        for pod, shown in found:
            if shown:
                owners.prefetch(pod)
        crowded = {
            pod.spec.node_name
            for pod, shown in found
            if pod.spec.node_name and shown & (Trait.STARTING | Trait.SMALL_LIMIT)
        }
        self._neighbours = [
            reading.objects(PODS, field_selector=f"spec.nodeName={name}", noted_as=NEIGHBOURS)
            for name in sorted(crowded)
        ]
        killed = [pod for pod, shown in found if Trait.KILLED in shown]
        self._siblings = [
            reading.objects(PODS, namespace, label_selector=label, noted_as=SIBLINGS)
            for namespace, label in sorted({sibling for pod in killed for sibling in _sibling_labels(pod)})
        ]
        self._node_events = [
            reading.objects(
                EVENTS,
                "default",
                field_selector=f"involvedObject.kind=Node,involvedObject.name={name}",
                noted_as=NODE_EVENTS,
            )
            for name in sorted({pod.spec.node_name for pod in killed if pod.spec.node_name})
        ]

    def nodes(self) -> Iterator[Node]:
        if self._all_nodes is not None:
            yield from self._all_nodes.answer()
        for asked in self._nodes:
            node = asked.answer()
            if node is not None:
                yield node

    def node_events(self) -> Iterator[Event]:
        return (event for asked in self._node_events for event in asked.answer())

    def other_pods(self) -> Iterator[Pod]:
        return (pod for asked in (*self._neighbours, *self._siblings) for pod in asked.answer())


def _sibling_labels(pod: Pod) -> Iterator[tuple[str, str]]:
    for label in REVISION_LABELS:
        value = pod.metadata.labels.get(label)
        if value:
            yield pod.metadata.namespace, f"{label}={value}"


def _nodes_in_sight(cluster: ClusterContext, survey: Survey, *, whole: bool) -> list[Node]:
    return [node for name, node in sorted(cluster.nodes.items()) if whole or name in survey.nodes]


def _namespaces_in_sight(cluster: ClusterContext, survey: Survey, selection: Selection) -> list[str]:
    """Those that were asked for by name; else all, or where pods are selected, those of the selected pods."""
    if selection.namespaces is None and not selection.is_whole_cluster():
        return sorted(survey.namespaces)
    return sorted(survey.namespaces | set(cluster.limit_ranges) | set(cluster.owner_events))


def _not_checked(
    cluster: ClusterContext, survey: Survey, saved: SavedMinimum, findings: Iterable[Finding]
) -> Iterator[NotChecked]:
    concerned: set[str] = set()
    for rule in rules():
        if rule.traits == Trait.NEAR_LIMIT and cluster.near_limit is None:
            # Nobody asked for it.
            continue
        for name in missing(rule.needs, cluster):
            concerned.add(name)
            yield NotChecked(rule=rule.name, resource=name, reason=cluster.unreadable[name])
        for name in missing(rule.uses, cluster):
            concerned.add(name)
            yield NotChecked(rule=rule.name, resource=name, reason=f"{cluster.unreadable[name]}{LOOKED_WITHOUT}")
    for name in sorted(set(cluster.unreadable) - concerned):
        yield NotChecked(resource=name, reason=cluster.unreadable[name])
    yield from _saved_not_checked(saved, findings)
    if survey.windows_pods:
        reason = f"{survey.windows_pods} Windows pods: they have no cgroups, so no sandbox minimum"
        yield NotChecked(resource=PODS.name, reason=reason)


def _saved_not_checked(saved: SavedMinimum, findings: Iterable[Finding]) -> Iterator[NotChecked]:
    """What is saved is missed only where a finding is less than certain without it: most clusters have nothing saved,
    and most users may not look for it."""
    if saved.fault:
        yield NotChecked(resource=CONFIG_MAPS.name, reason=f"failed: {saved.fault}")
    if saved.unreadable:
        unsure = {finding.rule for finding in findings if finding.confidence is not Confidence.CONFIRMED}
        for rule in rules():
            if rule.name in unsure and CONFIG_MAPS in rule.uses:
                reason = f"{saved.unreadable}{LOOKED_WITHOUT}"
                yield NotChecked(rule=rule.name, resource=CONFIG_MAPS.name, reason=reason)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    found = Counter(finding.severity for finding in findings)
    return {str(severity): found[severity] for severity in SEVERITIES}


def report_of(
    surroundings: Surroundings,
    cluster: ClusterContext,
    survey: Survey,
    summary: Summary,
    findings: tuple[Finding, ...],
    problems: Iterable[str],
) -> Report:
    """`problems`: lines about files that could not be read."""
    origin = surroundings.origin.answer()
    return Report(
        cluster=Cluster(
            server=origin.server, version=origin.version, context=origin.context, recording=origin.recording
        ),
        taken_at=cluster.now,
        summary=summary,
        findings=findings,
        not_checked=(
            *_not_checked(cluster, survey, surroundings.saved.answer(), findings),
            *(NotChecked(resource=NODE_LOG, reason=problem) for problem in problems),
        ),
    )
