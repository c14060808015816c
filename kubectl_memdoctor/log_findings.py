"""What a node's logs prove by themselves, of pods that no object of the API describes: they are gone, or nothing but
logs was given.

The kernel's report names the limit that was reached and who was killed. It does not name the manifest's limit, nor
which process was the container's own; so there is less to say here than with the pod itself, but no less sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from kubectl_memdoctor.context import ClusterContext, PodContext
from kubectl_memdoctor.evidence.cgroup_path import Level
from kubectl_memdoctor.evidence.node_evidence import MOST_TASKS, KernelKill
from kubectl_memdoctor.evidence.runtime_errors import Proof, RuntimeFailure, read_runtime_error
from kubectl_memdoctor.finding import (
    Confidence,
    Finding,
    InvolvedObject,
    Memory,
    Remedy,
    RuledOut,
    Severity,
)
from kubectl_memdoctor.kernel_verdict import (
    kernel_evidence,
    kernel_sentences,
    kernel_size,
    line_evidence,
    sandbox_kills,
)
from kubectl_memdoctor.limit_sentences import PAGE_BYTES
from kubectl_memdoctor.logged_pods import LoggedPod, is_cut, is_flood, short
from kubectl_memdoctor.sandbox_failure import node_sentences, node_words
from kubectl_memdoctor.sandbox_minimum import SandboxMinimum, sandbox_minimum
from kubectl_memdoctor.suggested_limit import after_oom, for_start


def log_findings(logged: LoggedPod, cluster: ClusterContext) -> Iterator[Finding]:
    """Of one pod; `cluster` holds the evidence."""
    pod = PodContext(logged.stand_in(), cluster)
    seen = _Seen(logged, pod)
    sandbox = tuple(_sandbox(seen))
    yield from sandbox
    yield from _kills(seen, explained=bool(sandbox))
    if not sandbox and not pod.node_evidence.kills:
        yield from _kubelet_only(seen)


class _Seen:
    """One pod as the logs know it."""

    def __init__(self, logged: LoggedPod, pod: PodContext) -> None:
        self.logged = logged
        self.pod = pod
        self.evidence = pod.node_evidence
        self.errors: tuple[RuntimeFailure, ...] = tuple(
            read_runtime_error(entry.message) for entry in self.evidence.sandbox_failures if entry.message
        )
        self.sandbox_kills = sandbox_kills(pod)

    @property
    def involved(self) -> InvolvedObject:
        """A pod that no log names is called by its uid."""
        logged = self.logged
        return InvolvedObject(
            kind="Pod", namespace=logged.namespace or None, name=logged.name or logged.uid, uid=logged.uid or None
        )

    @property
    def node(self) -> str | None:
        hosts = [entry.node for entry in self.evidence.kills]
        hosts += [entry.node for entry in self.evidence.allocation_failures]
        hosts += [entry.node for entry in self.evidence.sandbox_failures]
        return next(filter(None, hosts), None)

    @property
    def minimum(self) -> SandboxMinimum:
        cluster = self.pod.cluster
        return sandbox_minimum(
            None,
            handler=None,
            failures=self.errors,
            bounds=None,
            measured=cluster.measured,
            override_bytes=cluster.minimum_bytes,
        )

    @property
    def is_failing(self) -> bool:
        """Whether kubelet, runtime or a listing tell of sandboxes that do not live."""
        return bool(self.evidence.sandbox_failures) or any(map(is_flood, self.evidence.listings))


def _sandbox(seen: _Seen) -> Iterator[Finding]:
    confidence = _sandbox_confidence(seen)
    if confidence is None:
        yield from _not_memory(seen)
        return
    kill = seen.sandbox_kills[-1] if seen.sandbox_kills else None
    limit = kill.limit_bytes if kill else None
    minimum = seen.minimum
    yield Finding(
        rule="sandbox-memory-limit-too-small",
        severity=Severity.CRITICAL,
        confidence=confidence,
        involved_object=seen.involved,
        node=seen.node,
        message="cannot start: its memory limit is too small for the pod's sandbox",
        details=(
            *_limit_sentences(limit),
            *node_sentences(seen.pod),
            *kill_span(seen.sandbox_kills),
            f"{minimum.reason}.",
        ),
        memory=Memory(limit_bytes=limit, minimum_bytes=minimum.high_bytes),
        evidence=(*node_words(seen.pod), *minimum.evidence),
        ruled_out=tuple(_sandbox_ruled_out(seen)),
        remedy=_raise_for_start(limit, minimum),
    )


def _sandbox_confidence(seen: _Seen) -> Confidence | None:
    """The kernel's own report of a limit under a page, or of a sandbox that is killed while sandboxes are seen to fail,
    leaves no doubt. A runtime's process may also be killed as it enters a container that runs, in a full pod. What the
    kernel could not allocate for itself says little while the pod's limit is not known."""
    kills = seen.sandbox_kills
    if any(_is_under_a_page(kill.limit_bytes) for kill in kills) or (kills and seen.is_failing):
        return Confidence.CONFIRMED
    if kills and all(map(_is_alone, kills)) and len(kills) == len(seen.evidence.kills):
        return Confidence.LIKELY
    if any(error.proof is Proof.MEMORY for error in seen.errors):
        return Confidence.LIKELY
    if not seen.evidence.sandbox_failures or seen.evidence.kills:
        return None
    if seen.evidence.kubelet_ooms:
        return Confidence.LIKELY
    is_open = any(error.proof is not Proof.NOT_MEMORY for error in seen.errors)
    return Confidence.POSSIBLE if is_open and seen.evidence.allocation_failures else None


