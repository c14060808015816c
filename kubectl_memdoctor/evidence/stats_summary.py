"""A kubelet's /stats/summary -> what containers, pods and the node use now, and when the node started.

https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from msgspec import field

from kubectl_memdoctor.evidence.node_evidence import ContainerUsage, NodeEvidence
from kubectl_memdoctor.objects import ApiObject, Time, decode

SOURCE = "kubelet"
"""ContainerUsage.source of these."""
_NO_TIME = datetime(1970, 1, 2, tzinfo=UTC)
"""A kubelet that does not know when its node started gives the year 1:
https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/kubelet/server/stats/summary.go"""


class _Memory(ApiObject, frozen=True, gc=False):
    time: Time | None = None
    working_set_bytes: int | None = None


class _Container(ApiObject, frozen=True, gc=False):
    name: str = ""
    memory: _Memory | None = None


class _PodReference(ApiObject, frozen=True, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""


class _Pod(ApiObject, frozen=True, gc=False):
    pod_ref: _PodReference = _PodReference()
    containers: tuple[_Container, ...] = ()
    memory: _Memory | None = None


class _Node(ApiObject, frozen=True, gc=False):
    node_name: str = ""
    start_time: Time | None = None
    memory: _Memory | None = None


class _Summary(ApiObject, frozen=True, gc=False):
    node: _Node = field(default_factory=_Node)
    pods: tuple[_Pod, ...] = ()


def read_summary(data: bytes, node: str = "") -> NodeEvidence:
    """Usages of containers, of pods (container "") and of the node (namespace and pod "" as well); the node's start.

    Without `node` it is as the summary names it. Raises ValueError where `data` is no JSON object.
    """
    try:
        summary = decode(data, _Summary)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not a summary: {error}") from None
    name, started = node or summary.node.node_name, summary.node.start_time
    boots = {name: started} if started is not None and started > _NO_TIME else {}
    return NodeEvidence(usages=tuple(_usages(summary, name)), boots=boots)


def _usages(summary: _Summary, node: str) -> Iterator[ContainerUsage]:
    yield from _usage(_PodReference(), "", summary.node.memory, node)
    for pod in summary.pods:
        yield from _usage(pod.pod_ref, "", pod.memory, node)
        for container in pod.containers:
            yield from _usage(pod.pod_ref, container.name, container.memory, node)


def _usage(pod: _PodReference, container: str, memory: _Memory | None, node: str) -> Iterator[ContainerUsage]:
    """None where the kubelet has no number yet, as of what has just started or has ended."""
    if memory is None or memory.working_set_bytes is None or memory.working_set_bytes < 0:
        return
    yield ContainerUsage(
        namespace=pod.namespace,
        pod=pod.name,
        container=container,
        working_set_bytes=memory.working_set_bytes,
        source=SOURCE,
        pod_uid=pod.uid,
        time=memory.time,
        node=node,
    )
