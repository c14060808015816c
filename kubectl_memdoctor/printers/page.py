"""`-o page`: what was found in full: the cause, what proves it, what was ruled out, what was not checked, the fix.

A pod that was asked for and has no finding gets a short page of facts. Pods of one workload with the same finding
share a page.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from kubectl_memdoctor.duration import human_duration
from kubectl_memdoctor.finding import (
    LOOKED_WITHOUT,
    SEVERITIES,
    AnyReport,
    Diagnosis,
    Evidence,
    Finding,
    NodeFacts,
    NotChecked,
    PodFacts,
    Remedy,
    Termination,
    TimeLine,
    clock,
)
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.cleaned import cleaned
from kubectl_memdoctor.printers.ink import fold, severity_word, strong, table
from kubectl_memdoctor.printers.notes import log_lines, node_lines
from kubectl_memdoctor.printers.table import workload_of
from kubectl_memdoctor.printers.wording import ago, heading, shortened

COMBINED = "(combined from similar events): "
"""What client-go puts before a repeated event's message; the line has its count already.
https://github.com/kubernetes/client-go/blob/v0.34.0/tools/record/events_cache.go"""
LONGEST_MOMENT = 120
"""Letters of one entry of the time line: the whole text stands under the evidence."""
MOST_MOMENTS = 12
MOST_EVIDENCE = 12
MOST_NAMES = 6
MOST_RULES = 2
FEW_PODS = 3
"""Up to so many pods without findings get a page each, more a table."""


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    diagnosis = cleaned(diagnosis)
    report = diagnosis.report
    now = clock(report)
    not_checked = list(not_checked_lines(report.not_checked, layout))
    blocks = [list(_node(node, report, layout)) for node in diagnosis.nodes]
    beside = list(log_lines(diagnosis.logs, layout)) if diagnosis.logs else []
    time_lines = {(pod.namespace, pod.name): pod.time_line for pod in diagnosis.pods if pod.time_line is not None}
    for page in _pages(report.findings):
        involved = page[0].involved_object
        line = time_lines.pop((involved.namespace or "", involved.name), None)
        history = list(_time_line(line, layout)) if line is not None else []
        blocks.append(list(_page(page, now(page[0].context), [*history, *beside, *not_checked], layout)))
        beside, not_checked = [], []
    if diagnosis.logs and beside:
        blocks.append([*fold(diagnosis.logs.verdict, layout.width), *beside])
    blocks += _healthy(_without_findings(diagnosis), report.taken_at, layout)
    if not_checked and blocks:
        blocks[0] += not_checked
    for number, block in enumerate(blocks):
        if number:
            yield ""
        yield from block


