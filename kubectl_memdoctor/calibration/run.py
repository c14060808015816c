"""One run: makes the pods of each node's next step, watches all of them with two lists a second, and counts.

All nodes are measured side by side, in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct, field

from kubectl_memdoctor import quantity
from kubectl_memdoctor.calibration.manifests import Run, namespace, owner, pod
from kubectl_memdoctor.calibration.nodes import Target
from kubectl_memdoctor.calibration.outcomes import (
    Failed,
    Obstacle,
    Ready,
    changed,
    events_of,
    outcome,
    sandbox_outcome,
    timed_out,
)
from kubectl_memdoctor.calibration.search import (
    Step,
    added,
    grid,
    is_narrow,
    next_step,
    pods_of,
    sandbox_evidence,
)
from kubectl_memdoctor.cluster.source import AccessError, Source
from kubectl_memdoctor.cluster.writing import ApiWriter, Refusal
from kubectl_memdoctor.measured_minimum import Measurement, Try, failed_bytes, ready_bytes
from kubectl_memdoctor.objects import CONFIG_MAPS, EVENTS, NAMESPACES, PODS, Event, Pod
from kubectl_memdoctor.temporary.clock import Clock

POLL_SECONDS = 1.0
SETTLE_SECONDS = 2.0
"""How long a pod must stay ready, or a sandbox up: one that is killed right after its start is noticed by then, since
a kubelet looks at its sandboxes every second."""
TRY_SECONDS = 60.0
"""Until a pod that shows nothing counts as failed. Nodes start a pod in a second or two, emulated ones in twenty."""
FIRST_SECONDS = 120.0
"""The same for the first pod of a node, which may pull the image."""
PLACING_SECONDS = 30.0
"""Until the scheduler must have placed a pod."""
GONE_SECONDS = 20.0
"""How long the next step waits for the pods of the last one to go: they would take part of the node's time."""
RUN_SECONDS = 900.0
"""For all nodes together. A step takes about five seconds and a node about ten steps."""
ACCOUNT_SECONDS = 30.0
"""Until a new namespace has its service account, which pods need: a controller makes it."""

POD_EVENTS = "involvedObject.kind=Pod"


class _Watched(Struct):
    """One pod under way; times are the clock's."""

    name: str
    since: float
    ready_since: float | None = None
    ended: bool = False
    """Decided, and deleted."""


class NodeRun(Struct):
    """What is known of one node so far."""

    target: Target
    limits: tuple[int, ...]
    tries: tuple[Try, ...] = ()
    sandbox_tries: tuple[Try, ...] = ()
    words: dict[int, str] = field(default_factory=dict)
    """Limit -> what a pod with it failed with."""
    sandbox_words: dict[int, str] = field(default_factory=dict)
    """The same for the pods whose containers are not to start."""
    step: Step | None = None
    pods: dict[str, _Watched] = field(default_factory=dict)
    gone_by: float = 0.0
    obstacle: str = ""
    """Why it could not be measured."""
    remark: str = ""
    """Why the figure is wider than it should be."""
    sandbox_remark: str = ""
    """Why the figure of sandboxes alone is, or is not known at all."""
    done: bool = False

    @property
    def has_run(self) -> bool:
        return any(entry.ready for entry in self.tries)

    @property
    def sandboxes(self) -> tuple[Try, ...]:
        return sandbox_evidence(self.tries, self.sandbox_tries)

    def end(self, *, obstacle: str = "", remark: str = "", sandbox_remark: str = "") -> None:
        self.done, self.obstacle, self.remark, self.sandbox_remark = True, obstacle, remark, sandbox_remark


