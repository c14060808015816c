"""What the kubelet logs of memory: OOM events in cgroups and of the node, and sandboxes that fail to start.

A sandbox that fails is logged by every layer of the kubelet that the error passes, until 1.18 in plain words, later as
key=value pairs:

- `RunPodSandbox from runtime service failed: ERROR`
- `CreatePodSandbox for pod "NAME_NAMESPACE(UID)" failed: ERROR`; later `"Failed to create sandbox for pod" err= pod=`
- `createPodSandbox for pod "..." failed: ERROR`; later `"CreatePodSandbox for pod failed" err= pod=`
- `Error syncing pod UID ("..."), skipping: failed to "CreatePodSandbox" for "..." with CreatePodSandboxError: "..."`;
  later `"Error syncing pod, skipping" err= pod= podUID=`

The first names no pod, or only its name; since 1.19 only the last has the uid. An error of several lines is on one line
only in the last, where it is quoted. Sandboxes that could not be stopped (KillPodSandboxError) are not counted.

OOM events are cAdvisor's (https://github.com/google/cadvisor/blob/v0.47.0/manager/manager.go, events/handler.go) and
the kubelet's own (https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/oom/oom_watcher_linux.go). Before
cAdvisor 0.39 (Kubernetes 1.21) the reports of kernels since 5.0 were not understood, and every OOM became one of the
node: https://github.com/kubernetes/kubernetes/pull/100487
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from kubectl_memdoctor.evidence.cgroup_path import Level, read_cgroup_path
from kubectl_memdoctor.evidence.container_listing import ID_LETTERS, ListedContainer
from kubectl_memdoctor.evidence.failure_tally import MOST_PODS, FailureTally, NewestOfEach, PodName, shortened
from kubectl_memdoctor.evidence.log_fields import QUOTED, LogEntry, read_entry, unquote
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import KubeletOom, NodeEvidence, SandboxFailures

MOST_PODS_WITH_OOMS = 1000
MOST_OOMS_OF_A_POD = 20
MOST_DIED = 4096
"""Ids of containers, of all pods."""

_POD = r"([A-Za-z0-9.-]{1,253}+)_([a-z0-9-]{1,63}+)\(([\w-]{1,64}+)\)"
"""https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/util/format/pod.go"""

_PLAIN_FAILURE = re.compile(rf'(\w{{0,40}}[Cc]reate\w{{0,40}}Sandbox\w{{0,40}}) for pod "{_POD}" failed: ?')
_RUN_FAILURE = re.compile(r"RunPodSandbox(?: from [\w ]{1,60})? failed(?:: ?)?")
_CREATE_FAILURE = re.compile(r"(?=.{0,200}create).{0,200}sandbox", re.IGNORECASE)
_SYNC_FAILURE = re.compile(rf'failed to "CreatePodSandbox" for "{_POD}" with \w{{1,60}}: (?=")')
_POD_AGAIN = re.compile(rf'[^"]{{1,80}}"{_POD}"(?: failed)?: ?')
_POD_REFERENCE = re.compile(r"([a-z0-9-]{1,63})/([A-Za-z0-9.-]{1,253})")
_REFERENCE_NAMESPACE = re.compile(r'"namespace": ?"([a-z0-9-]{1,63})"')
_REFERENCE_NAME = re.compile(r'"name": ?"([A-Za-z0-9.-]{1,253})"')
_LINES_FOLLOW = "<"
"""klog writes a value of several lines as `err=<`, the lines, and ` > pod=...`: what follows is on lines of its own.
https://github.com/kubernetes/klog/blob/v2.130.1/internal/serialize/keyvalues.go"""
_DOCKER_POD = re.compile(r'\bsandbox (?:container )?for pod "([\w.-]{1,253})"')

_OOM_IN_CONTAINER = re.compile(r'Created an OOM event in container "([^"]{1,4096})"')
_OOM_KILL_ADDED = re.compile(r"Added event &\{(\S{1,4096}) .{1,100}? oomKill \{")
_SYSTEM_OOM = re.compile(r"Got sys oom event")
_DUMPED_VICTIM = re.compile(r"&\{\d{1,10} (.{1,15}?) \d{4}-\d\d-\d\d ")
_NAMED_VICTIM = re.compile(r'\bProcessName"?:(?:"((?:[^"\\]|\\.){1,60})"|(.{1,15}?) TimeOfDeath:)')
_TIME_OF_DEATH = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})? ?(Z|[+-]\d\d:?\d\d)")

