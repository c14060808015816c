"""All pods, looked at once: what is remarkable is kept, of the rest only the counts.

Memory grows with what is kept, not with the cluster.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from kubectl_memdoctor.context import (
    NO_TRAITS,
    ClusterContext,
    PodContext,
    Siblings,
    Trait,
    container_ends,
    may_be_resized,
    traits,
)
from kubectl_memdoctor.evidence.pod_join import pod_uids
from kubectl_memdoctor.evidence.runtime_errors import Proof
from kubectl_memdoctor.objects import Pod
from kubectl_memdoctor.pod_limit import is_windows, pod_memory_request
from kubectl_memdoctor.sandbox_minimum import ONE_PAGE, ClusterBounds
from kubectl_memdoctor.usage import NearLimit

FINISHED = frozenset({"Succeeded", "Failed"})


class Survey:
    """What was seen of all pods. `kept` are those with traits, and those that were asked for."""

    def __init__(self, small_below: int, *, named: bool = False, near: NearLimit | None = None) -> None:
        """`named`: remember every pod's name, so that what a node tells of it can be joined to it later. `near`: keep
        the pods that are near their limit as well."""
        self.pods = 0
        self.windows_pods = 0
        self.kept: list[Pod] = []
        self.nodes: set[str] = set()
        self.namespaces: set[str] = set()
        self.requested: dict[str, int] = {}
        self.small_below = small_below
        self._named = named
        self._near = near
        self._names: dict[str, tuple[str, str]] = {}
        self._owners = array("q")
        self._oom_killed: Counter[int] = Counter()
        self._totals: Counter[int] = Counter()
        self._totals_of = (0, 0)

    @property
    def takes_glances(self) -> bool:
        """Whether `shows` can do with what a page holds at a glance."""
        return not self._named and self._near is None

    def add(self, pod: Pod, *, keep: bool = False) -> None:
        if self.shows(pod) or keep:
            self.kept.append(pod)

    def shows(self, pod: Pod) -> bool:
        """Counts the pod; whether it has to be kept."""
        self.pods += 1
        node_name = pod.spec.node_name
        self.namespaces.add(pod.metadata.namespace)
        if node_name:
            self.nodes.add(node_name)
            if pod.status.phase not in FINISHED:
                self.requested[node_name] = self.requested.get(node_name, 0) + pod_memory_request(pod)
        if is_windows(pod):
            self.windows_pods += 1
        if self._named:
            self._remember(pod)
        found = traits(pod, self.small_below)
        self._count_sibling(pod, found)
        return found is not NO_TRAITS or (self._near is not None and self._near.shows(pod))

    def _remember(self, pod: Pod) -> None:
        metadata = pod.metadata
        for key in (*pod_uids(pod), f"{metadata.namespace}/{metadata.name}"):
            self._names[key] = (metadata.namespace, metadata.name)

    def let_go(self, mentioned: Iterable[str]) -> list[tuple[str, str]]:
        """Namespace and name of the pods among these (uids, or `namespace/name`) that were seen and not kept."""
        kept = {(pod.metadata.namespace, pod.metadata.name) for pod in self.kept}
        return sorted({self._names[key] for key in mentioned if key in self._names} - kept)

    def _count_sibling(self, pod: Pod, found: Trait) -> None:
        """Eight bytes for a pod: there may be as many owners as pods, and siblings matter for few of them."""
        owner = _owner(pod)
        if owner is None:
            return
        self._owners.append(owner)
        if found is not NO_TRAITS and Trait.KILLED in found and _is_oom_killed(pod):
            self._oom_killed[owner] += 1

    def siblings(self, pod: Pod) -> Siblings:
        """Of a pod that is kept."""
        owner = _owner(pod)
        total = self._kept_totals()[owner] if owner is not None else 0
        if owner is None or not total:
            return Siblings(oom_killed=int(_is_oom_killed(pod)))
        return Siblings(total, self._oom_killed[owner])

    def _kept_totals(self) -> Counter[int]:
        """Owner -> its pods, for the owners of those that are kept: counted once for each state of the survey."""
        state = (len(self._owners), len(self.kept))
        if state != self._totals_of:
            wanted = set(map(_owner, self.kept))
            self._totals = Counter(owner for owner in self._owners if owner in wanted)
            self._totals_of = state
        return self._totals


def _owner(pod: Pod) -> int | None:
    owners = pod.metadata.owner_references
    return hash(owners[0].uid) if owners else None


def _is_oom_killed(pod: Pod) -> bool:
    return any(end.terminated.reason == "OOMKilled" for end in container_ends(pod))


SandboxKind = tuple[str, str, str]
"""Runtime version, kernel version and handler: sandboxes of one kind need the same."""


class _Seen(Struct, frozen=True):
    limit_bytes: int
    name: str


class SandboxLab:
    """The cluster as its own laboratory: which limits sandboxes start with, and fail on, per kind of sandbox."""

    def __init__(self, contexts: Iterable[PodContext]) -> None:
        self._ready: dict[SandboxKind, list[_Seen]] = {}
        self._failed: dict[SandboxKind, list[_Seen]] = {}
        for context in contexts:
            self._see(context)

    def _see(self, context: PodContext) -> None:
        kind = _sandbox_kind(context)
        limit = context.limit.limit_bytes
        if kind is None or not limit or may_be_resized(context.pod):
            return
        if _has_ready_sandbox(context):
            self._ready.setdefault(kind, []).append(_Seen(limit, context.name))
        elif Trait.STARTING in context.traits and _fails_on_memory(context):
            self._failed.setdefault(kind, []).append(_Seen(limit, context.name))

    def bounds(self, context: PodContext) -> ClusterBounds | None:
        """What the other pods on nodes of the same kind prove; None also where it can change nothing."""
        kind = _sandbox_kind(context)
        if kind is None or not may_be_bounded(context):
            return None
        ready = min(
            self._others(self._ready, kind, context), key=lambda seen: (seen.limit_bytes, seen.name), default=None
        )
        failed = min(
            self._others(self._failed, kind, context), key=lambda seen: (-seen.limit_bytes, seen.name), default=None
        )
        if ready is None and failed is None:
            return None
        return ClusterBounds(
            largest_failed_bytes=failed.limit_bytes if failed else None,
            largest_failed_pod=failed.name if failed else None,
            smallest_ready_bytes=ready.limit_bytes if ready else None,
            smallest_ready_pod=ready.name if ready else None,
        )

    @staticmethod
    def _others(seen: dict[SandboxKind, list[_Seen]], kind: SandboxKind, context: PodContext) -> list[_Seen]:
        return [entry for entry in seen.get(kind, ()) if entry.name != context.name]


def may_be_bounded(context: PodContext) -> bool:
    """Whether what other pods prove can matter to this one: not where the user's own figure replaces it, not on a node
    of which nothing is known, and not under a page, with which nothing starts whatever runs elsewhere."""
    limit = context.limit.limit_bytes
    if context.cluster.minimum_bytes or _sandbox_kind(context) is None:
        return False
    return limit is None or limit >= ONE_PAGE


def _sandbox_kind(context: PodContext) -> SandboxKind | None:
    if context.node is None:
        return None
    info = context.node.status.node_info
    if not info.container_runtime_version or not info.kernel_version:
        return None
    return info.container_runtime_version, info.kernel_version, context.handler or ""


def _has_ready_sandbox(context: PodContext) -> bool:
    """CRI-O's sandboxes have no process: that one is ready proves nothing, only a container that runs does.
    https://github.com/cri-o/cri-o/pull/5113 (drop_infra_ctr)
    """
    condition, node = context.sandbox_condition, context.node
    if condition is None or (node and node.status.node_info.container_runtime_version.startswith("cri-o:")):
        return any(status.state.running is not None for status in context.statuses())
    return condition.status == "True"


def _fails_on_memory(context: PodContext) -> bool:
    return any(error.failure.proof is Proof.MEMORY for error in context.sandbox_errors)


def pod_contexts(survey: Survey, cluster: ClusterContext) -> list[PodContext]:
    """The kept pods with what was read about them, and with what they prove about one another."""
    alone = [PodContext(pod, cluster, siblings=survey.siblings(pod)) for pod in survey.kept]
    lab = SandboxLab(alone)
    return [
        PodContext(context.pod, cluster, bounds=bounds, siblings=context.siblings)
        if (bounds := lab.bounds(context))
        else context
        for context in alone
    ]
