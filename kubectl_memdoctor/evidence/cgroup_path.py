"""Cgroup paths as kubelet and runtimes make them -> pod uid, container id, and which level of the tree it is.

The kubelet names the cgroups down to the pod, in one of two spellings, and the runtime those below it:

    cgroupfs  /kubepods/burstable/pod<uid>/<id>
    systemd   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope

https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/cm/cgroup_manager_linux.go (CgroupName.ToSystemd)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace


class Level(StrEnum):
    """Whose memory limit a cgroup carries."""

    CONTAINER = "container"
    """A container's (or sandbox's) own cgroup, or one below it."""
    POD = "pod"
    QOS = "qos class"
    """All pods of one QoS class: kubepods/burstable, kubepods/besteffort."""
    ALLOCATABLE = "node allocatable"
    """All pods together: kubepods."""
    NODE = "node"
    """The root: the node's own memory."""
    OTHER = "other"
    """A cgroup that is not Kubernetes'."""


class CgroupPath(Struct, frozen=True):
    """`path` as it was written. `pod_uid` is metadata.uid with dashes, or of a static pod its 32-digit config hash."""

    path: str
    level: Level
    pod_uid: str = ""
    container_id: str = ""
    engine: str = ""
    """containerd, cri-o or docker, where the path names it."""
    qos_class: str = ""
    """Guaranteed, Burstable or BestEffort, from the QoS class's own cgroup downwards; "" above."""


def read_cgroup_path(path: str) -> CgroupPath:
    """Never fails: what is not known to be Kubernetes' is Level.OTHER, `/` and `` are Level.NODE.

    A uid is taken only where it stands as pod<uid> straight below kubepods or a QoS class of it. Whatever leads there
    may be anything: a node that is itself a container, or --cgroup-root. Of several the outermost counts: that one the
    node's own kubelet made, while what is below a container may be named by the container.
    """
    if path in ("", "/"):
        return CgroupPath(path, Level.NODE)
    components = _components(path)
    for index in range(len(components)):
        place = _slice_at(components, index) or _directory_at(components, index)
        if place is not None:
            return _below(path, place, components[place.end :])
    return CgroupPath(path, Level.OTHER)


def read_cgroup_name(name: str) -> CgroupPath:
    """Of a cgroup whose last name is all that is known; `path` is that name.

    It names a pod or a container only where it is written out in full. Whatever it is below is not known, so a pod that
    a kubelet inside of a container made looks like one of the node's own: its uid is none of theirs.
    """
    pod, container = _POD_DIRECTORY.fullmatch(name), _CONTAINER.fullmatch(name)
    if pod:
        return CgroupPath(name, Level.POD, pod[1])
    if container:
        return CgroupPath(name, Level.CONTAINER, container_id=container[2], engine=_ENGINES.get(container[1] or "", ""))
    return replace(read_cgroup_path(f"/{name}"), path=name)


class _Place(Struct, frozen=True):
    """A cgroup that the kubelet made; `end` is the index of the first component below it."""

    level: Level
    end: int
    qos_class: str = ""
    pod_uid: str = ""
    scope: str = ""
    """The container's part of a component that names pod and container at once."""


def _below(path: str, place: _Place, rest: Sequence[str]) -> CgroupPath:
    if not place.pod_uid:
        return CgroupPath(path, place.level, qos_class=place.qos_class)
    if not rest and not place.scope:
        return CgroupPath(path, Level.POD, place.pod_uid, qos_class=place.qos_class)
    container_id, engine = _container(place.scope, rest)
    return CgroupPath(path, Level.CONTAINER, place.pod_uid, container_id, engine, place.qos_class)


LONGEST_NAME = 255
"""NAME_MAX: no cgroup can have a longer name."""

_HOST_FOLDERS = frozenset(("dev", "etc", "home", "mnt", "opt", "proc", "run", "sys", "tmp", "usr", "var"))
"""A path that begins with one of these is a file's."""
_MOUNT_POINT = ["sys", "fs", "cgroup"]


