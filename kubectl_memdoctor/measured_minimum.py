"""Sandbox minimums that were measured on a cluster's own nodes: the file that holds them, read and written.

The same text stands in a file and in the ConfigMap `memdoctor-sandbox-minimum`; it is YAML, or JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from kubectl_memdoctor import quantity
from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.finding import API_VERSION
from kubectl_memdoctor.objects import BUILDING, Node, Time

KIND = "SandboxMinimumList"
CONFIG_MAP_NAMESPACE = "kube-public"
CONFIG_MAP_NAME = "memdoctor-sandbox-minimum"
CONFIG_MAP_KEY = "minimum.yaml"

MOST_BYTES = 1 << 20
"""What a ConfigMap holds at most: https://kubernetes.io/docs/concepts/configuration/configmap/#motivation"""

MOST_CPUS = 8192
"""NR_CPUS at its largest: https://github.com/torvalds/linux/blob/v6.1/arch/x86/Kconfig"""


class MeasuredMinimumError(ValueError):
    """A text that is no such list; one line that begins with the text's name."""


class _Written(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Base: camelCase, and a field that is not known is an error."""


Name = Annotated[str, Meta(min_length=1)]
Bytes = Annotated[int, Meta(ge=1, le=quantity.MAX_INT64)]
Times = Annotated[int, Meta(ge=0, le=10**9)]


class Pool(_Written, frozen=True, kw_only=True):
    """What nodes have in common whose sandboxes need the same; the first three as in a Node's `status.nodeInfo`."""

    container_runtime_version: Name
    kernel_version: Name
    architecture: Name
    cpus: Annotated[int, Meta(ge=1, le=MOST_CPUS)]
    handler: str = ""
    """The RuntimeClass's handler; empty for the node's default."""

    def is_like(self, other: Pool) -> bool:
        """The same but for the number of CPUs."""
        return (
            self.kernel_version == other.kernel_version
            and self.container_runtime_version == other.container_runtime_version
            and self.architecture == other.architecture
            and self.handler == other.handler
        )


class Try(_Written, frozen=True, kw_only=True, omit_defaults=True):
    """All tries with one limit: how many became ready, how many did not."""

    limit_bytes: Bytes
    ready: Times
    failed: Times
    failed_at: Literal["", "sandbox", "container"] = ""
    """What did not start; sandbox and container share the pod's limit. Empty where the API does not tell them apart."""


class Measurement(_Written, frozen=True, kw_only=True):
    """One bisection on one node."""

    node: Name
    pool: Pool
    failed_bytes: Annotated[int, Meta(ge=0, le=quantity.MAX_INT64)]
    """The largest limit with which a try failed; 0 when none did."""
    ready_bytes: Bytes
    """The smallest limit from which on every try's pod became ready."""
    tries: Annotated[tuple[Try, ...], Meta(min_length=1)]
    sandbox_tries: tuple[Try, ...] = ()
    """Of further pods, whose containers never start: how many sandboxes did."""
    image: str
    taken_at: Time

    @property
    def least_ready_bytes(self) -> int:
        """The smallest limit with which any try's pod became ready."""
        return min(entry.limit_bytes for entry in self.tries if entry.ready)

    @property
    def none_ready_bytes(self) -> int:
        """The largest limit up to which no try's pod became ready; 0 when the smallest one sufficed at times."""
        return max((entry.limit_bytes for entry in self.tries if entry.limit_bytes < self.least_ready_bytes), default=0)

    @property
    def times(self) -> int:
        """How many tries there were, with whatever limit."""
        return sum(entry.ready + entry.failed for entry in self.tries)


class SandboxMinimumList(_Written, frozen=True, kw_only=True):
    api_version: str = API_VERSION
    kind: str = KIND
    items: tuple[Measurement, ...] = ()


class _Head(Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""


def pool_of(node: Node, handler: str | None) -> Pool | None:
    """The pool of `node` with a RuntimeClass's handler; None when the node does not say enough."""
    info = node.status.node_info
    pool = Pool(
        container_runtime_version=info.container_runtime_version,
        kernel_version=info.kernel_version,
        architecture=info.architecture,
        cpus=cpus(node) or 0,
        handler=handler or "",
    )
    return pool if all((info.container_runtime_version, info.kernel_version, info.architecture, pool.cpus)) else None


def cpus(node: Node) -> int | None:
    """How many the node says it has, None where it does not."""
    try:
        count = quantity.value(node.status.capacity.get("cpu", ""))
    except quantity.QuantityError:
        return None
    return min(count, MOST_CPUS) if count > 0 else None


def failed_bytes(tries: Iterable[Try]) -> int:
    """The largest limit with which a try failed; 0 when none did."""
    return max((entry.limit_bytes for entry in tries if entry.failed), default=0)


def ready_bytes(tries: Iterable[Try]) -> int | None:
    """The smallest limit from which on every try's pod became ready; None when there is no such limit."""
    tries = tuple(tries)
    above = failed_bytes(tries)
    return min((entry.limit_bytes for entry in tries if entry.ready and entry.limit_bytes > above), default=None)


def decode(text: bytes, name: str) -> tuple[Measurement, ...]:
    """The measurements of a YAML or JSON text, only the newest of each node and pool. `name` is what the user calls the
    text. Raises MeasuredMinimumError."""
    if len(text) > MOST_BYTES:
        raise _refuse(name, f"is larger than {quantity.format_bytes(MOST_BYTES)}: not a {KIND}")
    value = _value(text, name)
    head = _converted(value, _Head, name) if isinstance(value, dict) else _Head()
    if (head.api_version, head.kind) != (API_VERSION, KIND):
        raise _refuse(name, f"is {_described(head)}, not a {KIND} of {API_VERSION}")
    items: tuple[Measurement, ...] = _converted(value, SandboxMinimumList, name).items
    for number, item in enumerate(items):
        fault = _fault(item)
        if fault:
            raise _refuse(name, f"items[{number}]: {fault}")
    return merge((), items)


def encode(measurements: Iterable[Measurement]) -> str:
    """As YAML, which `decode` reads."""
    import yaml

    plain = msgspec.to_builtins(SandboxMinimumList(items=tuple(measurements)))
    text: str = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, allow_unicode=True, width=2**31)
    return text


def merge(old: Iterable[Measurement], new: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Both, with only the newest of each node and pool; what is equally old comes from `new`."""
    newest: dict[tuple[str, Pool], Measurement] = {}
    for entry in (*old, *new):
        key = entry.node, entry.pool
        if key not in newest or newest[key].taken_at <= entry.taken_at:
            newest[key] = entry
    return tuple(newest.values())


def _value(text: bytes, name: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _yaml_value(text, name)


def _yaml_value(text: bytes, name: str) -> Any:
    """All scalars as text: a kernel version 6.10 is not the number 6.1."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return yaml.load(text, loader)
    except RecursionError:
        raise _refuse(name, f"nested too deeply: not a {KIND}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise _refuse(name, f"{where}not valid YAML: {said}") from None


def _converted(value: Any, type_: Any, name: str) -> Any:
    try:
        with BUILDING:
            return msgspec.convert(value, type_, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _refuse(name, _in_words(str(error))) from None


def _in_words(said: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.items[0].x`" with the place in front."""
    fault, _, place = said.replace("`", "").partition(" - at $")
    fault = fault[:1].lower() + fault[1:]
    return f"{place.lstrip('.')}: {fault}" if place else fault


def _described(head: _Head) -> str:
    if not head.kind:
        return "something without a kind"
    return f"a {head.kind} of {head.api_version or 'no apiVersion'}"


def _refuse(name: str, what: str) -> MeasuredMinimumError:
    return MeasuredMinimumError(clean(f"{name}: {what}"))


def _fault(item: Measurement) -> str:
    """What makes the figures of a measurement impossible together."""
    for name, tries in (("tries", item.tries), ("sandboxTries", item.sandbox_tries)):
        if len({entry.limit_bytes for entry in tries}) < len(tries):
            return f"{name} has a limit twice"
        if not all(entry.ready or entry.failed for entry in tries):
            return f"{name} has a limit that was not tried"
    if item.failed_bytes >= item.ready_bytes:
        return f"failedBytes {item.failed_bytes} is not below readyBytes {item.ready_bytes}"
    if item.failed_bytes != failed_bytes(item.tries):
        return f"failedBytes is {item.failed_bytes}, but by its tries it is {failed_bytes(item.tries)}"
    if item.ready_bytes != ready_bytes(item.tries):
        return f"readyBytes is {item.ready_bytes}, but by its tries it is {ready_bytes(item.tries) or 'not known'}"
    return ""
