"""What `docker ps -a`, `crictl pods`, `crictl ps -a` and `nerdctl ps -a` list: pods' sandboxes, and whose each id is.

Rows of tables are known by their form: neither widths nor lost spaces matter, and what grep left of a table is still
read. JSON is read as each tool prints it, YAML as crictl does. `ctr containers ls` names no pods, so it is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor.evidence.node_evidence import SandboxListing

ID_LETTERS = 12
"""docker shows as many of an id, crictl 13: enough to tell a node's containers apart."""

SANDBOX = "POD"
"""What dockershim, CRI-O and the kubelet call the sandbox's container."""


class ListedContainer(Struct, frozen=True):
    """`container` is SANDBOX for a sandbox, "" where it is not told whether it is one. `pod_uid` is "" where the
    listing has none."""

    namespace: str
    pod: str
    pod_uid: str
    container: str


class _Row(Struct, frozen=True):
    id: str
    owner: ListedContainer
    state: str
    attempt: int | None


def read_listing(text: str, file: str = "", node: str = "") -> tuple[SandboxListing, ...] | None:
    """The sandboxes of each pod; () for a listing without any. None: it is no listing."""
    rows = _rows(text)
    if rows is None:
        return None
    pods: dict[ListedContainer, list[_Row]] = {}
    for row in rows:
        if row.owner.container == SANDBOX and row.state:
            pods.setdefault(row.owner, []).append(row)
    return tuple(_listing(pod, sandboxes, file, node) for pod, sandboxes in pods.items())


def _listing(pod: ListedContainer, sandboxes: list[_Row], file: str, node: str) -> SandboxListing:
    return SandboxListing(
        namespace=pod.namespace,
        name=pod.pod,
        pod_uid=pod.pod_uid,
        count=len(sandboxes),
        states=dict(Counter(row.state for row in sandboxes)),
        highest_attempt=max((row.attempt for row in sandboxes if row.attempt is not None), default=None),
        file=file,
        node=node,
    )


def listed_ids(text: str) -> Mapping[str, ListedContainer]:
    """The first ID_LETTERS of each id -> whose it is; {} for what is no listing."""
    return {row.id[:ID_LETTERS]: row.owner for row in _rows(text) or () if len(row.id) >= ID_LETTERS}


def read_docker_name(name: str) -> tuple[ListedContainer, int | None] | None:
    """`k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, and the attempt. A name that was taken got a number behind it.
    https://github.com/kubernetes/kubernetes/blob/v1.18.0/pkg/kubelet/dockershim/naming.go
    """
    parts = name.removeprefix("/").split("_")
    if len(parts) not in (6, 7) or parts[0] != "k8s" or not all(parts):
        return None
    _, container, pod, namespace, uid, attempt, *_ = parts
    return ListedContainer(namespace, pod, uid, container), _number(attempt)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < _LONGEST_NUMBER else None


_LONGEST_NUMBER = 10


def _rows(text: str) -> list[_Row] | None:
    start = text[:1000].lstrip()
    rows = None
    if start.startswith(("{", "[")):
        rows = _json_rows(text)
    elif start.startswith(("items:", "containers:")):
        rows = _yaml_rows(text)
    return _table_rows(text.splitlines()) if rows is None else rows


_HEADER_WITHIN = 200
"""Lines. Before a table there may be the command, warnings, and what somebody wrote."""

_ID = re.compile(r"[0-9a-f]{12,64}")
_QUOTED_COMMAND = re.compile(r'"[^"]*"')
_DOCKER_STATES = frozenset({"Created", "Up", "Exited", "Dead", "Restarting", "Removal"})
"""What a status begins with: https://github.com/moby/moby/blob/v27.0.0/container/state.go (String)"""

_POD_ROW = re.compile(
    r"\W{0,8}(?P<id>[0-9a-f]{12,64})\s++\S.{0,60}? ago\s++(?P<state>Ready|NotReady|Unknown)"
    r"\s++(?P<pod>\S{1,253})\s++(?P<namespace>\S{1,63})\s++(?P<attempt>\d{1,9})(?!\S)"
)
"""https://github.com/kubernetes-sigs/cri-tools/blob/v1.34.0/cmd/crictl/sandbox.go (the columns of `pods`)"""

_CONTAINER_ROW = re.compile(
    r"\W{0,8}(?P<id>[0-9a-f]{12,64})\s++\S{1,1000}\s++\S.{0,60}? ago\s++(?P<state>Running|Exited|Created|Unknown)"
    r"\s++(?P<container>\S{1,253})\s++\d{1,9}\s++(?P<sandbox>[0-9a-f]{12,64})"
    r"\s++(?P<pod>\S{1,253})\s++(?P<namespace>\S{1,63})"
)
"""cmd/crictl/container.go. Older ones leave out the pod's namespace, or its name too: these name no pod."""


def _table_rows(lines: list[str]) -> list[_Row] | None:
    """Rows are known by their form, so that neither widths nor lost spaces matter."""
    rows: list[_Row] = []
    seen = docker = False
    for number, line in enumerate(lines):
        if not seen and number >= _HEADER_WITHIN:
            return None
        docker = docker or _has_titles(line, "NAMES", "STATUS")
        found = _crictl_rows(line) or _docker_rows(line, docker)
        seen = seen or docker or bool(found) or _has_titles(line, "POD ID", "CREATED", "STATE", "NAME")
        rows += found
    return rows if seen else None


def _has_titles(line: str, *titles: str) -> bool:
    return line.isupper() and all(title in line for title in titles)


