"""The smallest pod-level memory limit that a pod's sandbox starts with, as a span, and how that is known.

The span comes from measured rows (data/sandbox_minimum.json). What is known of the node and its runtime picks the rows;
what was measured on the cluster's own nodes takes their place; what other pods of the same cluster start with, or fail
on, narrows it. The user's own figure replaces it all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor import quantity
from kubectl_memdoctor.evidence.runtime_errors import RuntimeFailure
from kubectl_memdoctor.finding import Evidence
from kubectl_memdoctor.measured_minimum import Measurement, Pool, cpus, pool_of
from kubectl_memdoctor.objects import BUILDING, Node, NodeSystemInfo
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

ON_YOUR_NODES = "measured on your nodes"
FROM_SOURCE = "from source, not measured"


class ClusterBounds(Struct, frozen=True):
    """What other pods on nodes of the same kind prove: pod-level limits in bytes, pods as "namespace/name"."""

    largest_failed_bytes: int | None = None
    largest_failed_pod: str | None = None
    smallest_ready_bytes: int | None = None
    smallest_ready_pod: str | None = None


class SandboxMinimum(Struct, frozen=True):
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
    cgroup: Literal["v1", "v2"]
    cpus: int | None = None
    """Of the machine that it was measured on; None where nobody noted it."""
    huge_pages: Literal["", "always", "madvise", "never"] = ""
    """Transparent ones, as the kernel was set; empty where nobody noted it. No node tells this of itself."""
    failed_bytes: int
    """The largest limit up to which no try started."""
    ran_bytes: int
    """The smallest limit from which on every try started. Between the two it is chance."""
    tries: int
    """How often each limit was tried, or more; 0 for what others report."""
    kernel: str
    taken: str
    """The day, as 2026-11-24; empty for what others report."""
    source: str = ""
    """Who reports it, where it was not measured for this table."""
    how: str
    """How it was measured: builds, programs, and what a try is."""

    @property
    def where(self) -> str:
        """Kernel, CPUs and number of tries; or who reports it."""
        if self.source:
            return f"as reported in {self.source}"
        pages = [f"huge pages {self.huge_pages}"] if self.huge_pages else []
        counted = (_count(number, noun) for number, noun in ((self.cpus, "CPU"), (self.tries, "try")) if number)
        return ", ".join((f"kernel {self.kernel}", *pages, *counted))


class Refusal(_Entry, frozen=True, kw_only=True):
    """A minimum that an engine enforces itself; `fixed` when no configuration lowers it. No runtime: holds for all."""

    engine: str
    since: str
    before: str
    minimum_bytes: int
    fixed: bool
    reference: str
    runtime: str | None = None


class Unmeasured(_Entry, frozen=True, kw_only=True):
    """A runtime without measurements: a cautious span that begins with one page. No `reference`: a guess."""

    runtime: str
    title: str
    high_bytes: int
    ample_bytes: int
    note: str
    reference: str = ""


class Engine(_Entry, frozen=True, kw_only=True):
    """An engine under which nothing was measured: what the runtimes need elsewhere is taken over."""

    engine: str
    note: str
    reference: str


class PageSize(_Entry, frozen=True, kw_only=True):
    """Kernels with larger pages than those that were measured with. `kernel`: a word in the kernel's version; empty
    fields fit all. Not `certain`: others of this kind have pages of 4096 bytes."""

    architecture: str
    kernel: str
    page_bytes: int
    certain: bool
    note: str
    reference: str


class Table(_Entry, frozen=True, kw_only=True):
    rows: tuple[Row, ...]
    refusals: tuple[Refusal, ...]
    unmeasured: tuple[Unmeasured, ...]
    engines: tuple[Engine, ...]
    page_sizes: tuple[PageSize, ...]


@cache
def table() -> Table:
    """Read once, when it is first needed."""
    text = files(f"{__package__}.data").joinpath("sandbox_minimum.json").read_bytes()
    with BUILDING:
        return msgspec.json.decode(text, type=Table)


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
    measured: Sequence[Measurement],
    override_bytes: int | None,
    cgroup_version: int | None = None,
) -> SandboxMinimum:
    """What a sandbox needs on `node` (None: not known), with the RuntimeClass's `handler`, what was `measured` on the
    cluster's nodes, the user's own figure, and the node's cgroup version as its kubelet says it."""
    if override_bytes is not None and override_bytes > 0:
        reason = f"A sandbox needs {quantity.format_bytes(override_bytes)} by your own figure (--minimum)"
        return SandboxMinimum(override_bytes, override_bytes, override_bytes, reason)
    name = _one_line(node.metadata.name) if node else None
    if node is not None and node.status.node_info.operating_system == "windows":
        reason = f"Node {name} runs Windows: it has no cgroups, so a sandbox needs no minimum"
        return SandboxMinimum(1, 1, 1, reason)
    kind = runtime_kind(node, handler, failures, cgroup_version)
    count = cpus(node) if node else None
    stated = _stated(failures)
    known = _known(kind, count)
    span = _paged(known if stated else _refused(known, kind), _page_size(node))
    span = replace(span, ample_bytes=span.ample_bytes + BYTES_PER_CPU * (count or ASSUMED_CPUS))
    span = _own(span, pool_of(node, handler) if node is not None else None, measured)
    span = _bounded(_raised(span, stated, fixed=True) if stated else span, bounds)
    return SandboxMinimum(
        low_bytes=span.low.bytes + 1 if span.low.fails else span.low.bytes,
        high_bytes=span.high.bytes,
        ample_bytes=max(span.ample_bytes, span.high.bytes),
        reason=_reason(name, kind, span),
        evidence=tuple(dict.fromkeys(_evidence(node, kind, span))),
    )


