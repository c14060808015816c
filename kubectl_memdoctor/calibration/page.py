"""What a person reads: what will be made, and what came out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from kubectl_memdoctor.calibration.manifests import Run, missing_image
from kubectl_memdoctor.calibration.nodes import Target
from kubectl_memdoctor.calibration.run import RUN_SECONDS, NodeRun
from kubectl_memdoctor.calibration.search import MOST_AT_ONCE, MOST_PODS, grid
from kubectl_memdoctor.measured_minimum import (
    CONFIG_MAP_NAME,
    CONFIG_MAP_NAMESPACE,
    Measurement,
    Pool,
    SandboxMinimumList,
    Try,
    encode,
    ready_bytes,
)
from kubectl_memdoctor.quantity import format_bytes
from kubectl_memdoctor.temporary.manifests import Manifest

INDENT = 4
"""Spaces in JSON, as kubectl's."""
MOST_NAMES = 3
"""Of nodes, one by one; of more, how many they are."""


def plan(run: Run, targets: Sequence[Target], server: str, *, saves: bool) -> Iterator[str]:
    """Everything that will be written, before anything is."""
    yield f"This makes, in the cluster {server}:"
    yield f"  {run.place}"
    for target in targets:
        yield f"  at most {MOST_PODS} pods on node {target.name}, {MOST_AT_ONCE} at a time"
        yield f"    {_tried(target)}"
        yield f"    for sandboxes alone image {missing_image(run, target)}, which exists nowhere: none starts"
        yield from (f"    {remark}" for remark in _remarks(target))
    yield "All of it is removed at the end, also when it is interrupted."
    if saves:
        yield f"The result stays, in configmap/{CONFIG_MAP_NAME} in namespace {CONFIG_MAP_NAMESPACE} (--save)."
    yield f"It takes about a minute, {RUN_SECONDS / 60:g} minutes at most."


def _tried(target: Target) -> str:
    limits = grid(target.runtime.overhead_bytes)
    return f"image {target.image.name}, memory limits from {format_bytes(limits[0])} to {format_bytes(limits[-1])}"


def _remarks(target: Target) -> Iterator[str]:
    others = [name for name in target.nodes if name != target.name]
    if others:
        yield f"it stands for {_names(others)} of its kind ({described(target.pool)})"
    if target.place.spec.unschedulable:
        yield "the node is cordoned: these pods go there all the same"
    if target.image.is_there and target.image.name not in target.place.image_names():
        yield "the image is listed by another node; it is not pulled, so this one must have it"


def _names(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more nodes"


def described(pool: Pool) -> str:
    cpus = f"{pool.cpus} CPU{'s' if pool.cpus > 1 else ''}"
    handler = f", handler {pool.handler}" if pool.handler else ""
    return f"{pool.container_runtime_version}, kernel {pool.kernel_version}, {pool.architecture}, {cpus}{handler}"


def results(measurements: Iterable[Measurement], nodes: Sequence[NodeRun]) -> Iterator[str]:
    """A paragraph for each node: the figure, whom it stands for, and each limit that was tried."""
    runs = {node.target.name: node for node in nodes}
    for number, measurement in enumerate(measurements):
        if number:
            yield ""
        yield from _result(measurement, runs[measurement.node])


def _result(measurement: Measurement, node: NodeRun) -> Iterator[str]:
    yield f"Node {measurement.node}: pods start with a memory limit of {format_bytes(measurement.ready_bytes)} or more."
    yield f"  {_spread(measurement)}"
    alone = ready_bytes(node.sandboxes)
    if alone is not None and alone < measurement.ready_bytes and not node.sandbox_remark:
        yield f"  Sandboxes alone start with {format_bytes(alone)}; their containers need the rest."
    if node.remark:
        yield f"  Not closer, since {node.remark}."
    yield f"  {described(measurement.pool)}"
    others = [name for name in node.target.nodes if name != measurement.node]
    if others:
        yield f"  Holds for {_names(others)} as well: of the same kind."
    yield ""
    yield "  LIMIT    READY      FAILED WITH"
    yield from _rows(measurement.tries, node.words)
    if measurement.sandbox_tries:
        yield ""
        yield "  LIMIT    SANDBOXES  FAILED WITH"
        yield from _rows(measurement.sandbox_tries, node.sandbox_words)


def _rows(tries: Iterable[Try], words: Mapping[int, str]) -> Iterator[str]:
    for entry in tries:
        count = f"{entry.ready} of {entry.ready + entry.failed}"
        stages = (entry.failed_at, words.get(entry.limit_bytes, ""))
        yield f"  {format_bytes(entry.limit_bytes):8} {count:10} {': '.join(filter(None, stages))}".rstrip()


def _spread(measurement: Measurement) -> str:
    """From no pod to every pod, in one sentence."""
    never, failed, ready = measurement.none_ready_bytes, measurement.failed_bytes, measurement.ready_bytes
    if not failed:
        return f"Even {format_bytes(ready)}, the smallest limit that was tried, was enough every time."
    if never == failed:
        return f"With {format_bytes(failed)} none did."
    lower = f", with {format_bytes(never)} none" if never else ""
    return f"With {format_bytes(failed)} only some did{lower}: in between it is chance."


def manifests(objects: Sequence[Manifest], output: str) -> str:
    """As one List, which `kubectl create --dry-run=server -f -` takes."""
    whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(whole), indent=INDENT).decode()
    import yaml

    text: str = yaml.safe_dump(whole, sort_keys=False, width=2**31)
    return text.rstrip("\n")


def measured(measurements: Iterable[Measurement], output: str) -> str:
    """The list that --minimum-from reads."""
    if output == "yaml":
        return encode(measurements).rstrip("\n")
    whole = SandboxMinimumList(items=tuple(measurements))
    return msgspec.json.format(msgspec.json.encode(whole), indent=INDENT).decode()