class Calibration:
    """`tell` gets each line of progress. Removing what was made is the caller's (`removal.remove_run`)."""

    def __init__(
        self,
        run: Run,
        targets: Iterable[Target],
        source: Source,
        writer: ApiWriter,
        *,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.nodes = [NodeRun(target, grid(target.runtime.overhead_bytes)) for target in targets]
        self.has_made = False
        """Whether there may be anything to remove."""
        self.run = run
        self._source = source
        self._writer = writer
        self._clock = clock
        self._tell = tell
        self._owner_uid = ""
        self._number = 0
        self._give_up = 0.0

    def make_place(self) -> None:
        """The namespace, or the pods' owner in one that is there. Raises AccessError."""
        self.has_made = True
        try:
            if self.run.makes_namespace:
                self._writer.create(NAMESPACES, namespace(self.run))
            else:
                self._owner_uid = self._writer.create(CONFIG_MAPS, owner(self.run)).metadata.uid
        except Refusal:
            self.has_made = False
            raise

    def measure(self) -> None:
        """Until every node is done. Raises AccessError when the cluster does not let it go on."""
        self._give_up = self._clock.now() + RUN_SECONDS
        while waiting := [node for node in self.nodes if not node.done]:
            for node in waiting:
                self._go_on(node)
            self._clock.sleep(POLL_SECONDS)
            self._look()
            if self._clock.now() >= self._give_up:
                self._stop()

    def measurements(self) -> Iterator[Measurement]:
        """Of the nodes that are done and have a figure: also where the run ended before others were."""
        taken_at = self._source.now()
        for node in self.nodes:
            ready = ready_bytes(node.tries)
            if ready is not None and node.done and not node.obstacle:
                yield Measurement(
                    node=node.target.name,
                    pool=node.target.pool,
                    failed_bytes=failed_bytes(node.tries),
                    ready_bytes=ready,
                    tries=node.tries,
                    sandbox_tries=node.sandbox_tries,
                    image=node.target.image.name,
                    taken_at=taken_at.replace(microsecond=0),
                )

    def _go_on(self, node: NodeRun) -> None:
        """To the next step, once the pods of the last one are gone."""
        if node.done or any(not watched.ended for watched in node.pods.values()):
            return
        if node.pods and self._clock.now() < node.gone_by:
            return
        node.pods.clear()
        node.step = next_step(node.tries, node.sandbox_tries, node.limits)
        if node.step is None:
            self._finish(node)
            return
        for _ in range(node.step.pods):
            self._make_pod(node, node.step)
            if node.done:
                return

    def _finish(self, node: NodeRun) -> None:
        if not node.has_run or ready_bytes(node.tries) is None:
            largest = max(node.words)
            words = f"no pod became ready, not even with {quantity.format_bytes(largest)}: {node.words[largest]}"
            node.end(obstacle=words)
            return
        made = pods_of((*node.tries, *node.sandbox_tries))
        used_up = f"the {made} pods that one node may have were used up before it was known closer"
        node.end(
            remark="" if is_narrow(node.tries, node.limits) else used_up,
            sandbox_remark="" if is_narrow(node.sandboxes, node.limits) else used_up,
        )

    def _make_pod(self, node: NodeRun, step: Step) -> None:
        self._number += 1
        manifest = pod(
            self.run, node.target, step.limit_bytes, self._number, self._owner_uid, sandbox_only=step.sandbox_only
        )
        try:
            made = self._created(manifest)
        except Refusal as error:
            if not step.sandbox_only:
                raise
            self._stop_at(node, str(error))
            return
        node.pods[made.metadata.name] = _Watched(made.metadata.name, self._clock.now())
        difference = changed(made, step.limit_bytes)
        if difference:
            self._stop_at(node, f"admission {difference}: what would be measured is not what was asked for")

    def _created(self, manifest: dict[str, object]) -> Pod:
        give_up = self._clock.now() + ACCOUNT_SECONDS
        while True:
            try:
                return self._writer.create(PODS, manifest)
            except AccessError as error:
                # https://github.com/kubernetes/kubernetes/blob/v1.37.2/plugin/pkg/admission/serviceaccount/admission.go
                if "error looking up service account" not in str(error) or self._clock.now() >= give_up:
                    raise
            self._clock.sleep(POLL_SECONDS / 2)

    def _look(self) -> None:
        pods = {entry.metadata.name: entry for entry in self._pods()}
        events = [*self._events()]
        for node in self.nodes:
            for watched in [*node.pods.values()]:
                found = pods.get(watched.name)
                if watched.ended and found is None:
                    del node.pods[watched.name]
                elif not watched.ended and not node.done:
                    self._look_at(node, watched, found, events)

    def _pods(self) -> Iterator[Pod]:
        for page in self._source.list(PODS, self.run.namespace, label_selector=self.run.selector):
            yield from page.items

    def _events(self) -> Iterator[Event]:
        for page in self._source.list(EVENTS, self.run.namespace, field_selector=POD_EVENTS):
            yield from page.items

    def _look_at(self, node: NodeRun, watched: _Watched, found: Pod | None, events: list[Event]) -> None:
        assert node.step is not None
        if found is None or found.metadata.deletion_timestamp is not None:
            self._stop_at(node, f"its pod {watched.name} was deleted by someone else")
            return
        difference = changed(found, node.step.limit_bytes)
        if difference:
            self._stop_at(node, f"someone {difference} while it was being measured")
            return
        own = [*events_of(events, found)]
        ended = sandbox_outcome(found, own) if node.step.sandbox_only else outcome(found, own, one_has_run=node.has_run)
        if ended is None or isinstance(ended, Ready):
            self._wait_for(node, watched, found, own, is_ready=ended is not None)
        else:
            self._end_try(node, watched, ended)

    def _wait_for(self, node: NodeRun, watched: _Watched, found: Pod, own: list[Event], *, is_ready: bool) -> None:
        now = self._clock.now()
        if is_ready:
            watched.ready_since = now if watched.ready_since is None else watched.ready_since
            if now - watched.ready_since >= SETTLE_SECONDS:
                self._end_try(node, watched, Ready())
            return
        watched.ready_since = None
        seconds = TRY_SECONDS if node.has_run else FIRST_SECONDS
        seconds = seconds if found.spec.node_name else PLACING_SECONDS
        if now - watched.since >= seconds:
            ended = timed_out(found, own, one_has_run=node.has_run, seconds=seconds)
            self._end_try(node, watched, ended)

    def _end_try(self, node: NodeRun, watched: _Watched, ended: Ready | Failed | Obstacle) -> None:
        assert node.step is not None
        if isinstance(ended, Obstacle):
            self._stop_at(node, ended.words)
            return
        limit = node.step.limit_bytes
        failed = ended if isinstance(ended, Failed) else None
        if failed is not None:
            (node.sandbox_words if node.step.sandbox_only else node.words).setdefault(limit, failed.words)
        one = Try(
            limit_bytes=limit,
            ready=0 if failed else 1,
            failed=1 if failed else 0,
            failed_at=failed.stage if failed else "",
        )
        if node.step.sandbox_only:
            node.sandbox_tries = added(node.sandbox_tries, one)
        else:
            node.tries = added(node.tries, one)
        self._delete(watched)
        node.gone_by = self._clock.now() + GONE_SECONDS
        if all(entry.ended for entry in node.pods.values()):
            self._tell_step(node)

    def _tell_step(self, node: NodeRun) -> None:
        assert node.step is not None
        tries = node.sandboxes if node.step.sandbox_only else node.tries
        failed, ready = failed_bytes(tries), ready_bytes(tries)
        too_little = f"{quantity.format_bytes(failed)} is too little, " if failed else ""
        enough = f"{quantity.format_bytes(ready)} is enough so far" if ready else "nothing was enough yet"
        alone = " for sandboxes alone" if node.step.sandbox_only else ""
        made = pods_of((*node.tries, *node.sandbox_tries))
        self._tell(f"node {node.target.name}, {made} pods: {too_little}{enough}{alone}")

    def _stop_at(self, node: NodeRun, obstacle: str) -> None:
        """The other nodes go on. What pods need is known when sandboxes are measured, and stands."""
        if node.step is not None and node.step.sandbox_only:
            node.end(sandbox_remark=obstacle)
        else:
            node.end(obstacle=obstacle)
        for watched in node.pods.values():
            if not watched.ended:
                self._delete(watched)

    def _delete(self, watched: _Watched) -> None:
        watched.ended = True
        self._writer.delete(PODS, self.run.namespace, watched.name)

    def _stop(self) -> None:
        for node in self.nodes:
            if node.done:
                continue
            stopped = f"it was stopped after {RUN_SECONDS / 60:g} minutes"
            self._stop_at(node, stopped)
            if node.obstacle and ready_bytes(node.tries) is not None:
                node.end(remark=stopped, sandbox_remark=stopped)