class _Edge(Struct, frozen=True):
    """One end of the span. `known_from` stands in brackets behind the figure."""

    bytes: int
    known_from: str
    evidence: Evidence
    of_row: bool = False
    """Whether it is a measured row's figure, which may have been measured elsewhere than under this engine."""
    fails: bool = False
    """Whether a node just like this one starts nothing with it: then the least that may do is more."""


class _Span(Struct, frozen=True):
    low: _Edge
    high: _Edge
    ample_bytes: int
    runtime: str = ""
    """What the runtime is called, where it can only be one."""
    remark: str = ""
    """The end of the sentence where the figures are not measured for just this runtime."""
    measured: bool = True
    """False when there are no figures at all."""
    pages: PageSize | None = None
    """Of the node's kernel, where the figures may not hold for them."""


def _known(kind: RuntimeKind, count: int | None) -> _Span:
    """The span over all OCI runtimes that it may be."""
    spans = [_known_of(runtime, kind, count) for runtime in kind.runtimes]
    low, high = min(spans, key=lambda span: span.low.bytes), max(spans, key=lambda span: span.high.bytes)
    ample_bytes = max(span.ample_bytes for span in spans)
    return replace(high, low=low.low, ample_bytes=ample_bytes, runtime=high.runtime if len(spans) == 1 else "")


def _known_of(runtime: str, kind: RuntimeKind, count: int | None) -> _Span:
    unmeasured = next((entry for entry in table().unmeasured if entry.runtime == runtime), None)
    if unmeasured is not None:
        return _cautious(unmeasured, kind)
    rows = with_cpus([row for row in table().rows if row.runtime == runtime], count)
    fitting = [row for row in rows if _is_of_version(row, kind) and _is_of_cgroup(row, kind)]
    nearest = fitting or _nearest(rows, kind)
    lowest = min(nearest, key=lambda row: row.failed_bytes)
    highest = max(nearest, key=lambda row: (row.ran_bytes, version_key(row.since)))
    return _Span(
        low=_Edge(lowest.failed_bytes, runtime, _measurement(lowest), of_row=True),
        high=_Edge(highest.ran_bytes, runtime, _measurement(highest), of_row=True),
        ample_bytes=highest.ran_bytes * HEADROOM,
        runtime=runtime,
        remark="" if fitting else f"; {_described(runtime, kind)} was not measured, only what is nearest to it",
    )


