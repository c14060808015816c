"""The smallest pod-level memory limit that a pod's sandbox starts with, as a span, and how that is known.

The span comes from measured rows (data/sandbox_minimum.json). What the node, the RuntimeClass's handler and the words
of errors tell of the runtime picks the rows; what other pods of the cluster start with, or fail on, narrows it further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import msgspec

from kubectl_memdoctor import quantity
from kubectl_memdoctor.evidence.runtime_errors import RuntimeFailure
from kubectl_memdoctor.finding import Evidence
from kubectl_memdoctor.objects import Node

PAGE_BYTES = 4096
HEADROOM = 2
"""Rows are a few tries on one machine: memory is ruled out only from so many times the largest of them."""

BYTES_PER_CPU = 512 << 10
"""Kernels before 5.9 charge slab caches per CPU: half a MiB for each.
https://docs.openshift.com/container-platform/4.10/nodes/containers/nodes-containers-using.html"""

ASSUMED_CPUS = 64
"""For a node that does not say: a large one."""

MOST_CPUS = 8192
"""NR_CPUS of the largest kernel configuration:
https://github.com/torvalds/linux/blob/v6.1/arch/x86/Kconfig"""


@dataclass(frozen=True, slots=True)
class ClusterBounds:
    """What other pods on nodes of the same kind prove: pod-level limits in bytes, pods as "namespace/name"."""

    largest_failed_bytes: int | None = None
    largest_failed_pod: str | None = None
    smallest_ready_bytes: int | None = None
    smallest_ready_pod: str | None = None


@dataclass(frozen=True, slots=True)
class SandboxMinimum:
    """Bytes, 0 < low <= high <= ample. The true minimum lies between `low_bytes` and `high_bytes`."""

    low_bytes: int
    """Nothing known starts below this."""
    high_bytes: int
    """Everything known for this node starts from here on."""
    ample_bytes: int
    """From here on memory is ruled out, even for nodes with more CPUs than those that were measured."""
    reason: str
    """One sentence without its full stop."""
    evidence: tuple[Evidence, ...] = ()


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One measurement and the versions that it stands for: `since` <= version < `before`, "" for no end."""

    runtime: str
    version: str
    since: str
    before: str
    cgroups: tuple[str, ...]
    failed_bytes: int
    """The largest limit with which no sandbox started."""
    ran_bytes: int
    """The smallest limit from which on every sandbox started."""
    where: str


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A minimum that an engine enforces itself; `fixed` when it cannot be configured. No runtime: holds for all."""

    engine: str
    since: str
    before: str
    minimum_bytes: int
    fixed: bool
    source: str
    runtime: str | None = None