_DEATH = re.compile(r"SyncLoop \(PLEG\)")
_EVENT_TYPE = re.compile(r'\bType"?: ?"?ContainerDied\b')
_EVENT_UID = re.compile(r'\bID"?: ?"?([\w-]{1,64})')
_EVENT_CONTAINER = re.compile(r'\bData"?: ?"?([0-9a-f]{64})\b')


class _Failure(Struct, frozen=True):
    """`kind` is one kind of line about a failure."""

    kind: str
    pod: PodName
    message: str


class KubeletLogReader:
    """Takes a node's kubelet log line by line; what was read of it is `evidence()`."""

    NEEDLES: tuple[bytes, ...] = (
        b"PodSandbox",
        b"create sandbox",
        b"OOM event",
        b"sys oom",
        b"oomKill",
        b"ContainerDied",
    )

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._tallies: dict[PodName, FailureTally] = {}
        self._nameless: dict[str, FailureTally] = {}
        self._named: dict[PodName, PodName] = {}
        self._by_uid: dict[str, PodName] = {}
        self._ooms: NewestOfEach[KubeletOom] = NewestOfEach(MOST_PODS_WITH_OOMS, MOST_OOMS_OF_A_POD)
        self._died: NewestOfEach[tuple[str, ListedContainer]] = NewestOfEach(MOST_DIED, 1)

    def read(self, line: LogLine) -> None:
        if line.writer not in (Writer.KUBELET, Writer.UNKNOWN):
            return
        entry = read_entry(line.text)
        if line.writer is Writer.UNKNOWN and "level" in entry.fields:
            return  # the kubelet writes no such field
        failure = _read_failure(entry)
        if failure is not None:
            self._add(failure, line)
            return
        oom = _read_oom(entry, line, self._node)
        if oom is not None:
            self._add_oom(oom)
        elif _DEATH.match(entry.message):
            self._add_death(entry)

    def finish(self) -> None:
        """Failures whose uid no line after them told belong to the newest pod of their name."""
        for pod in [pod for pod in self._tallies if not pod.uid]:
            if pod in self._named:
                self._tallies[self._named[pod]].absorb(self._tallies.pop(pod))

    def evidence(self) -> NodeEvidence:
        return NodeEvidence(kubelet_ooms=tuple(self._ooms), sandbox_failures=tuple(self._failures()))

    def died(self) -> Mapping[str, ListedContainer]:
        """The first ID_LETTERS of a container's id -> whose it was, of containers that died in pods whose sandboxes
        fail: these are mostly sandboxes. It names the pods of what dockerd logs by id only."""
        return dict(self._died)

    def _failures(self) -> list[SandboxFailures]:
        """Where any line names its pod, those that do not are about the same failures."""
        tallies = self._tallies or {PodName(name=name): tally for name, tally in self._nameless.items()}
        return [tally.failures(Writer.KUBELET, pod, self._node) for pod, tally in tallies.items()]

    def _add(self, failure: _Failure, line: LogLine) -> None:
        pod = failure.pod
        tally = self._tally(pod) if pod.namespace else _held(self._nameless, pod.name)
        if tally is not None:
            tally.add(failure.kind, line, failure.message)

    def _tally(self, pod: PodName) -> FailureTally | None:
        tally = _held(self._tallies, pod)
        if tally is None or not pod.uid:
            return tally
        self._named[pod.without_uid] = pod
        self._by_uid[pod.uid] = pod
        before = self._tallies.pop(pod.without_uid, None)
        if before is not None:
            tally.absorb(before)
        return tally

    def _add_oom(self, oom: KubeletOom) -> None:
        held = self._ooms.of((oom.cgroup.pod_uid or oom.cgroup.path) if oom.cgroup else "")
        if held and oom.time is not None and held[-1].time == oom.time:
            held[-1] = _more_telling(held[-1], oom)
        else:
            held.append(oom)

    def _add_death(self, entry: LogEntry) -> None:
        event = entry.fields.get("event") or entry.message
        uid, container = _EVENT_UID.search(event), _EVENT_CONTAINER.search(event)
        if not (uid and container and _EVENT_TYPE.search(event)):
            return
        pod = self._by_uid.get(uid[1])
        if pod is not None:
            self._tallies[pod].ids.add(container[1])
            prefix = container[1][:ID_LETTERS]
            self._died.of(prefix).append((prefix, ListedContainer(pod.namespace, pod.name, pod.uid, "")))