def _crictl_rows(line: str) -> list[_Row]:
    pod = _POD_ROW.match(line)
    if pod:
        owner = ListedContainer(pod["namespace"], pod["pod"], "", SANDBOX)
        return [_Row(pod["id"], owner, pod["state"], int(pod["attempt"]))]
    container = _CONTAINER_ROW.match(line)
    if container is None:
        return []
    owner = ListedContainer(container["namespace"], container["pod"], "", container["container"])
    sandbox = replace(owner, container=SANDBOX)
    return [_Row(container["id"], owner, container["state"], None), _Row(container["sandbox"], sandbox, "", None)]


def _docker_rows(line: str, after_header: bool) -> list[_Row]:
    """A row of docker or nerdctl. Without a header before it, it must begin with an id and have a state."""
    words = _QUOTED_COMMAND.sub(" ", line).split()
    named = next((named for word in reversed(words) if (named := _read_names(word.split(",")))), None)
    if named is None:
        return []
    ids = [word for word in words if _ID.fullmatch(word)]
    state = next((word for word in words if word in _DOCKER_STATES), "")
    if not after_header and not (ids and ids[0] == words[0] and state):
        return []
    return [_Row(ids[0] if ids else "", named[0], state, named[1])]


def _read_names(names: Iterable[str]) -> tuple[ListedContainer, int | None] | None:
    for name in names:
        read = read_docker_name(name) or _read_nerdctl_name(name)
        if read is not None:
            return read
    return None


_NERDCTL_NAME = re.compile(r"k8s://([a-z0-9-]{1,63})/([a-z0-9.-]{1,253})(?:/([a-z0-9.-]{1,253}))?")


def _read_nerdctl_name(name: str) -> tuple[ListedContainer, int | None] | None:
    """`k8s://NAMESPACE/POD` is a sandbox, `k8s://NAMESPACE/POD/CONTAINER` a container.
    https://github.com/containerd/nerdctl/blob/v2.0.0/pkg/labels/k8slabels/k8slabels.go, pkg/containerutil
    """
    found = _NERDCTL_NAME.fullmatch(name)
    return (ListedContainer(found[1], found[2], "", found[3] or SANDBOX), None) if found else None


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    attempt: int | None = None


class _Listed(msgspec.Struct):
    """An entry of `crictl pods` or `crictl ps`: https://github.com/kubernetes/cri-api/blob/v0.34.0/pkg/apis/runtime/v1"""

    id: str
    metadata: _Metadata
    state: str = ""
    pod_sandbox_id: str = msgspec.field(default="", name="podSandboxId")
    labels: dict[str, str] = {}


class _DockerContainer(msgspec.Struct):
    """Of `docker ps --format json` (ID, one text of names) or of docker's API (Id, a list of names)."""

    names: str | list[str] = msgspec.field(name="Names")
    id: str = msgspec.field(default="", name="ID")
    api_id: str = msgspec.field(default="", name="Id")
    status: str = msgspec.field(default="", name="Status")


_OF_A_LISTING = ('"SANDBOX_', '"podSandboxId"', '"Names"')


def _json_rows(text: str) -> list[_Row] | None:
    if not any(word in text for word in _OF_A_LISTING):
        return None  # a recording of a cluster may be large
    whole = _json(text)
    values = [whole] if whole is not None else [_json(line) for line in text.splitlines()]
    rows = [row for value in values for row in _rows_of(value)]
    return rows or None


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _yaml_rows(text: str) -> list[_Row] | None:
    if "SANDBOX_" not in text and "podSandboxId" not in text:
        return None
    import yaml  # rarely needed: crictl prints tables and JSON

    try:
        value = yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return list(_rows_of(value)) or None


def _rows_of(value: object) -> Iterator[_Row]:
    """Of a whole listing, or of one line of it."""
    if isinstance(value, list):
        for entry in value:
            yield from _docker_object(entry)
    elif isinstance(value, dict):
        yield from _docker_object(value)
        for key in ("items", "containers"):
            entries = value.get(key)
            for entry in entries if isinstance(entries, list) else ():
                yield from _cri_object(entry)


def _docker_object(value: object) -> Iterator[_Row]:
    container = _converted(value, _DockerContainer)
    if container is None:
        return
    names = container.names.split(",") if isinstance(container.names, str) else container.names
    named = _read_names(names)
    state = container.status.split(" ", 1)[0]
    if named is not None:
        yield _Row(container.id or container.api_id, named[0], state, named[1])


_SANDBOX_STATE = "SANDBOX_"
_STATES = {"SANDBOX_READY": "Ready", "SANDBOX_NOTREADY": "NotReady"}


def _cri_object(value: object) -> Iterator[_Row]:
    listed = _converted(value, _Listed)
    if listed is None:
        return
    metadata, labels = listed.metadata, listed.labels
    if listed.state.startswith(_SANDBOX_STATE):
        pod = ListedContainer(metadata.namespace, metadata.name, metadata.uid, SANDBOX)
        yield _Row(listed.id, pod, _STATES.get(listed.state, listed.state), metadata.attempt)
    elif listed.pod_sandbox_id:
        pod = ListedContainer(
            labels.get("io.kubernetes.pod.namespace", ""),
            labels.get("io.kubernetes.pod.name", ""),
            labels.get("io.kubernetes.pod.uid", ""),
            SANDBOX,
        )
        yield _Row(listed.id, replace(pod, container=metadata.name), listed.state, None)
        yield _Row(listed.pod_sandbox_id, pod, "", None)


Shape = TypeVar("Shape")


def _converted(value: object, shape: type[Shape]) -> Shape | None:
    try:
        return msgspec.convert(value, shape, strict=False)
    except msgspec.ValidationError:
        return None