class Unmeasured(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A runtime without measurements: a cautious span, starting with one page."""

    runtime: str
    title: str
    high_bytes: int
    ample_bytes: int
    source: str


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    rows: tuple[Row, ...]
    refusals: tuple[Refusal, ...]
    unmeasured: tuple[Unmeasured, ...]


@cache
def table() -> Table:
    """Read once, when it is first needed."""
    return msgspec.json.decode(files(f"{__package__}.data").joinpath("sandbox_minimum.json").read_bytes(), type=Table)


@cache
def largest_known_minimum_bytes() -> int:
    """The largest limit that any measured runtime needed, in bytes."""
    return max(row.ran_bytes for row in table().rows)


def sandbox_minimum(
    node: Node | None,
    *,
    handler: str | None,
    failures: tuple[RuntimeFailure, ...],
    bounds: ClusterBounds | None,
    override_bytes: int | None,
) -> SandboxMinimum:
    """What a sandbox needs on `node` (None: not known). `handler` is the RuntimeClass's, `override_bytes` `--minimum`."""
    if override_bytes is not None and override_bytes > 0:
        reason = f"A sandbox needs {quantity.format_bytes(override_bytes)}: your own figure (--minimum)"
        return SandboxMinimum(override_bytes, override_bytes, override_bytes, reason)
    if node is not None and node.status.node_info.operating_system == "windows":
        reason = f"Node {_one_line(node.metadata.name)} runs Windows: it has no cgroups, so no minimum for a sandbox"
        return SandboxMinimum(1, 1, 1, reason)
    target = _target(node, handler, failures)
    span = _bounded(_refused(_measured(target), target, failures), bounds)
    return SandboxMinimum(
        low_bytes=span.low.bytes,
        high_bytes=span.high.bytes,
        ample_bytes=max(span.ample_bytes + _for_cpus(node), span.high.bytes),
        reason=_reason(target, span),
        evidence=tuple(dict.fromkeys(_evidence(node, target, span))),
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """What is known of the node and its runtime. `runtimes` has several names when it may be any of them."""

    node: str | None
    engine: str
    engine_version: str
    runtimes: tuple[str, ...]
    handler: str | None
    since: str
    before: str
    cgroup: str | None


@dataclass(frozen=True, slots=True)
class _Edge:
    """One end of the span, and what it is known from: a name for the sentence, and evidence."""

    bytes: int
    known_from: str
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    low: _Edge
    high: _Edge
    ample_bytes: int
    remark: str = ""
    """Ends the sentence, where the figures are not for just this node."""


_ENGINE = re.compile(r"\s*(containerd|cri-o|docker)://v?(\S*)", re.IGNORECASE)


def _target(node: Node | None, handler: str | None, failures: tuple[RuntimeFailure, ...]) -> _Target:
    info = node.status.node_info if node else None
    found = _ENGINE.match(info.container_runtime_version) if info else None
    engine, version = (found[1].lower(), found[2]) if found else (_only({f.engine for f in failures}) or "", "")
    runtimes = _runtimes(engine, handler, failures)
    since, before = _era(failures) if len(runtimes) == 1 else ("", "")
    return _Target(
        node=_one_line(node.metadata.name) if node else None,
        engine=engine,
        engine_version=_one_line(version),
        runtimes=runtimes,
        handler=_one_line(handler) if handler else None,
        since=since,
        before=before,
        cgroup=_cgroup(info.kernel_version if info else "", engine, version, failures),
    )


def _only(values: set[str | None]) -> str | None:
    known = values - {None}
    return next(iter(known)) if len(known) == 1 else None


_HANDLER_WORDS = (
    ("kata", re.compile(r"(?:^|[^a-z])kata", re.IGNORECASE)),
    ("gvisor", re.compile(r"(?:^|[^a-z])(?:gvisor|runsc)(?:$|[^a-z])", re.IGNORECASE)),
    ("youki", re.compile(r"(?:^|[^a-z])youki(?:$|[^a-z])", re.IGNORECASE)),
    ("crun", re.compile(r"(?:^|[^a-z])crun(?:$|[^a-z])", re.IGNORECASE)),
    ("runc", re.compile(r"(?:^|[^a-z])runc(?:$|[^a-z])", re.IGNORECASE)),
)


def _runtimes(engine: str, handler: str | None, failures: tuple[RuntimeFailure, ...]) -> tuple[str, ...]:
    """The wording of an error is surest: a handler's name is the administrator's choice."""
    told = {failure.runtime for failure in failures if failure.runtime}
    if told:
        return tuple(sorted(told))
    if handler:
        return (next((name for name, words in _HANDLER_WORDS if words.search(handler)), "unknown"),)
    # Docker runs runc unless daemon.json names another default-runtime.
    return ("runc",) if engine == "docker" else ("crun", "runc")


def _era(failures: tuple[RuntimeFailure, ...]) -> tuple[str, str]:
    since = max((f.runtime_since for f in failures if f.runtime_since), key=_version, default="")
    before = min((f.runtime_before for f in failures if f.runtime_before), key=_version, default="")
    return ("", "") if since and before and _version(since) >= _version(before) else (since, before)


_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:[-~.]?(?:rc|beta|alpha)[-.]?(\d{1,9}))?")


def _version(text: str) -> tuple[int, int, int, int]:
    """Sorts versions; a release candidate comes before its release, packagers' suffixes do not count."""
    found = _VERSION.match(text)
    if found is None:
        return 0, 0, 0, 0
    major, minor, patch, candidate = (int(part) if part else 0 for part in found.groups())
    return major, minor, patch, candidate if found[4] else 10**9


def _cgroup(kernel: str, engine: str, version: str, failures: tuple[RuntimeFailure, ...]) -> str | None:
    """v1 or v2 where that is certain. Defaults of distributions and kubelets are not: both can be configured."""
    for failure in failures:
        if _V2_WORDS.search(failure.text):
            return "v2"
        if _V1_WORDS.search(failure.text):
            return "v1"
    # https://www.kernel.org/doc/html/v4.5/ (cgroup v2 became official with 4.5)
    too_old = bool(kernel) and (0, 0, 0, 0) < _version(kernel) < _version("4.5")
    first = _FIRST_WITH_V2.get(engine)
    return "v1" if too_old or (first and (0, 0, 0, 0) < _version(version) < _version(first)) else None


_FIRST_WITH_V2 = {"containerd": "1.4.0-beta.0", "docker": "20.10.0-beta1"}
"""https://github.com/containerd/containerd/releases/tag/v1.4.0 and https://docs.docker.com/engine/release-notes/20.10/"""

_V1_WORDS = re.compile(r"memory\.limit_in_bytes|memory\.memsw|/sys/fs/cgroup/memory/")
_V2_WORDS = re.compile(r"\bmemory\.max\b|(?<!unified)/[^/\s]*cgroup\.subtree_control\b")


def _measured(target: _Target) -> _Span:
    spans = [_of_runtime(name, target) for name in target.runtimes]
    low = min(spans, key=lambda span: span.low.bytes)
    high = max(spans, key=lambda span: span.high.bytes)
    return _Span(low.low, high.high, max(span.ample_bytes for span in spans), high.remark or low.remark)


def _of_runtime(runtime: str, target: _Target) -> _Span:
    unmeasured = next((entry for entry in table().unmeasured if entry.runtime == runtime), None)
    if unmeasured is not None:
        return _cautious(unmeasured, target)
    rows = [row for row in table().rows if row.runtime == runtime]
    fitting = [row for row in rows if _fits(row, target) and target.cgroup in (None, *row.cgroups)]
    remark = ""
    if not fitting:
        fitting = [row for row in rows if _fits(row, target)] or rows
        remark = f"; {_described(runtime, target)} was not measured, these are the nearest figures"
    lowest = min(fitting, key=lambda row: row.failed_bytes)
    highest = max(fitting, key=lambda row: row.ran_bytes)
    return _Span(
        _Edge(lowest.failed_bytes, runtime, _row_evidence(lowest)),
        _Edge(highest.ran_bytes, runtime, _row_evidence(highest)),
        highest.ran_bytes * HEADROOM,
        remark,
    )


def _fits(row: Row | Refusal, target: _Target) -> bool:
    return _overlaps(row, target.since, target.before)


def _overlaps(row: Row | Refusal, since: str, before: str) -> bool:
    starts = not row.since or not before or _version(row.since) < _version(before)
    return starts and (not row.before or not since or _version(since) < _version(row.before))


def _described(runtime: str, target: _Target) -> str:
    words = runtime
    if target.since:
        words += f" from {target.since}"
    if target.before:
        words += f" before {target.before}"
    return f"{words} on cgroup {target.cgroup}" if target.cgroup else words


def _cautious(entry: Unmeasured, target: _Target) -> _Span:
    title = f"handler {target.handler}" if entry.runtime == "unknown" else entry.title
    evidence = Evidence(source="lab", object=entry.title, value=f"not measured; {entry.source}")
    return _Span(
        _Edge(PAGE_BYTES, "one page", evidence),
        _Edge(entry.high_bytes, "an estimate", evidence),
        entry.ample_bytes,
        f"; {title} was not measured",
    )


def _row_evidence(row: Row) -> Evidence:
    failed, ran = quantity.format_bytes(row.failed_bytes), quantity.format_bytes(row.ran_bytes)
    cgroups = " and ".join(row.cgroups)
    return Evidence(
        source="lab",
        object=f"{row.runtime} {row.version}",
        value=f"{failed} failed, {ran} ran (cgroup {cgroups}; {row.where})",
    )


def _refused(span: _Span, target: _Target, failures: tuple[RuntimeFailure, ...]) -> _Span:
    """Raised by what the engine itself refuses: what an error states, else what its version is known for."""
    stated = max(
        (f.stated_minimum_bytes for f in failures if f.stated_minimum_bytes and f.stated_scope == "sandbox"), default=0
    )
    if stated:
        return _raised(span, _Edge(stated, "the runtime's own words"), fixed=True)
    for refusal in table().refusals:
        version = target.engine_version
        if refusal.engine != target.engine or not _overlaps(refusal, version, ""):
            continue
        known = _version(version) > (0, 0, 0, 0)
        if known and refusal.since and _version(version) < _version(refusal.since):
            continue
        if refusal.runtime is None or refusal.runtime in target.runtimes:
            value = f"refuses less than {quantity.format_bytes(refusal.minimum_bytes)} ({refusal.source})"
            evidence = Evidence(source="lab", object=f"{refusal.engine} from {refusal.since}", value=value)
            edge = _Edge(refusal.minimum_bytes, f"{refusal.engine}'s own minimum", evidence)
            span = _raised(span, edge, fixed=refusal.fixed and known)
    return span


def _raised(span: _Span, edge: _Edge, *, fixed: bool) -> _Span:
    low = edge if fixed and edge.bytes > span.low.bytes else span.low
    high = edge if edge.bytes > span.high.bytes else span.high
    return replace(span, low=low, high=high, ample_bytes=max(span.ample_bytes, edge.bytes * HEADROOM))


def _bounded(span: _Span, bounds: ClusterBounds | None) -> _Span:
    """Narrowed by what this cluster shows. Sandboxes near the minimum start at times: failed may be above ready."""
    if bounds is None:
        return span
    ready = _pod_edge(bounds.smallest_ready_bytes, bounds.smallest_ready_pod, "runs")
    failed = _pod_edge(bounds.largest_failed_bytes, bounds.largest_failed_pod, "fails")
    low, high = span.low, span.high
    if ready is not None and ready.bytes < high.bytes and (failed is None or failed.bytes < ready.bytes):
        high = ready
    if failed is not None and low.bytes < failed.bytes <= high.bytes and (ready is None or failed.bytes < ready.bytes):
        low = failed
    if ready is not None and ready.bytes < low.bytes:
        low = ready
    return replace(span, low=low, high=high)


def _pod_edge(limit: int | None, pod: str | None, verb: str) -> _Edge | None:
    if limit is None or limit <= 0:
        return None
    name = _one_line(pod or "") or "another pod"
    figure = quantity.format_bytes(limit)
    value = f"pod {name} {verb} with {figure} on the same kind of node"
    return _Edge(limit, f"pod {name} {verb} with it", Evidence(source="pod", object=f"pod/{name}", value=value))


def _for_cpus(node: Node | None) -> int:
    return BYTES_PER_CPU * (_cpus(node) or ASSUMED_CPUS)


def _cpus(node: Node | None) -> int | None:
    text = node.status.capacity.get("cpu") if node else None
    try:
        count = quantity.value(text) if text else 0
    except quantity.QuantityError:
        return None
    return min(count, MOST_CPUS) if count > 0 else None


def _reason(target: _Target, span: _Span) -> str:
    low, high = quantity.format_bytes(span.low.bytes), quantity.format_bytes(span.high.bytes)
    if span.low.bytes == span.high.bytes:
        needs = f"needs {high} ({span.high.known_from})"
    elif span.low.known_from == span.high.known_from:
        needs = f"needs between {low} and {high}"
    else:
        needs = f"needs between {low} ({span.low.known_from}) and {high} ({span.high.known_from})"
    return f"{_subject(target)} {needs} to start a sandbox{span.remark}"


def _subject(target: _Target) -> str:
    engine = f"{target.engine} {target.engine_version}".strip()
    runtime = target.runtimes[0] if len(target.runtimes) == 1 and target.runtimes[0] != "unknown" else ""
    name = f"{engine} with {runtime}" if engine and runtime else engine or runtime
    if target.node is None:
        return f"{name} on a node that is not known" if name else "A node that is not known"
    return f"{name} on node {target.node}" if name else f"Node {target.node}"


def _evidence(node: Node | None, target: _Target, span: _Span) -> Iterator[Evidence]:
    if node is not None and target.engine_version:
        yield Evidence(
            source="node",
            object=f"node/{target.node}",
            field="status.nodeInfo.containerRuntimeVersion",
            value=node.status.node_info.container_runtime_version,
        )
    for edge in (span.low, span.high):
        if edge.evidence is not None:
            yield edge.evidence
    cpus = _cpus(node)
    if cpus is not None and cpus * BYTES_PER_CPU > span.high.bytes:
        more = quantity.format_bytes(cpus * BYTES_PER_CPU)
        value = f"{cpus}: a kernel before 5.9 may need up to {more} more for as many CPUs"
        yield Evidence(source="node", object=f"node/{target.node}", field="status.capacity.cpu", value=value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