def _is_under_a_page(limit: int | None) -> bool:
    return limit is not None and limit < PAGE_BYTES


def _is_alone(kill: KernelKill) -> bool:
    """Whether nothing but a sandbox was in the cgroup; that can be told where the report lists its processes."""
    of_sandbox = {"pause", *(victim.name for victim in kill.victims)}
    return bool(kill.tasks) and all(task.name in of_sandbox for task in kill.tasks)


def _limit_sentences(limit: int | None) -> Iterator[str]:
    if limit is None or limit >= PAGE_BYTES:
        return
    yield (
        f"The kernel knows the pod's limit as {limit // 1024} kB: it is under one page ({PAGE_BYTES} bytes), with which"
        " nothing can start."
    )
    yield 'Such a limit is mostly a lower-case m ("m" is thousandths): 300m is 0.3 byte, where 300Mi was meant.'


def kill_span(kills: Sequence[KernelKill]) -> Iterator[str]:
    """How many they are, and from when to when."""
    if len(kills) < 2:
        return
    times = [kill.time for kill in kills if kill.time is not None]
    between = f", from {_clock(min(times), kills)} to {_clock(max(times), kills)}" if times else ""
    at_least = "at least " if is_cut(kills) else ""
    yield f"The kernel log shows {at_least}{len(kills)} such kills{between}."


def _clock(time: datetime, kills: Sequence[KernelKill]) -> str:
    """The node's local time where its log names no zone."""
    return f"{time:%Y-%m-%d %H:%M:%S}{'Z' if all(kill.zone_known for kill in kills) else ''}"


def _sandbox_ruled_out(seen: _Seen) -> Iterator[RuledOut]:
    if seen.sandbox_kills:
        yield RuledOut(cause="node memory", because="the kernel names the pod's own limit as the one that was reached")
    causes = {error.cause for error in seen.errors}
    if causes and "network" not in causes:
        yield RuledOut(cause="network", because="no error names the network or a CNI plugin")


def _raise_for_start(limit: int | None, minimum: SandboxMinimum) -> Remedy:
    enough = for_start(None, minimum.high_bytes).quantity
    if _is_under_a_page(limit):
        return Remedy(
            text=f"Correct the unit of the pod's memory limit where its template is, or write {enough} or more."
        )
    return Remedy(text=f"Raise the pod's memory limit where its template is, to {enough} or more.")


def _not_memory(seen: _Seen) -> Iterator[Finding]:
    """Errors that name another cause. Opaque ones decide nothing without the pod's limit."""
    if not seen.errors or any(error.proof is not Proof.NOT_MEMORY for error in seen.errors) or seen.evidence.kills:
        return
    error = seen.errors[-1]
    yield Finding(
        rule="sandbox-failure-not-memory",
        severity=Severity.INFO,
        confidence=Confidence.CONFIRMED,
        involved_object=seen.involved,
        node=seen.node,
        message="cannot start: its sandbox fails, but not because of its memory limit"
        f" ({error.cause.replace('-', ' ')})",
        details=(f"The runtime says: {error.innermost}",),
        evidence=tuple(node_words(seen.pod)),
        ruled_out=(RuledOut(cause="memory limit", because=error.because),),
    )


_RULES = {Level.CONTAINER: "container-oom-killed", Level.POD: "pod-oom-killed"}
"""Every other level is above the pod: the node, or the part of it that pods may use."""
_ABOVE = "node-oom-killed"
_CHILD = "container-child-oom-killed"