def with_cpus(rows: Iterable[Row], count: int | None) -> list[Row]:
    """Of each build on each kind of kernel the rows of the nearest CPU counts, from below and from above; all where the
    count is not known."""
    builds: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        kind = (row.runtime, row.version, row.since, row.before, row.cgroup, row.kernel, row.huge_pages)
        builds.setdefault(kind, []).append(row)
    return [row for build in builds.values() for row in (build if count is None else _nearest_counts(build, count))]


def _nearest_counts(build: list[Row], count: int) -> list[Row]:
    counted = [row.cpus for row in build if row.cpus is not None]
    below = max((entry for entry in counted if entry <= count), default=None)
    above = min((entry for entry in counted if entry >= count), default=None)
    return [row for row in build if row.cpus in (None, below, above)]


def _is_of_version(row: Row, kind: RuntimeKind) -> bool:
    return spans_meet(row.since, row.before, kind.since, kind.before)


def _is_of_cgroup(row: Row, kind: RuntimeKind) -> bool:
    return not kind.cgroup or kind.cgroup == row.cgroup


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
    value = f"fails with {failed}, runs with {ran} (cgroup {row.cgroup}, {row.where})"
    return Evidence(source="lab", object=f"{row.runtime} {row.version}", value=value)


def _cautious(entry: Unmeasured, kind: RuntimeKind) -> _Span:
    title = f"handler {_one_line(kind.handler)}" if kind.handler and entry.runtime == "unknown" else entry.title
    value = _from_source(entry.note, entry.reference) if entry.reference else f"not measured, {entry.note}"
    evidence = Evidence(source="lab", object=title, value=value)
    return _Span(
        low=_Edge(ONE_PAGE, "one page of memory", evidence),
        high=_Edge(entry.high_bytes, "an estimate", evidence),
        ample_bytes=entry.ample_bytes,
        runtime=title,
        measured=False,
    )


def _from_source(note: str, reference: str) -> str:
    return f"{FROM_SOURCE}: {note}; {reference}"


def _stated(failures: tuple[RuntimeFailure, ...]) -> _Edge | None:
    """The minimum that an error states itself: surer than what its engine is known to refuse."""
    stated = [f for f in failures if f.stated_minimum_bytes and f.stated_scope == "sandbox"]
    if not stated:
        return None
    largest = max(stated, key=lambda failure: failure.stated_minimum_bytes or 0)
    evidence = Evidence(source="runtime", object=largest.engine, value=_one_line(largest.innermost))
    return _Edge(largest.stated_minimum_bytes or 0, "its own words", evidence)


def _refused(span: _Span, kind: RuntimeKind) -> _Span:
    """Raised by what the engine is known to refuse."""
    for refusal in table().refusals:
        if refusal.engine == kind.engine and (refusal.runtime or kind.runtimes[0]) in kind.runtimes:
            span = _refused_by(span, refusal, kind.engine_version)
    return span


def _refused_by(span: _Span, refusal: Refusal, version: str) -> _Span:
    known = is_version(version)
    if known and not _is_in(version, refusal):
        return span
    figure = quantity.format_bytes(refusal.minimum_bytes)
    lowered = "" if refusal.fixed else " unless configured otherwise"
    value = _from_source(f"refuses limits below {figure}{lowered}", refusal.reference)
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


def _page_size(node: Node | None) -> PageSize | None:
    """None where the kernel's pages are as small as those that were measured with, by all that is known."""
    if node is None:
        return None
    info = node.status.node_info
    return next((entry for entry in table().page_sizes if _is_of_kernel(entry, info)), None)


