"""A case: what is made, on which kind of node, and what it is made to show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from cluster.api import Json


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of node and the runtime on it: `distribution` or `current`, `runc` or `crun`, `v1` or `v2`."""

    generation: str
    cgroup: str
    runtime: str

    @property
    def words(self) -> str:
        return f"{self.generation}, cgroup {self.cgroup}, {self.runtime}"


class Made(Enum):
    """What was built into the pod. The same pod without it runs: the run itself holds one of each runtime to that."""

    NOTHING = auto()
    """A pod without a fault."""
    LIMIT = auto()
    """A memory limit, and nothing else, that may be too small to start with."""
    OTHER_START = auto()
    """What is no memory keeps its sandbox from starting; its limit is ample, or there is none."""
    BOTH = auto()
    """What is no memory keeps its sandbox from starting, and its limit is under one page besides."""
    OTHER_CONTAINER = auto()
    """What is no memory keeps its container from starting."""
    USE = auto()
    """The main process of a container uses more than it may."""
    CHILD_USE = auto()
    """A child of a container's main process uses more than it may, and is killed alone."""
    OTHER_KILL = auto()
    """Something else kills a container."""


class Wait(Enum):
    """The state in which a case is judged."""

    SETTLED = auto()
    """The pod keeps failing in the same way, or runs and goes on running."""
    KILLED = auto()
    """A container was killed, and for a loop: more than once."""
    ENDED = auto()
    """A container ended once."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    """Unique in its place; a part of file names: `64ki-with-token`."""
    words: str
    """What it is, in a row of the page."""
    place: Place
    spec: Json
    """The pod's, without what puts it on its node and its runtime."""
    made: Made
    silent_rule: str
    """The rule whose case it is when the pod turns out to be well."""
    wait: Wait = Wait.SETTLED
    error_words: str = ""
    """Of the error (a pattern) with which a sandbox fails that something else than memory stops."""
    limit_bytes: int | None = None
    """Of the limit matrix: what the pod's cgroup gets."""
    deciding_bytes: int | None = None
    """The limit that decides, where that is not the smallest one of a container."""
    token: bool = False
    objects: tuple[Json, ...] = ()
    """The RuntimeClass that it names, or a LimitRange that admits it: then it has a namespace of its own."""
    runtime_class: str | None = None
    """Instead of its runtime's own."""
    delete_when_running: bool = False
    without_sandbox_image: bool = False
    """The node has lost its pause image."""
    representative: bool = False
    """Part of every test run, not only of the whole matrix."""

    @property
    def own_namespace(self) -> bool:
        return any(entry["kind"] == "LimitRange" for entry in self.objects)

    @property
    def pod_name(self) -> str:
        return f"{self.name}-{self.place.runtime}"

    def manifest(self, node: str, namespace: str) -> Json:
        """The pod, bound to `node` by a selector."""
        default = None if self.place.runtime == "runc" else self.place.runtime
        named = self.runtime_class or default
        metadata: Json = {"name": self.pod_name, "namespace": namespace, "labels": {"app": self.name}}
        if self.delete_when_running:
            # Keeps the object, with how it ended, after the kubelet has let go of it.
            metadata["finalizers"] = ["example.com/report"]
        placed = {
            **self.spec,
            "nodeSelector": {"kubernetes.io/hostname": node},
            **({"runtimeClassName": named} if named else {}),
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": placed}
