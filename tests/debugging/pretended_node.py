"""A node in memory, as the Source, the ApiWriter and the PodLogs of a session, with a clock that is turned by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from kubectl_memdoctor.cluster.source import NotFound, Page
from kubectl_memdoctor.debugging.manifests import CONTAINER, DebugPod, new_debug_pod
from kubectl_memdoctor.debugging.session import Ending, Session
from kubectl_memdoctor.objects import PODS, ObjectMeta, Resource, decode
from kubectl_memdoctor.screen import open_screen
from kubectl_memdoctor.temporary.clock import Clock
from kubectl_memdoctor.temporary.places import PLACES, Place
from kubectl_memdoctor.temporary.process import this_process
from kubectl_memdoctor.temporary.progress import Progress
from kubectl_memdoctor.temporary.removal import Leftover

Json = dict[str, Any]
RUNNING: Json = {"running": {"startedAt": "2026-11-24T12:00:00Z"}}
DONE: Json = {"terminated": {"reason": "Completed", "exitCode": 0}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


@dataclass(slots=True)
class PretendedNode:
    """`state` is the container's in every pod, `printed` what is in its log. `before` is called before each request,
    with its verb, and may raise."""

    state: Json = field(default_factory=lambda: DONE)
    printed: Callable[[], Iterator[bytes]] = lambda: iter([b"all of it\n"])
    before: Callable[[str], None] = lambda verb: None
    phase: str = "Running"
    reason: str = ""
    lingers: float = 2.0
    """Seconds until a deleted pod is gone."""
    time: float = 0.0
    nodes: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, Json] = field(default_factory=dict)
    made: list[Json] = field(default_factory=list)
    deleted: dict[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC)

    def _note(self, verb: str) -> None:
        self.asked.append(verb)
        self.before(verb)

    def create(self, resource: Resource[Any], manifest: Json) -> Any:
        self.pods[manifest["metadata"]["name"]] = manifest
        self.made.append(manifest)
        # It may be there although the answer is lost.
        self._note("create")
        return decode(msgspec.json.encode(manifest), resource.type)

    def get(self, resource: Resource[Any], namespace: str | None, name: str) -> Any:
        if resource is PLACES:
            self._note("node")
            return decode(msgspec.json.encode(self.nodes[name]), resource.type)
        self._note("get")
        if name in self.deleted and self.time >= self.deleted[name] + self.lingers:
            self.pods.pop(name, None)
        if name not in self.pods:
            raise NotFound(f'Error from server (NotFound): pods "{name}" not found')
        status = {"phase": self.phase, "reason": self.reason}
        if self.state:
            status["containerStatuses"] = [
                {"name": "istio-proxy", "state": RUNNING},
                {"name": CONTAINER, "state": self.state},
            ]  # type: ignore[assignment]
        return decode(msgspec.json.encode({**self.pods[name], "status": status}), resource.type)

    def delete(self, resource: Resource[Any], namespace: str | None, name: str) -> None:
        self._note("delete")
        self.deleted.setdefault(name, self.time)

    def list(self, resource: Resource[Any], namespace: str | None = None, **selectors: str) -> Iterator[Page[Any]]:
        self._note("list")
        yield Page(tuple(decode(msgspec.json.encode(pod), PODS.type) for pod in self.pods.values()))

    @contextlib.contextmanager
    def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> Iterator[Iterator[bytes]]:
        assert container == CONTAINER
        self._note("log")
        yield self.printed()

    def left(self) -> set[str]:
        """The pods that nobody has deleted."""
        return self.pods.keys() - self.deleted.keys()

    def session(self) -> Session:
        pretended: Any = self
        return Session(pretended, pretended, pretended, self.clock(), Progress(open_screen("never")))

    def run(self, *pods: DebugPod, abandoned: tuple[Leftover, ...] = ()) -> Ending:
        return self.session().run(pods or (debug_pod(),), abandoned)


def debug_pod(node: str = "worker-1") -> DebugPod:
    place = Place(metadata=ObjectMeta(name=node))
    return new_debug_pod("shop", place, "docker.io/library/busybox:1.37", is_there=True, process=this_process())
