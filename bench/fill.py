"""Fills an API server's etcd with copies of real objects, some ten thousand a second."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator

from cluster.control_plane import ControlPlane

from bench.etcd import Entry, Etcd
from bench.fleet import (
    NAMESPACES,
    PODS_PER_EVENT,
    PODS_PER_NODE,
    PODS_PER_WORKLOAD,
    Place,
    bad_workloads,
    namespace_name,
    node_name,
    place,
    state,
)
from bench.templates import Templates, templates

SEEN_SECONDS = 300.0


def fill_pods(plane: ControlPlane, pods: int) -> Templates:
    """Namespaces, pods, and of those that something is to be found about the nodes, owners and events."""
    with Etcd(plane.etcd) as etcd:
        made = templates(plane.api(), etcd.value)
        bad = bad_workloads(pods)
        nodes = dict.fromkeys(workload * PODS_PER_WORKLOAD // PODS_PER_NODE for workload in bad)
        etcd.put(itertools.chain(_namespaces(made), _nodes(made, nodes), _owners(made, bad), _told(made, bad)))
        etcd.put(_pods(made, pods))
    _wait_until_seen(plane, "/api/v1/pods", pods)
    return made


def fill_beside(plane: ControlPlane, made: Templates, pods: int) -> None:
    """What a cluster of so many pods holds besides: nodes, ReplicaSets, Deployments, and Warnings of no interest."""
    with Etcd(plane.etcd) as etcd:
        etcd.put(_nodes(made, range(pods // PODS_PER_NODE)))
        etcd.put(_owners(made, range(pods // PODS_PER_WORKLOAD)))
        etcd.put(_unhealthy(made, pods))
    told = sum(len(made.workloads[state(workload)].told) for workload in bad_workloads(pods))
    _wait_until_seen(plane, "/api/v1/events", pods // PODS_PER_EVENT + told)


def _namespaces(made: Templates) -> Iterator[Entry]:
    for number in range(NAMESPACES):
        yield made.namespace.at(Place(number, number, namespace_name(number), node_name(0)))


def _nodes(made: Templates, numbers: Iterable[int]) -> Iterator[Entry]:
    return (made.node.at(place(number * PODS_PER_NODE)) for number in numbers)


def _owners(made: Templates, workloads: Iterable[int]) -> Iterator[Entry]:
    for workload in workloads:
        for owner in made.workloads[state(workload)].owners:
            yield owner.at(place(workload * PODS_PER_WORKLOAD))


def _told(made: Templates, workloads: Iterable[int]) -> Iterator[Entry]:
    for workload in workloads:
        for event in made.workloads[state(workload)].told:
            yield event.at(place(workload * PODS_PER_WORKLOAD))


def _pods(made: Templates, pods: int) -> Iterator[Entry]:
    for number in range(pods):
        workload, member = divmod(number, PODS_PER_WORKLOAD)
        of = made.other_pod if member else made.workloads[state(workload)].first_pod
        yield of.at(place(number))


def _unhealthy(made: Templates, pods: int) -> Iterator[Entry]:
    """About every other pod, which is none of the first ones."""
    return (made.unhealthy.at(place(number)) for number in range(1, pods, PODS_PER_EVENT))


def _wait_until_seen(plane: ControlPlane, path: str, number: int) -> None:
    """Until the API server's own cache holds them all."""
    deadline = time.monotonic() + SEEN_SECONDS
    while _seen(plane, path) != number:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path}: {_seen(plane, path)} of {number} after {SEEN_SECONDS:.0f} s")
        time.sleep(0.2)


def _seen(plane: ControlPlane, path: str) -> int:
    first = plane.api().call("GET", f"{path}?limit=1")
    return len(first["items"]) + int(first["metadata"].get("remainingItemCount", 0))