def _pages(findings: Sequence[Finding]) -> list[tuple[Finding, ...]]:
    """Findings of one rule on one container of one workload, together: they differ in the pod, and in times."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        involved = finding.involved_object
        key = (
            finding.context,
            involved.namespace,
            workload_of(finding),
            involved.field_path,
            finding.rule,
            finding.severity,
        )
        limit = finding.memory.limit_quantity if finding.memory else None
        groups.setdefault((*key, finding.confidence, limit), []).append(finding)
    return [tuple(members) for members in groups.values()]


def _page(findings: tuple[Finding, ...], now: datetime, beside: list[str], layout: Layout) -> Iterator[str]:
    """`beside`: lines that stand once, on the first page that they are about."""
    finding = findings[0]
    yield from headline(finding, layout, on=f"{finding.context}: " if finding.context else "")
    for sentence in (*finding.details, *_others(findings)):
        yield from fold(sentence, layout.width, indent="  ")
    yield from _evidence(finding, now, layout)
    if finding.ruled_out:
        yield heading("RULED OUT", layout)
        for entry in finding.ruled_out:
            yield from fold(f"{entry.cause}: {entry.because}", layout.width, indent="    ", hanging="  ")
    yield from beside
    if finding.remedy is not None:
        yield from fix_lines(_for_all(finding.remedy, findings), layout)


def headline(finding: Finding, layout: Layout, *, on: str = "") -> Iterator[str]:
    """`critical: shop/web-1 cannot start: ... (confirmed, RULE)`; `on`: where that is, if it is to be said first."""
    # A message is a predicate ("cannot start: ..."), or a sentence of its own ("its container app was killed").
    colon = ":" if finding.message.startswith("its ") else ""
    severity = severity_word(finding.severity, color=layout.color)
    subject = strong(_subject(finding), color=layout.color)
    text = f"{severity}: {on}{subject}{colon} {finding.message} ({finding.confidence}, {finding.rule})"
    yield from fold(text, layout.width, hanging="  ")


def _subject(finding: Finding) -> str:
    """`default/web-1` for pods, else with the kind: `node/worker-1`, `shop/replicaset/web-5d9c of deployment/web`, and
    `pod/UID` for a pod of which only that is known."""
    involved = finding.involved_object
    name = involved.name
    if involved.kind != "Pod" or not involved.namespace:
        own, owner = f"{involved.kind.lower()}/{involved.name}", workload_of(finding)
        name = own if own == owner else f"{own} of {owner}"
    return f"{involved.namespace}/{name}" if involved.namespace else name


def _node(node: NodeFacts, report: AnyReport, layout: Layout) -> Iterator[str]:
    yield from node_headline(node, findings_on(node, report), layout)
    yield from node_lines(node, report.taken_at, layout)


def findings_on(node: NodeFacts, report: AnyReport) -> list[Finding]:
    """Those about the node itself, and about pods on it."""
    return [
        finding
        for finding in report.findings
        if finding.node == node.name
        or (finding.involved_object.kind == "Node" and finding.involved_object.name == node.name)
    ]


def node_headline(node: NodeFacts, findings: Sequence[Finding], layout: Layout) -> Iterator[str]:
    """The worst that is the matter there, and how much more."""
    name = strong(f"node/{node.name}", color=layout.color)
    if not findings:
        yield f"{name}: nothing about memory found"
        return
    of_pod = findings[0].involved_object.kind != "Node"
    yield from headline(findings[0], layout, on=f"{name}: " if of_pod else "")
    if len(findings) > 1:
        others = Counter(finding.severity for finding in findings[1:])
        counts = ", ".join(f"{others[severity]} {severity}" for severity in SEVERITIES if others[severity])
        yield f"  and {len(findings) - 1} more: {counts}"


def _others(findings: tuple[Finding, ...]) -> Iterator[str]:
    names = [finding.involved_object.name for finding in findings[1:]]
    if names:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        pods = "1 other pod" if len(names) == 1 else f"{len(names)} other pods"
        yield f"The same was found on {pods} of {workload_of(findings[0])}: {', '.join(names[:MOST_NAMES])}{more}."


def _evidence(finding: Finding, now: datetime, layout: Layout) -> Iterator[str]:
    if not finding.evidence:
        return
    yield heading("EVIDENCE", layout)
    for entry in finding.evidence[:MOST_EVIDENCE]:
        yield from fold(_evidence_line(entry, now), layout.width, indent="    ", hanging="  ")
    left = len(finding.evidence) - MOST_EVIDENCE
    if left > 0:
        yield f"    and {left} more (-o json)"


def _evidence_line(entry: Evidence, now: datetime) -> str:
    if entry.source == "event":
        where = f"event {entry.field}" + (f" on {entry.object}" if entry.object else "")
    else:
        seen_on = entry.object if entry.source != "pod" else None
        where = " ".join(part for part in (seen_on, entry.field) if part) or entry.source
    times = f" x{entry.count}" if entry.count else ""
    return f"{where}{times}{_when(entry, now)}: {shortened(entry.value.removeprefix(COMBINED))}"


def _when(entry: Evidence, now: datetime) -> str:
    if entry.time is None:
        return ""
    first = entry.first_time
    since = f" (first {ago(now - first)})" if first is not None and first != entry.time else ""
    return f", {ago(now - entry.time)}{since}"


def _time_line(line: TimeLine, layout: Layout) -> Iterator[str]:
    ahead = "ahead of" if line.skew_seconds > 0 else "behind"
    clock = f", by the node's clock, {abs(line.skew_seconds)}s {ahead} the API server's" if line.skew_seconds else ""
    yield f"{heading('TIME LINE', layout)}{clock}"
    left = len(line.entries) - MOST_MOMENTS
    if left > 0:
        yield f"    {left} earlier entries left out"
    shown = line.entries[max(left, 0) :]
    days = len({entry.time.date() for entry in shown}) > 1
    for entry in shown:
        moment = f"{entry.time.astimezone(UTC):{'%Y-%m-%d ' if days else ''}%H:%M:%SZ}"
        until = (
            f" (x{entry.count} until {entry.until.astimezone(UTC):%H:%M:%SZ})"
            if entry.count > 1 and entry.until
            else ""
        )
        text = f"{moment}  {entry.source:8} {shortened(entry.text.removeprefix(COMBINED), LONGEST_MOMENT)}{until}"
        yield from fold(text, layout.width, indent="    ", hanging=" " * 4)


def not_checked_lines(entries: Iterable[NotChecked], layout: Layout) -> Iterator[str]:
    sentences = list(not_checked_sentences(entries))
    if sentences:
        yield heading("NOT CHECKED", layout)
    for sentence in sentences:
        yield from fold(sentence, layout.width, indent="    ", hanging="  ")


def not_checked_sentences(entries: Iterable[NotChecked]) -> Iterator[str]:
    """One for each cluster, resource and reason: what could not be read, why, and which rules miss it."""
    groups: dict[tuple[str, str, str], tuple[list[str], list[str]]] = {}
    for entry in entries:
        place = f"{entry.context}: " if entry.context else ""
        key = (place, entry.resource, entry.reason.removesuffix(LOOKED_WITHOUT))
        blind, unsure = groups.setdefault(key, ([], []))
        if entry.rule:
            (unsure if entry.reason.endswith(LOOKED_WITHOUT) else blind).append(entry.rule)
    for (place, resource, reason), (blind, unsure) in groups.items():
        parts = [f"{_rules(blind)} could not look"] if blind else []
        parts += [f"{_rules(unsure)} looked without"] if unsure else []
        yield f"{place}{resource}: {_short_reason(reason)}" + (f": {'; '.join(parts)}" if parts else "")


def _short_reason(reason: str) -> str:
    """`forbidden: events is forbidden: User ...` without its first half, which says the same."""
    return re.sub(r"^forbidden: .{1,300}? is forbidden: ", "forbidden: ", reason)


def _rules(names: list[str]) -> str:
    return f"{len(names)} rules" if len(names) > MOST_RULES else " and ".join(names)


def _for_all(remedy: Remedy, findings: tuple[Finding, ...]) -> Remedy:
    """Where the pod is deleted to be made anew, so are the others that the page is about."""
    first, *others = (shlex.quote(finding.involved_object.name) for finding in findings)
    if remedy.command is None or not remedy.command.endswith(f" delete pod {first}"):
        return remedy
    return msgspec.structs.replace(remedy, command=" ".join([remedy.command, *others]))


def fix_lines(remedy: Remedy, layout: Layout) -> Iterator[str]:
    """The command is never folded: it is there to be pasted."""
    yield from fold(f"{strong('FIX', color=layout.color)}  {remedy.text}", layout.width, indent="  ", hanging="  ")
    if remedy.command:
        yield f"    {remedy.command}"
    if remedy.rollback:
        yield "  or undo that roll-out as a whole:"
        yield f"    {remedy.rollback}"


def _without_findings(diagnosis: Diagnosis) -> list[PodFacts]:
    found = {
        (finding.involved_object.namespace, finding.involved_object.name)
        for finding in diagnosis.report.findings
        if finding.involved_object.kind == "Pod"
    }
    return [pod for pod in diagnosis.pods if (pod.namespace, pod.name) not in found]


def _healthy(pods: list[PodFacts], now: datetime, layout: Layout) -> list[list[str]]:
    if len(pods) > FEW_PODS:
        return [list(_many(pods, layout))]
    return [list(_facts(pod, now, layout)) for pod in pods]


def _many(pods: list[PodFacts], layout: Layout) -> Iterator[str]:
    yield f"Nothing about memory in {len(pods)} pods:"
    rows = [[pod.namespace, pod.name, pod.ready, pod.status, pod.qos_class, _short_limit(pod.limit)] for pod in pods]
    headers = ["NAMESPACE", "NAME", "READY", "STATUS", "QOS", "MEMORY LIMIT"]
    yield from (f"  {line}" for line in table([headers, *rows] if layout.headers else rows))


def _short_limit(line: str) -> str:
    """`256Mi (268435456 bytes), from ...` -> `256Mi`, `no pod-level limit: ...` -> `no pod-level limit`."""
    return re.split(r" \(|: ", line)[0]


def _facts(pod: PodFacts, now: datetime, layout: Layout) -> Iterator[str]:
    name = strong(f"{pod.namespace}/{pod.name}", color=layout.color)
    where = f" on {pod.node}" if pod.node else ", on no node yet"
    said = "nothing about memory found" if pod.warning is None else "not well, but nothing about memory found"
    yield from fold(f"{name}: {said} ({pod.status}, {pod.ready} ready{where})", layout.width, hanging="  ")
    facts = [("memory limit", pod.limit), ("sandbox", pod.minimum), ("QoS class", pod.qos_class or "not set")]
    facts += [("last end", _termination(entry, now)) for entry in pod.terminations]
    if not pod.terminations:
        facts.append(("last end", "no container has ended"))
    if pod.warning is not None:
        facts.append(("warning", _evidence_line(pod.warning, now)))
    for what, text in facts:
        yield from fold(f"{what:12}  {text}", layout.width, indent="  ", hanging=" " * 14)


def _termination(entry: Termination, now: datetime) -> str:
    lasted = (
        f" after {human_duration(timedelta(seconds=entry.lasted_seconds))}" if entry.lasted_seconds is not None else ""
    )
    when = f", {ago(now - entry.finished_at)}" if entry.finished_at is not None else ""
    return f"{entry.container}: {entry.reason}, exit code {entry.exit_code}{lasted}{when}"
