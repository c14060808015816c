"""Label and field selectors, answered here as the API server would.

https://github.com/kubernetes/apimachinery/blob/v0.37.0/pkg/labels/selector.go
https://github.com/kubernetes/apimachinery/blob/v0.37.0/pkg/fields/selector.go
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_memdoctor.cluster.recording.forms import SelectablePod
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import EVENTS, PODS, ApiObject, Event, Resource


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part of a selector. `values` None asks only whether the key is there (`wanted`) or not."""

    key: str
    values: frozenset[str] | None
    wanted: bool

    def matches(self, given: Mapping[str, str]) -> bool:
        if self.values is None or self.key not in given:
            return (self.key in given) == self.wanted
        return (given[self.key] in self.values) == self.wanted


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    name: str
    read: Callable[[Any], str]
    value: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Selector:
    """Which objects are meant."""

    namespace: str | None
    """None: all of them."""
    type: type[ApiObject] | None
    """How objects must be read for this; None: as usual."""
    labels: tuple[Requirement, ...]
    fields: tuple[FieldRequirement, ...]

    def matches(self, entry: Any) -> bool:
        if self.namespace is not None and entry.metadata.namespace != self.namespace:
            return False
        if not all((field.read(entry) == field.value) == field.wanted for field in self.fields):
            return False
        return all(requirement.matches(entry.metadata.labels) for requirement in self.labels)

    def takes_all(self) -> bool:
        return self.namespace is None and not self.labels and not self.fields

    def words(self) -> Iterator[bytes]:
        """Texts that stand in every object that is meant."""
        for field in self.fields:
            if field.wanted and field.value:
                yield field.value.encode()
        for requirement in self.labels:
            if requirement.values is not None and len(requirement.values) == 1 and requirement.wanted:
                yield next(iter(requirement.values)).encode()


def selector(resource: Resource[Any], namespace: str | None, label_selector: str, field_selector: str) -> Selector:
    """Raises AccessError in the API server's words."""
    try:
        fields = tuple(_fields(field_selector, resource))
        more = resource.name == PODS.name and any(field.name not in _TYPED_POD_FIELDS for field in fields)
        return Selector(
            namespace=namespace if resource.namespaced else None,
            type=SelectablePod if more else None,
            labels=tuple(_labels(label_selector)),
            fields=fields,
        )
    except ValueError as error:
        group_version = resource.api_version if "/" in resource.api_version else f"/{resource.api_version}"
        raise AccessError(
            f'Error from server (BadRequest): Unable to find "{group_version}, Resource={resource.name}" that match'
            f' label selector "{label_selector}", field selector "{field_selector}": {error}'
        ) from None


_WORD = r"[^\s!=,()<>]+"
_LABEL_PARTS = re.compile(r"(?:[^,(]|\([^)]*\)?)+|(?<=,)(?=,|$)|^(?=,)")
_EXISTS = re.compile(rf"(!?)\s*({_WORD})")
_EQUAL = re.compile(rf"({_WORD})\s*(==?|!=)\s*({_WORD}|)")
_SET = re.compile(rf"({_WORD})\s+(in|notin)\s*\(([^()]*)\)")


def _labels(text: str) -> Iterator[Requirement]:
    if not text.strip():
        return
    for part in _LABEL_PARTS.findall(text):
        yield _label(part.strip())


def _label(part: str) -> Requirement:
    if found := _EXISTS.fullmatch(part):
        return Requirement(found[2], None, not found[1])
    if found := _EQUAL.fullmatch(part):
        return _with_values(found[1], frozenset({found[3]}), found[2] != "!=")
    if found := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in found[3].split(","))
        return _with_values(found[1], values, found[2] == "in")
    raise ValueError(f"unable to parse requirement: {part!r}")


_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def _with_values(key: str, values: frozenset[str], wanted: bool) -> Requirement:
    for value in sorted(values):
        if not _LABEL_VALUE.fullmatch(value):
            raise ValueError(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}"')
    return Requirement(key, values, wanted)


def escaped(value: str) -> str:
    """A value as it stands in a field selector."""
    return re.sub(r"([\\,=])", r"\\\1", value)


_ESCAPED = re.compile(r"\\([\\,=])")
_FIELD_PARTS = re.compile(r"(?:[^,\\]|\\.?)+")
_FIELD = re.compile(r"((?:[^=!\\]|\\.)*)(==|=|!=)((?:[^=\\]|\\.)*)")


def _fields(text: str, resource: Resource[Any]) -> Iterator[FieldRequirement]:
    for part in _FIELD_PARTS.findall(text):
        found = _FIELD.fullmatch(part)
        if found is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        read = _readable(resource).get(found[1])
        if read is None:
            raise ValueError(f"field label not supported: {found[1]}")
        yield FieldRequirement(found[1], read, _ESCAPED.sub(r"\1", found[3]), found[2] != "!=")


def _readable(resource: Resource[Any]) -> Mapping[str, Callable[[Any], str]]:
    return {**_METADATA, **_FIELDS.get(resource.name, {})}


_TYPED_POD_FIELDS = frozenset({"metadata.name", "metadata.namespace", "spec.nodeName", "status.phase"})
"""Those that a Pod has without being read as a SelectablePod."""

_METADATA: dict[str, Callable[[Any], str]] = {
    "metadata.name": lambda entry: str(entry.metadata.name),
    "metadata.namespace": lambda entry: str(entry.metadata.namespace),
}
_FIELDS: dict[str, dict[str, Callable[[Any], str]]] = {
    PODS.name: {
        "spec.nodeName": lambda pod: str(pod.spec.node_name),
        "spec.restartPolicy": lambda pod: str(pod.spec.restart_policy),
        "spec.schedulerName": lambda pod: str(pod.spec.scheduler_name),
        "spec.serviceAccountName": lambda pod: str(pod.spec.service_account_name),
        "spec.hostNetwork": lambda pod: str(pod.spec.host_network).lower(),
        "status.phase": lambda pod: str(pod.status.phase),
        "status.podIP": lambda pod: pod.status.pod_ips[0].ip if pod.status.pod_ips else str(pod.status.pod_ip),
        "status.nominatedNodeName": lambda pod: str(pod.status.nominated_node_name),
    },
    EVENTS.name: {
        "involvedObject.kind": lambda event: str(event.involved_object.kind),
        "involvedObject.namespace": lambda event: str(event.involved_object.namespace),
        "involvedObject.name": lambda event: str(event.involved_object.name),
        "involvedObject.uid": lambda event: str(event.involved_object.uid),
        "involvedObject.fieldPath": lambda event: str(event.involved_object.field_path),
        "reason": lambda event: str(event.reason),
        "reportingComponent": lambda event: str(event.reporting_component),
        "source": lambda event: _source(event),
        "type": lambda event: str(event.type),
    },
}
"""https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/apis/core/v1/conversion.go, and the core registries"""


def _source(event: Event) -> str:
    """https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/registry/core/event/strategy.go (ToSelectableFields)"""
    return event.source.component or event.reporting_component