def _components(path: str) -> list[str]:
    """[] for what cannot be a cgroup's path: a file's, a relative one, one that goes up again on its way.

    A path seen from another cgroup namespace begins with `..`: https://man7.org/linux/man-pages/man7/cgroup_namespaces.7.html
    """
    components = [name for name in path.split("/") if name]
    if components[:3] == _MOUNT_POINT:
        components = components[3:]
    climbs = next((index for index, name in enumerate(components) if name != ".."), len(components))
    if not path.startswith("/") or ".." in components[climbs:] or any(len(name) > LONGEST_NAME for name in components):
        return []
    return [] if components and components[0] in _HOST_FOLDERS else components


_QOS_CLASSES = {"": "Guaranteed", "burstable": "Burstable", "besteffort": "BestEffort"}

_UUID = r"[0-9a-f]{8}{0}[0-9a-f]{4}{0}[0-9a-f]{4}{0}[0-9a-f]{4}{0}[0-9a-f]{12}"
_CONFIG_HASH = r"[0-9a-f]{32}"
"""https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/config/common.go (applyDefaults)"""

_POD_DIRECTORY = re.compile(rf"pod({_UUID.replace('{0}', '-')}|{_CONFIG_HASH})")
_KUBEPODS_SLICE = re.compile(
    r"(?:[^:]{1,200}-)?kubepods(?:-(?P<qos>burstable|besteffort))?"
    rf"(?:-pod(?P<uid>{_UUID.replace('{0}', '_')}|{_CONFIG_HASH}))?\.slice"
    r"(?::(?P<scope>[a-z][a-z_-]{0,40}:[0-9a-f]{64}))?"
)


def _directory_at(components: Sequence[str], index: int) -> _Place | None:
    if components[index] != "kubepods":
        return None
    below = index + 1
    qos = components[below] if below < len(components) and components[below] in ("burstable", "besteffort") else ""
    below += bool(qos)
    if below == len(components):
        return _shared(qos, below)
    pod = _POD_DIRECTORY.fullmatch(components[below])
    return _Place(Level.POD, below + 1, _QOS_CLASSES[qos], pod[1]) if pod else None


def _slice_at(components: Sequence[str], index: int) -> _Place | None:
    found = _KUBEPODS_SLICE.fullmatch(components[index])
    if not found:
        return None
    qos, uid, scope = found["qos"] or "", found["uid"] or "", found["scope"] or ""
    if uid and (scope or _has_its_parents(components, index)):
        return _Place(Level.POD, index + 1, _QOS_CLASSES[qos], uid.replace("_", "-"), scope)
    is_last = index + 1 == len(components)
    return _shared(qos, index + 1) if is_last and not uid and _has_its_parents(components, index) else None


def _shared(qos: str, end: int) -> _Place:
    """Of all pods, or of all pods of a class."""
    return _Place(Level.QOS, end, _QOS_CLASSES[qos]) if qos else _Place(Level.ALLOCATABLE, end)


def _has_its_parents(components: Sequence[str], index: int) -> bool:
    """systemd puts a-b.slice below a.slice; another cgroup namespace may show no more than the last of them.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.slice.html
    """
    stem = components[index].removesuffix(".slice")
    while "-" in stem:
        stem, index = stem.rpartition("-")[0], index - 1
        if index < 0 or components[index] == "..":
            return True
        if components[index] != f"{stem}.slice":
            return False
    return True


_ENGINES = {"cri-containerd": "containerd", "crio": "cri-o", "crio-conmon": "cri-o", "docker": "docker"}
_CONTAINER = re.compile(r"(?:([a-z][a-z_-]{0,40})[-:])?([0-9a-f]{64})(?:\.scope)?")
"""All three engines make ids of 64 digits. With a colon: a runtime that uses cgroupfs where the kubelet uses systemd
takes the whole `slice:prefix:id` for a name (https://github.com/containerd/containerd/blob/v2.1.0/internal/cri/server/podsandbox/helpers.go)."""


def _container(scope: str, rest: Sequence[str]) -> tuple[str, str]:
    """Container id and engine; what lies below the container's cgroup is its own affair."""
    found = _CONTAINER.fullmatch(scope or rest[0])
    if found:
        return found[2], _ENGINES.get(found[1] or "", "")
    below = _CONTAINER.fullmatch(rest[1]) if len(rest) > 1 and rest[0] in _ENGINES else None
    return (below[2], _ENGINES[rest[0]]) if below else ("", "")