Key = TypeVar("Key")


def _held(tallies: dict[Key, FailureTally], key: Key) -> FailureTally | None:
    """None: there are more pods than a node has."""
    if key not in tallies and len(tallies) >= MOST_PODS:
        return None
    return tallies.setdefault(key, FailureTally())


def _read_failure(entry: LogEntry) -> _Failure | None:
    if "err" not in entry.fields:
        return _read_plain_failure(entry.message)
    error = entry.fields["err"]
    if error == _LINES_FOLLOW:
        return None
    if _RUN_FAILURE.match(entry.message):
        return _run_failure(error)
    if _CREATE_FAILURE.match(entry.message):
        pod = _named_pod(entry.fields)
        return _Failure(entry.message, pod, error) if pod else None
    return _read_sync_failure(error)


def _named_pod(fields: Mapping[str, str]) -> PodName | None:
    """`pod` is `NAMESPACE/NAME`, or what JSON makes of it.
    https://github.com/kubernetes/klog/blob/v2.130.1/k8s_references.go (ObjectRef)
    """
    text, uid = fields.get("pod", ""), fields.get("podUID", "")
    found = _POD_REFERENCE.fullmatch(text)
    if found:
        return PodName(found[1], found[2], uid)
    namespace, name = _REFERENCE_NAMESPACE.search(text), _REFERENCE_NAME.search(text)
    return PodName(namespace[1], name[1], uid) if namespace and name else None


def _read_plain_failure(message: str) -> _Failure | None:
    if message.startswith("Error syncing pod"):
        return _read_sync_failure(message)
    run = _RUN_FAILURE.match(message)
    if run:
        return _run_failure(message[run.end() :])
    failure = _PLAIN_FAILURE.match(message)
    return _Failure(failure[1], _pod(failure, 2), message[failure.end() :]) if failure else None


def _run_failure(error: str) -> _Failure:
    """dockershim and cri-dockerd say the pod's name in the error, no one its namespace."""
    pod = _DOCKER_POD.search(error)
    return _Failure("RunPodSandbox", PodName(name=pod[1] if pod else ""), error)


def _read_sync_failure(text: str) -> _Failure | None:
    """https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/container/sync_result.go (Error)"""
    failure = _SYNC_FAILURE.search(text)
    quoted = QUOTED.match(text, failure.end()) if failure else None
    if failure is None or quoted is None:
        return None
    message = unquote(quoted[1])
    again = _POD_AGAIN.match(message)
    return _Failure("sync", _pod(failure, 1), message[again.end() :] if again else message)


def _pod(found: re.Match[str], first: int) -> PodName:
    return PodName(name=found[first], namespace=found[first + 1], uid=found[first + 2])


def _read_oom(entry: LogEntry, line: LogLine, node: str) -> KubeletOom | None:
    event = entry.fields.get("event", "")
    if _SYSTEM_OOM.match(entry.message):
        dump = event or entry.message
        return KubeletOom(None, _time_of_death(dump, line), _victim(dump), node or line.host, shortened(line))
    in_cgroup = _OOM_IN_CONTAINER.match(entry.message) or _OOM_KILL_ADDED.match(entry.message)
    if in_cgroup is None:
        return None
    cgroup = read_cgroup_path(in_cgroup[1])
    time = _time_of_death(entry.message[in_cgroup.end(1) :], line)
    return KubeletOom(
        None if cgroup.level is Level.NODE else cgroup, time, node=node or line.host, line=shortened(line)
    )


def _victim(dump: str) -> str:
    dumped = _DUMPED_VICTIM.search(dump)
    if dumped:
        return dumped[1]
    named = _NAMED_VICTIM.search(dump)
    return unquote(named[1] or named[2]) if named else ""


def _time_of_death(text: str, line: LogLine) -> datetime | None:
    """The kernel's time as the text gives it, else the line's if its zone is known."""
    found = _TIME_OF_DEATH.search(text)
    if found is not None:
        try:
            return datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3] or ''}{found[4]}")
        except ValueError:
            pass  # no date: the 31st of February
    return line.time if line.zone_known else None


def _more_telling(one: KubeletOom, other: KubeletOom) -> KubeletOom:
    """cAdvisor logs one OOM for the victim's cgroup and for the one whose limit ran out: the former says more."""
    container = other if other.cgroup is not None and other.cgroup.container_id else one
    return replace(container, victim=one.victim or other.victim)