def _is_of_kernel(entry: PageSize, info: NodeSystemInfo) -> bool:
    if entry.architecture not in ("", info.architecture):
        return False
    return not entry.kernel or entry.kernel in re.findall(r"[0-9a-z]+", info.kernel_version.lower())


def _paged(span: _Span, pages: PageSize | None) -> _Span:
    """Raised to whole pages. A sandbox is charged for as many pages at most, each of them so much larger."""
    if pages is None or not pages.certain:
        return replace(span, pages=pages)
    size = pages.page_bytes
    remark = f"; nothing was measured with pages of {quantity.format_bytes(size)}, as its kernel has them"
    return replace(
        span,
        low=replace(span.low, bytes=_whole_pages(span.low.bytes, size)),
        high=replace(span.high, bytes=_whole_pages(span.high.bytes, size)),
        ample_bytes=span.ample_bytes * (size // ONE_PAGE),
        remark=span.remark or remark,
        pages=pages,
    )


def _whole_pages(count: int, page_bytes: int) -> int:
    return -(-count // page_bytes) * page_bytes


def _own(span: _Span, pool: Pool | None, measured: Sequence[Measurement]) -> _Span:
    """With the figures of the node's own pool in the place of the table's. The need grows with the CPUs: what fewer of
    them needed bounds it from below, what more of them needed from above."""
    if pool is None:
        return span
    alike = [entry for entry in measured if entry.pool.is_like(pool)]
    fewer = max((entry.pool.cpus for entry in alike if entry.pool.cpus <= pool.cpus), default=None)
    more = min((entry.pool.cpus for entry in alike if entry.pool.cpus >= pool.cpus), default=None)
    span = _own_high(span, [entry for entry in alike if entry.pool.cpus == more])
    return _own_low(span, [entry for entry in alike if entry.pool.cpus == fewer], pool.cpus)


def _own_high(span: _Span, measured: list[Measurement]) -> _Span:
    if not measured:
        return span
    highest = max(measured, key=_readiness)
    high = _own_edge(highest, highest.ready_bytes)
    least = min(measured, key=lambda entry: entry.least_ready_bytes)
    low = min(span.low, _own_edge(least, least.least_ready_bytes), key=lambda edge: edge.bytes)
    ample_bytes = high.bytes * HEADROOM
    return replace(span, low=low, high=high, ample_bytes=ample_bytes, measured=True, remark="", pages=None)


def _own_low(span: _Span, measured: list[Measurement], count: int) -> _Span:
    """All that there is for a node with more CPUs than those that were measured; the other end is at least as high."""
    if not measured:
        return span
    highest = max(measured, key=_readiness)
    if highest.ready_bytes > span.high.bytes:
        ample_bytes = max(span.ample_bytes, highest.ready_bytes * HEADROOM + BYTES_PER_CPU * count)
        span = replace(span, high=_own_edge(highest, highest.ready_bytes), ample_bytes=ample_bytes)
    lowest = min(measured, key=lambda entry: (entry.none_ready_bytes, -entry.taken_at.timestamp()))
    if not lowest.none_ready_bytes:
        return replace(span, measured=True)
    return replace(span, low=replace(_own_edge(lowest, lowest.none_ready_bytes), fails=True), measured=True)


def _readiness(measurement: Measurement) -> tuple[int, datetime]:
    """Of equal figures the newest is named."""
    return measurement.ready_bytes, measurement.taken_at


def _own_edge(measurement: Measurement, limit: int) -> _Edge:
    value = f"{ON_YOUR_NODES}: {', '.join(_own_figures(measurement))}"
    return _Edge(limit, ON_YOUR_NODES, Evidence(source="lab", object=f"node/{measurement.node}", value=value))


def _own_figures(measurement: Measurement) -> Iterator[str]:
    least, most = measurement.none_ready_bytes, measurement.ready_bytes
    if least:
        yield f"fails with {quantity.format_bytes(least)}"
    if measurement.failed_bytes > least:
        yield f"at times with {quantity.format_bytes(measurement.failed_bytes)}"
    counted = f"{_count(measurement.times, 'try')}, {_count(measurement.pool.cpus, 'CPU')}"
    yield f"runs with {quantity.format_bytes(most)} ({counted}, {measurement.taken_at:%Y-%m-%d})"


def _count(number: int, noun: str) -> str:
    plural = {"try": "tries"}.get(noun, f"{noun}s")
    return f"{number} {noun if number == 1 else plural}"


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
    if ready is not None and (ready.bytes < low.bytes or (low.fails and ready.bytes == low.bytes)):
        low = ready
    return replace(span, low=low, high=high)


def _seen(limit: int | None, pod: str | None, verb: str) -> _Edge | None:
    if limit is None or limit < ONE_PAGE:
        return None
    name = _one_line(pod or "") or "another"
    value = f"pod {name} {verb} with {quantity.format_bytes(limit)} on the same kind of node"
    return _Edge(limit, f"pod {name} {verb} with it", Evidence(source="pod", object=f"pod/{name}", value=value))


def _reason(node: str | None, kind: RuntimeKind, span: _Span) -> str:
    engine = _one_line(f"{kind.engine} {kind.engine_version}")
    name = f"{engine} with {span.runtime}" if engine and span.runtime else engine or span.runtime or "The runtime"
    subject = f"{name} on {f'node {node}' if node else 'a node that is not known'}"
    low, high = quantity.format_bytes(span.low.bytes), quantity.format_bytes(span.high.bytes)
    if not span.measured:
        return f"{subject} was not measured: a sandbox may need as much as {high} ({span.high.known_from})"
    if span.low.bytes == span.high.bytes:
        needs = f"{high} ({span.high.known_from})"
    elif span.low.known_from != span.high.known_from:
        needs = f"between {low} ({span.low.known_from}) and {high} ({span.high.known_from})"
    elif span.low.known_from == ON_YOUR_NODES:
        return f"{subject} needs between {low} and {high} to start a sandbox, {ON_YOUR_NODES}{span.remark}"
    else:
        needs = f"between {low} and {high}"
    return f"{subject} needs {needs} to start a sandbox{span.remark}"


def _evidence(node: Node | None, kind: RuntimeKind, span: _Span) -> Iterator[Evidence]:
    if node is not None and kind.engine_version:
        yield _of_node(node, "status.nodeInfo.containerRuntimeVersion", node.status.node_info.container_runtime_version)
    yield span.low.evidence
    yield span.high.evidence
    yield from _taken_over(kind, span)
    if span.high.known_from == ON_YOUR_NODES:
        return
    count = cpus(node) if node is not None else None
    if node is not None and count is not None and count * BYTES_PER_CPU > largest_known_minimum_bytes():
        more = quantity.format_bytes(count * BYTES_PER_CPU)
        yield _of_node(node, "status.capacity.cpu", f"{count} CPUs, for which an old kernel may need {more} more")


def _taken_over(kind: RuntimeKind, span: _Span) -> Iterator[Evidence]:
    """What stands in for measurements under the node's own engine and with its own pages."""
    if span.low.of_row or span.high.of_row:
        for engine in table().engines:
            if engine.engine == kind.engine:
                value = _from_source(engine.note, engine.reference)
                yield Evidence(source="lab", object=_one_line(f"{kind.engine} {kind.engine_version}"), value=value)
    if span.pages is not None:
        title = f"pages of {quantity.format_bytes(span.pages.page_bytes)}"
        yield Evidence(source="lab", object=title, value=_from_source(span.pages.note, span.pages.reference))


def _of_node(node: Node, field: str, value: str) -> Evidence:
    return Evidence(source="node", object=f"node/{node.metadata.name}", field=field, value=value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