def _kills(seen: _Seen, *, explained: bool) -> Iterator[Finding]:
    """One finding for each rule. `explained`: those of the sandbox are told of already."""
    groups: dict[str, list[KernelKill]] = {}
    for kill in seen.evidence.kills:
        if not (explained and kill in seen.sandbox_kills):
            groups.setdefault(_rule(kill), []).append(kill)
    for rule, kills in groups.items():
        newest = kills[-1]
        yield Finding(
            rule=rule,
            severity=Severity.WARNING,
            confidence=_confidence(rule, newest),
            involved_object=seen.involved,
            node=seen.node,
            message=_message(rule, kills, seen.node),
            details=(*kernel_sentences(newest), *kill_span(kills), *_caveat(rule, newest)),
            memory=Memory(limit_bytes=newest.limit_bytes) if rule != _ABOVE and newest.limit_bytes else None,
            evidence=tuple(kernel_evidence(seen.pod, newest)),
            remedy=_remedy(rule, newest),
        )


def _rule(kill: KernelKill) -> str:
    if kill.level is Level.CONTAINER and _main_survived(kill):
        return _CHILD
    return _RULES.get(kill.level, _ABOVE)


def _main_survived(kill: KernelKill) -> bool:
    """A container's first process has its lowest pid, unless the numbers have wrapped round since."""
    pids = [task.pid for task in kill.tasks if task.name != "pause"]
    return bool(pids) and not kill.group and min(pids) not in {victim.pid for victim in kill.victims}


def _died_as_a_whole(kill: KernelKill) -> bool:
    """Whether no process is left, as far as the report's table, which may be cut, has them all."""
    pids = {task.pid for task in kill.tasks}
    is_whole = 0 < len(pids) < MOST_TASKS
    return kill.group or (is_whole and pids <= {victim.pid for victim in kill.victims})


def _confidence(rule: str, kill: KernelKill) -> Confidence:
    """Which limit it was, the kernel says; what became of a container, it does not."""
    if rule == _CHILD or (kill.level is Level.CONTAINER and not _died_as_a_whole(kill)):
        return Confidence.LIKELY
    return Confidence.CONFIRMED


def _message(rule: str, kills: Sequence[KernelKill], node: str | None) -> str:
    ids = list(dict.fromkeys(kill.container_id for kill in kills if kill.container_id))
    whole = f"container {short(ids[0])}" if len(ids) == 1 else "containers"
    were = "was" if len(ids) == 1 else "were"
    times = f" {len(kills)} times" if len(kills) > 1 else ""
    if rule == _CHILD:
        return f"its {whole} lost processes{times}: they used more memory than {_limit(kills[-1])}"
    if rule == _ABOVE:
        return f"its {whole} {were} killed{times}: {f'node {node}' if node else 'its node'} ran out of memory"
    if kills[-1].level is Level.POD:
        return f"its {whole} {were} killed{times}: the pod used more memory than {_limit(kills[-1])}"
    they = "it" if len(ids) == 1 else "they"
    return f"its {whole} {were} killed{times}: {they} used more memory than {_limit(kills[-1])}"


def _limit(kill: KernelKill) -> str:
    whose = "the pod's" if kill.level is Level.POD else "the container's"
    return f"{whose} {kernel_size(kill.limit_bytes)} limit" if kill.limit_bytes is not None else f"{whose} limit"


def _caveat(rule: str, kill: KernelKill) -> Iterator[str]:
    if rule == _CHILD:
        yield "The victim was not the container's first process, which may live on."
    elif _confidence(rule, kill) is not Confidence.CONFIRMED:
        yield "The kernel does not say whether it was the container's own process or one of its children."


def _remedy(rule: str, kill: KernelKill) -> Remedy | None:
    if rule == _ABOVE:
        return Remedy(
            text="Give it a memory request that matches what it uses, and limits to its neighbours that grow."
        )
    if not kill.limit_bytes:
        return None
    whose = "pod's" if kill.level is Level.POD else "container's"
    enough = after_oom(kill.limit_bytes).quantity
    return Remedy(
        text=f"Raise the {whose} memory limit where the pod's template is, to {enough} or more: the limit that was"
        " reached is only a lower bound of the need."
    )


def _kubelet_only(seen: _Seen) -> Iterator[Finding]:
    """The kubelet, or the runtime, heard of a kill in the pod and does not say at which limit."""
    ooms = seen.evidence.kubelet_ooms
    if not ooms:
        return
    newest = ooms[-1]
    ids = list(dict.fromkeys(oom.cgroup.container_id for oom in ooms if oom.cgroup and oom.cgroup.container_id))
    whole = f"container {short(ids[0])}" if len(ids) == 1 else "containers"
    times = f" {len(ooms)} times" if len(ooms) > 1 else ""
    yield Finding(
        rule="container-oom-killed",
        severity=Severity.WARNING,
        confidence=Confidence.POSSIBLE,
        involved_object=seen.involved,
        node=newest.node or None,
        message=f"its {whole} had processes OOM-killed{times}",
        details=("The kubelet does not say which limit was reached: the node's kernel log does.",),
        evidence=(line_evidence("kubelet", seen.pod, newest.line, newest.time),) if newest.line else (),
    )
