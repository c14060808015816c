"""The smallest pod-level memory limit that a pod's sandbox starts with, as a span, and how that is known.

The span comes from measured rows (data/sandbox_minimum.json). What is known of the runtime picks the rows; what other
pods of the same cluster start with, or fail on, narrows it. The user's own figure replaces it all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import msgspec

from kubectl_memdoctor import quantity
from kubectl_memdoctor.evidence.runtime_errors import RuntimeFailure
from kubectl_memdoctor.finding import Evidence
from kubectl_memdoctor.objects import Node
from kubectl_memdoctor.runtime_kind import RuntimeKind, is_version, runtime_kind, spans_meet, version_key

ONE_PAGE = 4096
"""With less than a page of memory nothing starts, whatever the runtime."""

HEADROOM = 2
"""Rows are tries on few machines: memory is ruled out only from so many times their largest figure."""

BYTES_PER_CPU = 512 << 10
"""What old kernels charge a cgroup for each CPU beyond what was measured, by the rule of thumb of
https://docs.okd.io/4.10/nodes/containers/nodes-containers-using.html"""

ASSUMED_CPUS = 64
"""For a node that does not say: a large one."""

MOST_CPUS = 8192
"""NR_CPUS at its largest: https://github.com/torvalds/linux/blob/v6.1/arch/x86/Kconfig"""


@dataclass(frozen=True, slots=True)
class ClusterBounds:
    """What other pods on nodes of the same kind prove: pod-level limits in bytes, pods as "namespace/name"."""

    largest_failed_bytes: int | None = None
    largest_failed_pod: str | None = None
    smallest_ready_bytes: int | None = None
    smallest_ready_pod: str | None = None


@dataclass(frozen=True, slots=True)
class SandboxMinimum:
    """Bytes, 0 < low <= high <= ample: the true minimum of the node lies between `low_bytes` and `high_bytes`."""

    low_bytes: int
    """Nothing known starts below this."""
    high_bytes: int
    """Everything known for this node starts from here on."""
    ample_bytes: int
    """From here on memory is ruled out, even for nodes with more CPUs than those that were measured."""
    reason: str
    """One sentence without its full stop."""
    evidence: tuple[Evidence, ...] = ()


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: a typing error in the data is an error, not a row that never fits."""


class Row(_Entry, frozen=True, kw_only=True):
    """One measurement and the versions that it stands for: `since` <= version < `before`, "" for no end."""

    runtime: str
    version: str
    """The version that was measured."""
    since: str
    before: str
    cgroups: tuple[str, ...]
    failed_bytes: int
    """The largest limit up to which no try started."""
    ran_bytes: int
    """The smallest limit from which on every try started. Between the two it is chance."""
    where: str
    """Kernel, CPUs and number of tries; or who reports it."""
    how: str
    """How it was measured: builds, programs, and what a try is."""


class Refusal(_Entry, frozen=True, kw_only=True):
    """A minimum that an engine enforces itself; `fixed` when no configuration lowers it. No runtime: holds for all."""

    engine: str
    since: str
    before: str
    minimum_bytes: int
    fixed: bool
    source: str
    runtime: str | None = None


class Unmeasured(_Entry, frozen=True, kw_only=True):
    """A runtime without measurements: a cautious span that begins with one page."""

    runtime: str
    title: str
    high_bytes: int
    ample_bytes: int
    source: str


class Table(_Entry, frozen=True, kw_only=True):
    rows: tuple[Row, ...]
    refusals: tuple[Refusal, ...]
    unmeasured: tuple[Unmeasured, ...]


@cache
def table() -> Table:
    """Read once, when it is first needed."""
    return msgspec.json.decode(files(f"{__package__}.data").joinpath("sandbox_minimum.json").read_bytes(), type=Table)


@cache
def largest_known_minimum_bytes() -> int:
    """The largest limit (bytes) that a runtime is known to need: measured, or enforced by an engine."""
    known = table()
    return max(*(row.ran_bytes for row in known.rows), *(refusal.minimum_bytes for refusal in known.refusals))


def sandbox_minimum(
    node: Node | None,
    *,
    handler: str | None,
    failures: tuple[RuntimeFailure, ...],
    bounds: ClusterBounds | None,
    override_bytes: int | None,
) -> SandboxMinimum:
    """What a sandbox needs on `node` (None: not known), with the RuntimeClass's `handler` and the user's own figure."""
    if override_bytes is not None and override_bytes > 0:
        reason = f"A sandbox needs {quantity.format_bytes(override_bytes)} by your own figure (--minimum)"
        return SandboxMinimum(override_bytes, override_bytes, override_bytes, reason)
    name = _one_line(node.metadata.name) if node else None
    if node is not None and node.status.node_info.operating_system == "windows":
        reason = f"Node {name} runs Windows: it has no cgroups, so a sandbox needs no minimum"
        return SandboxMinimum(1, 1, 1, reason)
    kind = runtime_kind(node, handler, failures)
    span = _bounded(_enforced(_known(kind), kind, failures), bounds)
    return SandboxMinimum(
        low_bytes=span.low.bytes,
        high_bytes=span.high.bytes,
        ample_bytes=max(span.ample_bytes + BYTES_PER_CPU * (_cpus(node) or ASSUMED_CPUS), span.high.bytes),
        reason=_reason(name, kind, span),
        evidence=tuple(dict.fromkeys(_evidence(node, kind, span))),
    )


@dataclass(frozen=True, slots=True)
class _Edge:
    """One end of the span. `known_from` stands in brackets behind the figure."""

    bytes: int
    known_from: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class _Span:
    low: _Edge
    high: _Edge
    ample_bytes: int
    remark: str = ""
    """The end of the sentence where the figures are not measured for just this runtime."""
    unmeasured: str = ""
    """The runtime's name when there are no figures at all."""


