"""Which objects a question means, by namespace, labels and fields, answered here as the API server does.

https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/fields/selector.go
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

from msgspec import Struct

from kubectl_memdoctor.cluster.recording.forms import SelectablePod
from kubectl_memdoctor.cluster.recording.label_selector import Requirement, SelectorError, parse_labels
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import EVENTS, PODS, ApiObject, Resource


class FieldRequirement(Struct, frozen=True):
    name: str
    read: Callable[[Any], Any]
    value: str
    wanted: bool


class Selector(Struct, frozen=True):
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
        """Texts that stand, as they are, in the JSON of every object that is meant."""
        values = [field.value for field in self.fields if field.wanted and field.name != "spec.hostNetwork"]
        values += [
            value
            for label in self.labels
            if label.operator == "in" and len(label.values) == 1
            for value in label.values
        ]
        return (value.encode() for value in values if _PLAIN.fullmatch(value))


def selector(resource: Resource[Any], namespace: str | None, label_selector: str, field_selector: str) -> Selector:
    """Raises AccessError in the API server's words."""
    try:
        fields = tuple(_fields(field_selector, resource))
        more = resource == PODS and any(field.name not in _TYPED_POD_FIELDS for field in fields)
        return Selector(
            namespace=namespace if resource.namespaced else None,
            type=SelectablePod if more else None,
            labels=parse_labels(label_selector),
            fields=fields,
        )
    except SelectorError as error:
        group_version = resource.api_version if "/" in resource.api_version else f"/{resource.api_version}"
        raise AccessError(
            f'Error from server (BadRequest): Unable to find "{group_version}, Resource={resource.name}" that match'
            f' label selector "{label_selector}", field selector "{field_selector}": {error}'
        ) from None


def escaped(value: str) -> str:
    """A value as it stands in a field selector."""
    return re.sub(r"([\\,=])", r"\\\1", value)


_PLAIN = re.compile(r"[-A-Za-z0-9_.]+")
"""What no program escapes but as \\u...."""
_TERM = re.compile(r"(?:[^,\\]|\\.?)+", re.DOTALL)
_OPERATOR = re.compile(r"!=|==|=")
_ESCAPE = re.compile(r"\\(.?)|[,=]", re.DOTALL)


def _fields(text: str, resource: Resource[Any]) -> Iterator[FieldRequirement]:
    readable = {**_METADATA, **_FIELDS.get(resource.group_resource, {})}
    for term in _TERM.findall(text):
        operator = _OPERATOR.search(term)
        if operator is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        name = term[: operator.start()]
        value = _ESCAPE.sub(_unescaped, term[operator.end() :])
        if name not in readable:
            raise SelectorError(f"field label not supported: {name}")
        yield FieldRequirement(name, readable[name], value, operator[0] != "!=")


def _unescaped(found: re.Match[str]) -> str:
    if found[1] is None:
        raise SelectorError(f"invalid field selector: unescaped character in value: {ord(found[0])}")
    if found[1] not in ("\\", ",", "="):
        raise SelectorError(f"invalid field selector: invalid escape sequence: {found[0]}")
    return found[1]


_TYPED_POD_FIELDS = frozenset({"metadata.name", "metadata.namespace", "spec.nodeName", "spec.host", "status.phase"})
"""Those that a Pod has without being read as a SelectablePod."""

_METADATA: dict[str, Callable[[Any], Any]] = {
    "metadata.name": attrgetter("metadata.name"),
    "metadata.namespace": attrgetter("metadata.namespace"),
}
_FIELDS: dict[str, dict[str, Callable[[Any], Any]]] = {
    PODS.group_resource: {
        "spec.host": attrgetter("spec.node_name"),
        "spec.nodeName": attrgetter("spec.node_name"),
        "spec.restartPolicy": attrgetter("spec.restart_policy"),
        "spec.schedulerName": attrgetter("spec.scheduler_name"),
        "spec.serviceAccountName": attrgetter("spec.service_account_name"),
        "spec.hostNetwork": lambda pod: str(pod.spec.host_network).lower(),
        "status.phase": attrgetter("status.phase"),
        "status.podIP": lambda pod: pod.status.pod_ips[0].ip if pod.status.pod_ips else str(pod.status.pod_ip),
        "status.podIPs": lambda pod: "",
        "status.nominatedNodeName": attrgetter("status.nominated_node_name"),
    },
    EVENTS.group_resource: {
        "involvedObject.kind": attrgetter("involved_object.kind"),
        "involvedObject.namespace": attrgetter("involved_object.namespace"),
        "involvedObject.name": attrgetter("involved_object.name"),
        "involvedObject.uid": attrgetter("involved_object.uid"),
        "involvedObject.fieldPath": attrgetter("involved_object.field_path"),
        "reason": attrgetter("reason"),
        "reportingComponent": attrgetter("reporting_component"),
        "source": lambda event: event.source.component or event.reporting_component,
        "type": attrgetter("type"),
    },
}
"""https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/v1/conversion.go
https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/registry/core/pod/strategy.go (ToSelectableFields)
https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/registry/core/event/strategy.go (ToSelectableFields)"""
