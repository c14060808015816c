"""Debug pods from their creation to their end: whatever ends it, what was made is removed, or named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from tempfile import SpooledTemporaryFile
from typing import Protocol

from msgspec import Struct

from kubectl_memdoctor.cluster.source import AccessError, NotFound, Source
from kubectl_memdoctor.cluster.transport import ConnectionCut
from kubectl_memdoctor.cluster.writing import ApiWriter, Refusal
from kubectl_memdoctor.debugging.manifests import CONTAINER, DebugPod, manifest
from kubectl_memdoctor.debugging.outcomes import has_started, obstacle, waiting_for
from kubectl_memdoctor.exit_code import Interrupted
from kubectl_memdoctor.flags import PROGRAM
from kubectl_memdoctor.objects import PODS
from kubectl_memdoctor.temporary.clock import Clock
from kubectl_memdoctor.temporary.progress import Progress
from kubectl_memdoctor.temporary.removal import INTERRUPTED, Leftover, Remains, remove, remove_leftover
from kubectl_memdoctor.temporary.signals import Signals

START_SECONDS = 60.0
"""Until the pods must have started; they may have to pull an image."""
LOG_SECONDS = 60.0
"""For the logs of all of them, after that."""
POLL_SECONDS = 1.0
MOST_BYTES = 64 << 20
"""Of one pod's log."""
MEMORY_BYTES = 8 << 20
"""More of it goes to a temporary file without a name."""
TRIES = 3
"""Of one pod's log, where the connection breaks."""


class Logs(Protocol):
    """`cluster.pod_log.PodLogs`."""

    def follow(
        self, namespace: str, name: str, container: str, *, seconds: float
    ) -> AbstractContextManager[Iterator[bytes]]: ...


class PodRun(Struct):
    """One pod, as far as it has come. `reason` is why nothing can be had from it."""

    pod: DebugPod
    reason: str = ""
    is_made: bool = False
    """Whether there may be anything to remove."""
    has_started: bool = False
    output: SpooledTemporaryFile[bytes] | None = None
    """What it has printed, at its beginning."""
    broke_off: str = ""
    """Why the output is not whole, where that is known."""
    waits_for: str = ""


class Ending(Struct, frozen=True):
    """`interrupted` is the signal that ended it, `remains` what is left."""

    runs: tuple[PodRun, ...]
    interrupted: Interrupted | None = None
    remains: Remains | None = None