def _known(kind: RuntimeKind) -> _Span:
    """The span over all OCI runtimes that it may be."""
    spans = [_known_of(runtime, kind) for runtime in kind.runtimes]
    low, high = min(spans, key=lambda span: span.low.bytes), max(spans, key=lambda span: span.high.bytes)
    return replace(high, low=low.low, ample_bytes=max(span.ample_bytes for span in spans))


def _known_of(runtime: str, kind: RuntimeKind) -> _Span:
    unmeasured = next((entry for entry in table().unmeasured if entry.runtime == runtime), None)
    if unmeasured is not None:
        return _cautious(unmeasured, kind)
    rows = [row for row in table().rows if row.runtime == runtime]
    fitting = [row for row in rows if _is_of_version(row, kind) and _is_of_cgroup(row, kind)]
    nearest = fitting or _nearest(rows, kind)
    lowest = min(nearest, key=lambda row: row.failed_bytes)
    highest = max(nearest, key=lambda row: (row.ran_bytes, version_key(row.since)))
    return _Span(
        low=_Edge(lowest.failed_bytes, runtime, _measurement(lowest)),
        high=_Edge(highest.ran_bytes, runtime, _measurement(highest)),
        ample_bytes=highest.ran_bytes * HEADROOM,
        remark="" if fitting else f"; {_described(runtime, kind)} was not measured, only what is nearest to it",
    )


def _is_of_version(row: Row, kind: RuntimeKind) -> bool:
    return spans_meet(row.since, row.before, kind.since, kind.before)


def _is_of_cgroup(row: Row, kind: RuntimeKind) -> bool:
    return not kind.cgroup or kind.cgroup in row.cgroups


def _nearest(rows: list[Row], kind: RuntimeKind) -> list[Row]:
    """The same versions on the other cgroup version, and the versions before and after on the same one."""
    same_cgroup = [row for row in rows if _is_of_cgroup(row, kind)]
    earlier = [row for row in same_cgroup if row.before and not _is_of_version(row, kind) and _ends_before(row, kind)]
    later = [row for row in same_cgroup if row.since and not _is_of_version(row, kind) and not _ends_before(row, kind)]
    return [
        *(row for row in rows if _is_of_version(row, kind)),
        *sorted(earlier, key=lambda row: version_key(row.before))[-1:],
        *sorted(later, key=lambda row: version_key(row.since))[:1],
    ]


def _ends_before(row: Row, kind: RuntimeKind) -> bool:
    return bool(row.before and kind.since) and version_key(row.before) <= version_key(kind.since)


def _described(runtime: str, kind: RuntimeKind) -> str:
    since = f" {kind.since} or later" if kind.since else ""
    before = f" before {kind.before}" if kind.before else ""
    return f"{runtime}{since}{before}{f' on cgroup {kind.cgroup}' if kind.cgroup else ''}"


def _measurement(row: Row) -> Evidence:
    failed, ran = quantity.format_bytes(row.failed_bytes), quantity.format_bytes(row.ran_bytes)
    value = f"fails with {failed}, runs with {ran} (cgroup {' and '.join(row.cgroups)}, {row.where})"
    return Evidence(source="lab", object=f"{row.runtime} {row.version}", value=value)


def _cautious(entry: Unmeasured, kind: RuntimeKind) -> _Span:
    title = f"handler {_one_line(kind.handler)}" if kind.handler and entry.runtime == "unknown" else entry.title
    evidence = Evidence(source="lab", object=title, value=f"not measured; {entry.source}")
    return _Span(
        low=_Edge(ONE_PAGE, "one page of memory", evidence),
        high=_Edge(entry.high_bytes, "an estimate", evidence),
        ample_bytes=entry.ample_bytes,
        unmeasured=title,
    )


def _enforced(span: _Span, kind: RuntimeKind, failures: tuple[RuntimeFailure, ...]) -> _Span:
    """Raised by what the engine refuses: as an error states it, else as its version is known to."""
    stated = [f for f in failures if f.stated_minimum_bytes and f.stated_scope == "sandbox"]
    if stated:
        largest = max(stated, key=lambda failure: failure.stated_minimum_bytes or 0)
        evidence = Evidence(source="runtime", object=largest.engine, value=_one_line(largest.innermost))
        return _raised(span, _Edge(largest.stated_minimum_bytes or 0, "its own words", evidence), fixed=True)
    for refusal in table().refusals:
        if refusal.engine == kind.engine and (refusal.runtime or kind.runtimes[0]) in kind.runtimes:
            span = _refused(span, refusal, kind.engine_version)
    return span


