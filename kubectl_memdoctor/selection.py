"""Which pods are meant: by name, as TYPE/NAME of what they come from, by label, by namespace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from kubectl_memdoctor.cluster.source import AccessError, NotFound
from kubectl_memdoctor.objects import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    LabelSelector,
    Pod,
    Resource,
)
from kubectl_memdoctor.reading import Reading

WITH_SELECTOR: tuple[Resource[Any], ...] = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS)
HOLDERS: tuple[Resource[Any], ...] = (*WITH_SELECTOR, REPLICATION_CONTROLLERS, CRON_JOBS)
"""What `TYPE/NAME` may name besides a pod."""

_OPERATORS = {"In": "in", "NotIn": "notin"}


class Selection(Struct, frozen=True):
    """`namespaces` None means all of them. `names` are pods, or TYPE/NAME."""

    namespaces: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    label_selector: str = ""
    field_selector: str = ""

    def scopes(self) -> tuple[str | None, ...]:
        """The namespaces to ask for one after the other; None is all at once."""
        return (None,) if self.namespaces is None else self.namespaces

    def is_whole_cluster(self) -> bool:
        return self.namespaces is None and not (self.names or self.label_selector or self.field_selector)

    def pod_names(self) -> tuple[str, ...]:
        """The names, where all of them are names of pods; else none."""
        targets = [parse_target(name) for name in self.names]
        return tuple(name for resource, name in targets) if all(entry[0] is PODS for entry in targets) else ()


def parse_target(text: str) -> tuple[Resource[Any], str]:
    """`web-1` or `deploy/web` -> what it is and its name. Raises AccessError in kubectl's words."""
    kind, slash, name = text.partition("/")
    if not slash:
        return PODS, text
    if not name or "/" in name:
        raise AccessError(f"error: arguments in resource/name form must have a single resource and name, not {text!r}")
    for resource in (PODS, *HOLDERS):
        if kind.lower() in (resource.name, resource.group_resource, resource.kind.lower(), *resource.short_names):
            return resource, name
    raise AccessError(
        f'error: no pods come from a resource of type "{kind}"; use a pod name or one of {_known_types()}'
    )


def _known_types() -> str:
    return ", ".join(f"{resource.short_names[-1]}/NAME" for resource in HOLDERS)


def find_pods(reading: Reading, selection: Selection) -> tuple[tuple[Pod, ...], tuple[str, ...]]:
    """The pods that are meant, each once, and a line for each name that does not exist.

    Raises NotFound when no name exists, AccessError when pods cannot be read.
    """
    if not selection.names:
        found = reading.start(lambda: list(_by_label(reading, selection)))
        return tuple(found.answer()), ()
    asked = [
        reading.start(lambda target=target, scope=scope: list(_by_name(reading, scope, *target)))  # type: ignore[misc]
        for target in [parse_target(name) for name in selection.names]
        for scope in selection.scopes()
    ]
    pods: dict[str, Pod] = {}
    errors: list[str] = []
    for answer in asked:
        try:
            pods.update((identity(pod), pod) for pod in answer.answer())
        except NotFound as error:
            errors.append(str(error))
    if not pods and errors:
        raise NotFound("\n".join(errors))
    return tuple(pods.values()), tuple(errors)


def identity(pod: Pod) -> str:
    """The uid, or in a recording without uids the full name."""
    return pod.metadata.uid or f"{pod.metadata.namespace}/{pod.metadata.name}"


def each_once(pods: Iterable[Pod]) -> Iterator[Pod]:
    """The pods without repetitions."""
    return iter({identity(pod): pod for pod in pods}.values())


def _by_label(reading: Reading, selection: Selection) -> Iterator[Pod]:
    for scope in selection.scopes():
        yield from _pods(reading, scope, selection.label_selector, selection.field_selector)


def _by_name(reading: Reading, namespace: str | None, resource: Resource[Any], name: str) -> Iterator[Pod]:
    if resource is not PODS:
        yield from _of_holder(reading, namespace, resource, name)
    elif namespace is None:
        yield from _anywhere(reading, PODS, name)
    else:
        yield reading.source.get(PODS, namespace, name)


def _anywhere(reading: Reading, resource: Resource[Any], name: str) -> list[Any]:
    """Objects of that name in all namespaces."""
    pages = reading.source.list(resource, None, field_selector=f"metadata.name={name}")
    found = [entry for page in pages for entry in page.items if entry.metadata.name == name]
    if not found:
        raise NotFound(f'Error from server (NotFound): {resource.group_resource} "{name}" not found')
    return found


def _of_holder(reading: Reading, namespace: str | None, resource: Resource[Any], name: str) -> Iterator[Pod]:
    if namespace is None:
        holders = _anywhere(reading, resource, name)
    else:
        holders = [reading.source.get(resource, namespace, name)]
    for holder in holders:
        yield from _of_one_holder(reading, resource, holder)


def _of_one_holder(reading: Reading, resource: Resource[Any], holder: Any) -> Iterator[Pod]:
    namespace = holder.metadata.namespace
    if resource is CRON_JOBS:
        jobs = (job for page in reading.source.list(JOBS, namespace) for job in page.items)
        owned = [job for job in jobs if _is_owned(job, "CronJob", holder.metadata.name)]
        for job in owned:
            yield from _of_one_holder(reading, JOBS, job)
        return
    if resource is REPLICATION_CONTROLLERS:
        selector = ",".join(f"{key}={value}" for key, value in sorted(holder.spec.selector.items()))
    else:
        selector = selector_text(holder.spec.selector)
    if selector:
        yield from _pods(reading, namespace, selector, "")


def _is_owned(entry: Any, kind: str, name: str) -> bool:
    controller = entry.metadata.controller()
    return controller is not None and controller.kind == kind and controller.name == name


def selector_text(selector: LabelSelector) -> str:
    """A label selector as the API's query parameter takes it."""
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for requirement in selector.match_expressions:
        if requirement.operator in _OPERATORS:
            operator = _OPERATORS[requirement.operator]
            parts.append(f"{requirement.key} {operator} ({','.join(requirement.values)})")
        else:
            parts.append(f"!{requirement.key}" if requirement.operator == "DoesNotExist" else requirement.key)
    return ",".join(parts)


def _pods(reading: Reading, namespace: str | None, label_selector: str, field_selector: str) -> Iterator[Pod]:
    """By namespace and name, as an API server lists them; a recording may hold them in any order."""
    pages = reading.source.list(PODS, namespace, label_selector=label_selector, field_selector=field_selector)
    found = (pod for page in pages for pod in page.items)
    yield from sorted(found, key=lambda pod: (pod.metadata.namespace, pod.metadata.name))
