"""What containerd, dockerd and CRI-O log of memory: sandboxes that fail to start, and OOM kills in containers.

- containerd: `RunPodSandbox for &PodSandboxMetadata{Name:...} failed, error` with `error=`, once for each failure, and
  `TaskOOM event`. Exits and disconnected shims also come with every pod that is deleted, so they tell nothing.
  https://github.com/containerd/containerd/blob/v1.7.0/pkg/cri/instrument/instrumented_service.go, ../server/events.go
- dockerd: `Handler for POST /containers/ID/start returned error: ...` and `ID cleanup: failed to delete container from
  containerd: ...`. The id may be a sandbox's or a container's: only a listing tells, or the kubelet. Of OOM kills only
  `docker events` says which container it was.
  https://github.com/moby/moby/blob/v20.10.0/api/server/server.go, daemon/start.go
- CRI-O: the clean-up after a failure (`runSandbox: ...`), the OCI runtime's error (`Container creation error: ...`) and
  the pod's names are on lines of their own, held together by the request's `id=`. conmon says `OOM received`.
  https://github.com/cri-o/cri-o/blob/v1.30.0/server/sandbox_run_linux.go, internal/oci/runtime_oci.go
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from kubectl_memdoctor.evidence.container_listing import ID_LETTERS, SANDBOX, ListedContainer, read_docker_name
from kubectl_memdoctor.evidence.failure_tally import MOST_PODS, FailureTally, NewestOfEach, PodName, shortened
from kubectl_memdoctor.evidence.log_fields import LogEntry, read_entry
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence, RuntimeOom, SandboxFailures

MOST_CONTAINERS = 2000
"""Whose start failures or OOM kills are held one by one; of docker's older ones only their number is."""
MOST_OOMS_OF_ONE = 20
MOST_REQUESTS = 1000
"""CRI-O's requests under way, and some more."""

_RUNTIMES = (Writer.CONTAINERD, Writer.DOCKER, Writer.CRIO)

_CONTAINERD_FAILURE = re.compile(r"RunPodSandbox for (.{1,2000}?) failed(?:, error)?(?:: ?)?")
_METADATA = re.compile(r'(?<![\w.-])(name|uid|namespace):"?([^,"}\s]{1,253})', re.IGNORECASE)
"""Both of gogo's dump, `&PodSandboxMetadata{Name:x,Uid:y,...}`, and of protobuf's own, `name:"x" uid:"y" ...`."""

_TASK_OOM = re.compile(r'TaskOOM event\b.{0,40}?\bcontainer_?id:"?([\w.-]{1,76})', re.IGNORECASE)
_DOCKER_EVENT = re.compile(r"container oom ([0-9a-f]{64}) \(")
_CONMON = re.compile(r"conmon ([0-9a-f]{12,64}) <\w{1,20}>: OOM (?:event )?received")
"""Of the id, conmon logs the first 20 letters: https://github.com/containers/conmon/blob/v2.1.0/src/utils.h"""

_START_FAILURE = re.compile(r"Handler for POST (?:/v[\d.]{1,10})?/containers/([0-9a-f]{64})/start returned error: ?")
_CLEAN_UP_FAILURE = re.compile(r"([0-9a-f]{64}) cleanup: failed to delete container from containerd: ?")

_CRIO_RUN = "/RunPodSandbox"
_CRIO_POD = re.compile(r"Running pod sandbox: ([a-z0-9-]{1,63})/([\w.-]{1,253})/")
_CRIO_CLEAN_UP = re.compile(r"[rR]unSandbox: ")
_CRIO_ERROR = re.compile(r"(?:Container creation (?:error|failed|timeout)|Response error)(?:: ?)?")
_CRIO_NAME = re.compile(r"(?<!\S)k8s_(\S{1,600})")
_CRIO_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class _Request(Struct):
    """One RunPodSandbox of CRI-O's, of which several lines tell something."""

    pod: PodName = field(default_factory=PodName)
    sandbox: str = ""
    message: str = ""
    line: LogLine | None = None
    """The newest that shows that it failed."""