def _refused(span: _Span, refusal: Refusal, version: str) -> _Span:
    known = is_version(version)
    if known and not _is_in(version, refusal):
        return span
    figure = quantity.format_bytes(refusal.minimum_bytes)
    lowered = "" if refusal.fixed else " unless configured otherwise"
    value = f"refuses limits below {figure}{lowered}; {refusal.source}"
    evidence = Evidence(source="lab", object=f"{refusal.engine} {refusal.since} and later", value=value)
    edge = _Edge(refusal.minimum_bytes, f"the minimum of {refusal.engine} itself", evidence)
    return _raised(span, edge, fixed=refusal.fixed and known)


def _is_in(version: str, refusal: Refusal) -> bool:
    key = version_key(version)
    return version_key(refusal.since) <= key and (not refusal.before or key < version_key(refusal.before))


def _raised(span: _Span, edge: _Edge, *, fixed: bool) -> _Span:
    return replace(
        span,
        low=edge if fixed and edge.bytes > span.low.bytes else span.low,
        high=edge if edge.bytes > span.high.bytes else span.high,
        ample_bytes=max(span.ample_bytes, edge.bytes * HEADROOM),
    )


def _bounded(span: _Span, bounds: ClusterBounds | None) -> _Span:
    """Narrowed by what this cluster shows. Near the minimum a sandbox starts at times, so both may contradict: then
    neither counts. A failure above the span is no bound either: something else may have used up that pod's memory.
    Nor is a pod that is ready with less than a page: CRI-O needs no process for a sandbox.
    https://github.com/cri-o/cri-o/pull/5113 (drop_infra_ctr)"""
    if bounds is None:
        return span
    ready = _seen(bounds.smallest_ready_bytes, bounds.smallest_ready_pod, "runs")
    failed = _seen(bounds.largest_failed_bytes, bounds.largest_failed_pod, "fails")
    agree = ready is None or failed is None or failed.bytes < ready.bytes
    low, high = span.low, span.high
    if agree and ready is not None and ready.bytes < high.bytes:
        high = ready
    if agree and failed is not None and low.bytes < failed.bytes < high.bytes:
        low = failed
    if ready is not None and ready.bytes < low.bytes:
        low = ready
    return replace(span, low=low, high=high)


def _seen(limit: int | None, pod: str | None, verb: str) -> _Edge | None:
    if limit is None or limit < ONE_PAGE:
        return None
    name = _one_line(pod or "") or "another"
    value = f"pod {name} {verb} with {quantity.format_bytes(limit)} on the same kind of node"
    return _Edge(limit, f"pod {name} {verb} with it", Evidence(source="pod", object=f"pod/{name}", value=value))


def _cpus(node: Node | None) -> int | None:
    text = node.status.capacity.get("cpu", "") if node else ""
    try:
        count = quantity.value(text)
    except quantity.QuantityError:
        return None
    return min(count, MOST_CPUS) if count > 0 else None


def _reason(node: str | None, kind: RuntimeKind, span: _Span) -> str:
    engine = _one_line(f"{kind.engine} {kind.engine_version}")
    runtime = span.unmeasured or kind.runtime
    name = f"{engine} with {runtime}" if engine and runtime else engine or runtime or "The runtime"
    subject = f"{name} on {f'node {node}' if node else 'a node that is not known'}"
    low, high = quantity.format_bytes(span.low.bytes), quantity.format_bytes(span.high.bytes)
    if span.unmeasured:
        return f"{subject} was not measured: a sandbox may need as much as {high} ({span.high.known_from})"
    if span.low.bytes == span.high.bytes:
        needs = f"{high} ({span.high.known_from})"
    elif span.low.known_from == span.high.known_from:
        needs = f"between {low} and {high}"
    else:
        needs = f"between {low} ({span.low.known_from}) and {high} ({span.high.known_from})"
    return f"{subject} needs {needs} to start a sandbox{span.remark}"


def _evidence(node: Node | None, kind: RuntimeKind, span: _Span) -> Iterator[Evidence]:
    if node is not None and kind.engine_version:
        yield _of_node(node, "status.nodeInfo.containerRuntimeVersion", node.status.node_info.container_runtime_version)
    yield span.low.evidence
    yield span.high.evidence
    cpus = _cpus(node)
    if node is not None and cpus is not None and cpus * BYTES_PER_CPU > largest_known_minimum_bytes():
        more = quantity.format_bytes(cpus * BYTES_PER_CPU)
        yield _of_node(node, "status.capacity.cpu", f"{cpus} CPUs, for which an old kernel may need {more} more")


def _of_node(node: Node, field: str, value: str) -> Evidence:
    return Evidence(source="node", object=f"node/{node.metadata.name}", field=field, value=value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