class Session:
    def __init__(self, source: Source, writer: ApiWriter, logs: Logs, clock: Clock, progress: Progress) -> None:
        self._source = source
        self._writer = writer
        self._logs = logs
        self._clock = clock
        self._progress = progress

    def run(self, pods: Iterable[DebugPod], abandoned: Iterable[Leftover]) -> Ending:
        """First removes what is `abandoned`. Only an error of this program's own is raised, after the removal."""
        runs = tuple(map(PodRun, pods))
        interrupted: Interrupted | None = None
        remains: Remains | None = None
        with Signals(self._progress.say) as signals:
            try:
                interrupted = self._print(runs, abandoned, signals)
            finally:
                remains = self._remove([run.pod for run in runs if run.is_made])
                self._progress.close()
        return Ending(runs, interrupted, remains)

    def _print(self, runs: Sequence[PodRun], abandoned: Iterable[Leftover], signals: Signals) -> Interrupted | None:
        try:
            try:
                self._remove_abandoned(abandoned)
                for run in runs:
                    self._make(run)
                self._wait([run for run in runs if not run.reason])
                self._fetch_all([run for run in runs if run.has_started])
            finally:
                # A signal from here on waits for the removal. One that comes just before is an ending like others.
                signals.defer()
        except Interrupted as error:
            return error
        return None

    def _remove_abandoned(self, abandoned: Iterable[Leftover]) -> None:
        for leftover in abandoned:
            try:
                remove_leftover(leftover, self._writer)
            except AccessError as error:
                self._progress.say(f"not removed: {leftover.names()}, left by an earlier run ({error})")

    def _make(self, run: PodRun) -> None:
        self._progress(f"making {run.pod}")
        run.is_made = True
        try:
            self._writer.create(PODS, manifest(run.pod))
        except Refusal as error:
            run.is_made, run.reason = False, _refused(run.pod, error)
        except AccessError as error:
            run.reason = f"whether the pod was made is not known: {error}"

    def _wait(self, waiting: Sequence[PodRun]) -> None:
        give_up = self._clock.now() + START_SECONDS
        while waiting:
            if self._clock.now() >= give_up:
                _end_waiting(waiting)
                return
            self._progress(f"waiting for {waiting[0].pod} on node {waiting[0].pod.node}")
            self._clock.sleep(POLL_SECONDS)
            for run in waiting:
                self._look_at(run)
            waiting = [run for run in waiting if not run.has_started and not run.reason]

    def _look_at(self, run: PodRun) -> None:
        try:
            found = self._source.get(PODS, run.pod.namespace, run.pod.name)
        except NotFound:
            run.reason = "the pod was deleted by someone else"
        except AccessError as error:
            run.reason = str(error)
        else:
            run.waits_for = waiting_for(found)
            run.has_started = has_started(found)
            run.reason = "" if run.has_started else obstacle(found)

    def _fetch_all(self, runs: Iterable[PodRun]) -> None:
        give_up = self._clock.now() + LOG_SECONDS
        for run in runs:
            self._progress(f"reading what {run.pod} prints")
            for left in reversed(range(TRIES)):
                if self._fetch(run, max(give_up - self._clock.now(), POLL_SECONDS)) or not left:
                    break
                self._clock.sleep(POLL_SECONDS)

    def _fetch(self, run: PodRun, seconds: float) -> bool:
        """The log, from its beginning; whether there is no point in another try."""
        output = SpooledTemporaryFile[bytes](max_size=MEMORY_BYTES)
        run.broke_off = ""
        error: AccessError | None = None
        try:
            with self._logs.follow(run.pod.namespace, run.pod.name, CONTAINER, seconds=seconds) as chunks:
                if not _written(chunks, output):
                    run.broke_off = f"longer than {MOST_BYTES >> 20} MiB"
        except AccessError as caught:
            run.broke_off, error = str(caught), caught
        has_output = output.tell() > 0
        output.seek(0)
        run.output = output if has_output else None
        run.reason = "" if has_output else run.broke_off or "its log is empty"
        return not isinstance(error, ConnectionCut)

    def _remove(self, pods: Sequence[DebugPod]) -> Remains | None:
        if not pods:
            return None
        self._progress("removing what was made")
        names = ", ".join(map(str, pods))
        try:
            return remove(names, lambda: self._delete(pods), lambda: self._is_there(pods), self._clock)
        except Interrupted:
            return Remains(names, INTERRUPTED)

    def _delete(self, pods: Iterable[DebugPod]) -> None:
        for pod in pods:
            self._writer.delete(PODS, pod.namespace, pod.name)

    def _is_there(self, pods: Iterable[DebugPod]) -> bool:
        for pod in pods:
            try:
                self._source.get(PODS, pod.namespace, pod.name)
            except NotFound:
                continue
            return True
        return False


def _refused(pod: DebugPod, error: Refusal) -> str:
    """Most often it is the namespace that lets in no privileged pods."""
    elsewhere = f"{PROGRAM} node {pod.node} --debug-pod -n NAMESPACE makes it in another namespace"
    return f"not made in namespace {pod.namespace}: {error} ({elsewhere})"


def _end_waiting(waiting: Iterable[PodRun]) -> None:
    for run in waiting:
        why = f": {run.waits_for}" if run.waits_for else ""
        run.reason = f"the pod has not started after {START_SECONDS:g}s{why}"


def _written(chunks: Iterator[bytes], output: SpooledTemporaryFile[bytes]) -> bool:
    """False where there is more of it than MOST_BYTES."""
    for chunk in chunks:
        output.write(chunk[: MOST_BYTES - output.tell()])
        if output.tell() >= MOST_BYTES:
            return False
    return True