class RuntimeLogReader:
    """Takes a log of containerd, dockerd or CRI-O line by line; what was read of it is `evidence()`."""

    NEEDLES: tuple[bytes, ...] = (
        b"RunPodSandbox",
        b"OOM",
        b"/start returned error",
        b"cleanup: failed to delete",
        b"container oom ",
    )

    def __init__(self, node: str = "") -> None:
        self._node = node
        self._tallies: dict[tuple[Writer, PodName], FailureTally] = {}
        self._requests: OrderedDict[str, _Request] = OrderedDict()
        self._docker: OrderedDict[str, FailureTally] = OrderedDict()
        self._older_docker = FailureTally()
        self._ooms: NewestOfEach[RuntimeOom] = NewestOfEach(MOST_CONTAINERS, MOST_OOMS_OF_ONE)

    def read(self, line: LogLine) -> None:
        """Lines without a writer are judged by their words."""
        if line.writer not in (*_RUNTIMES, Writer.UNKNOWN):
            return
        entry = read_entry(line.text)
        for writer, read in zip(_RUNTIMES, (self._read_containerd, self._read_docker, self._read_crio), strict=True):
            if line.writer in (writer, Writer.UNKNOWN) and read(entry, line):
                return

    def finish(self) -> None:
        while self._requests:
            self._count(self._requests.popitem(last=False)[1])

    def evidence(self, listed: Mapping[str, ListedContainer] | None = None) -> NodeEvidence:
        """`listed` (see container_listing, KubeletLogReader.died) tells whose sandboxes docker's ids are; without it
        docker's failures have no pod, and some may be those of containers."""
        failures = [tally.failures(writer, pod, self._node) for (writer, pod), tally in self._tallies.items()]
        failures += self._docker_failures(listed or {})
        return NodeEvidence(sandbox_failures=tuple(failures), runtime_ooms=tuple(self._ooms))

    def _read_containerd(self, entry: LogEntry, line: LogLine) -> bool:
        oom = _TASK_OOM.match(entry.message)
        if oom:
            self._add_oom(oom[1], Writer.CONTAINERD, line)
            return True
        failure = _CONTAINERD_FAILURE.match(entry.message)
        if failure is None:
            return False
        told = {key.lower(): value for key, value in _METADATA.findall(failure[1])}
        pod = PodName(told.get("namespace", ""), told.get("name", ""), told.get("uid", ""))
        error = entry.fields.get("error") or entry.message[failure.end() :]
        self._add(Writer.CONTAINERD, pod, line, error, entry.fields.get("podsandboxid", ""))
        return True

    def _read_docker(self, entry: LogEntry, line: LogLine) -> bool:
        oom = _DOCKER_EVENT.match(entry.message)
        if oom:
            self._add_oom(oom[1], Writer.DOCKER, line)
            return True
        for kind in (_START_FAILURE, _CLEAN_UP_FAILURE):
            failure = kind.match(entry.message)
            if failure:
                error = entry.message[failure.end() :] if kind is _START_FAILURE else ""
                self._docker_tally(failure[1]).add(kind.pattern, line, error)
                return True
        return False

    def _read_crio(self, entry: LogEntry, line: LogLine) -> bool:
        oom = _CONMON.match(entry.message)
        if oom:
            self._add_oom(oom[1], Writer.CRIO, line)
            return True
        request_id = entry.fields.get("id", "")
        if not request_id or not entry.fields.get("name", "").endswith(_CRIO_RUN):
            return False
        request = self._requests.setdefault(request_id, _Request())
        self._requests.move_to_end(request_id)
        _learn(request, entry.message, line)
        if len(self._requests) > MOST_REQUESTS:
            self._count(self._requests.popitem(last=False)[1])
        return True

    def _count(self, request: _Request) -> None:
        if request.line is not None:
            self._add(Writer.CRIO, request.pod, request.line, request.message, request.sandbox)

    def _add(self, writer: Writer, pod: PodName, line: LogLine, error: str, sandbox: str) -> None:
        if (writer, pod) not in self._tallies and len(self._tallies) >= MOST_PODS:
            return
        tally = self._tallies.setdefault((writer, pod), FailureTally())
        tally.add("RunPodSandbox", line, error)
        if sandbox:
            tally.ids.add(sandbox)

    def _add_oom(self, container_id: str, writer: Writer, line: LogLine) -> None:
        time = line.time if line.zone_known else None
        oom = RuntimeOom(container_id, time, writer, self._node or line.host, shortened(line))
        self._ooms.of(container_id).append(oom)

    def _docker_tally(self, container_id: str) -> FailureTally:
        tally = self._docker.setdefault(container_id, FailureTally())
        tally.ids.add(container_id)
        if len(self._docker) > MOST_CONTAINERS:
            self._older_docker.absorb(self._docker.popitem(last=False)[1])
        return tally

    def _docker_failures(self, listed: Mapping[str, ListedContainer]) -> Iterator[SandboxFailures]:
        nameless = FailureTally()
        nameless.absorb(self._older_docker)
        pods: dict[PodName, FailureTally] = {PodName(): nameless}
        for container_id, tally in self._docker.items():
            owner = listed.get(container_id[:ID_LETTERS])
            if owner is None or owner.container in ("", SANDBOX):
                pod = PodName(owner.namespace, owner.pod, owner.pod_uid) if owner else PodName()
                pods.setdefault(pod, FailureTally()).absorb(tally)
        for pod, tally in pods.items():
            if tally.count:
                yield tally.failures(Writer.DOCKER, pod, self._node)


def _learn(request: _Request, message: str, line: LogLine) -> None:
    """Puts what one line tells of its request to what the others told."""
    running = _CRIO_POD.match(message)
    if running:
        request.pod = PodName(running[1], running[2], request.pod.uid)
        return
    error = _CRIO_ERROR.match(message)
    if error:
        request.message = message[error.end() :] or request.message or message
    elif not _CRIO_CLEAN_UP.match(message):
        return
    request.line = line
    name = _CRIO_NAME.search(message)
    named = read_docker_name(f"k8s_{name[1]}") or read_docker_name(f"k8s_{SANDBOX}_{name[1]}") if name else None
    if named is not None:
        request.pod = PodName(named[0].namespace, named[0].pod, named[0].pod_uid)
    if not error:
        sandbox = _CRIO_ID.search(message)
        request.sandbox = sandbox[0] if sandbox else request.sandbox
