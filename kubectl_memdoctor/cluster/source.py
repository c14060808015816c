"""What both a cluster and a recording answer, and the ways in which they can fail to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.objects import Object, Resource

Item = TypeVar("Item", covariant=True)


class Items(Protocol[Item]):
    """A tuple, or what is read when it is asked for. Reading may raise AccessError."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...

    def __getitem__(self, place: int, /) -> Item: ...


class Page(Struct, Generic[Object], frozen=True):
    """Some items of a list. `remaining` is how many the server says are still to come (None: it does not say).

    `glances` are the items as far as the survey looks at them, where that is cheaper to read than all of them.
    """

    items: Items[Object]
    remaining: int | None = None
    glances: tuple[Object, ...] | None = None

    def at_a_glance(self) -> Items[Object]:
        """One for each item."""
        return self.items if self.glances is None else self.glances


class Origin(Struct, frozen=True):
    """Where a report's objects came from: a cluster (server, version, context) or a recording (its file name)."""

    server: str | None = None
    version: str | None = None
    context: str | None = None
    recording: str | None = None


class AccessError(CouldNotLook):
    """Nothing can be looked at; its text is the whole line for stderr (`error: ...`, `Error from server (...): ...`).

    Exit code 2. The text never holds a credential.
    """


class NotFound(AccessError):
    """An object that was asked for by name does not exist: `Error from server (NotFound): pods "x" not found`."""


class Unreadable(AccessError):
    """One resource cannot be read (403, 404 for the whole resource, 500 and more again and again), the rest may be.

    Where the resource is optional it becomes a `notChecked` entry with `reason` ("forbidden: ...", "not served: ...",
    "failed: ..."), else its text is printed as any AccessError's.
    """

    def __init__(self, message: str, *, resource: str, reason: str) -> None:
        super().__init__(message)
        self.resource = resource
        self.reason = reason


class NotRecorded(Unreadable):
    """A recording holds none of a resource: it was not saved, or there was none. Rules on what is there still hold."""


class TimedOut(Unreadable):
    """Not answered, or not to the end, within the time that the caller gave: `timed out: ...`."""


class KubeletAnswer(Struct, frozen=True):
    """What a kubelet answers, as it comes; `chunks` raise Unreadable where it breaks off.

    `is_tail`: these are the last bytes of something longer, so that the first line may lack its beginning.
    """

    chunks: Iterator[bytes]
    is_html: bool = False
    is_tail: bool = False


class Kubelets(Protocol):
    """The kubelets of a cluster's nodes, reached through the API server."""

    def ask(
        self, node: str, path: str, query: Mapping[str, str | list[str]] = {}, *, seconds: float, tail_bytes: int = 0
    ) -> AbstractContextManager[KubeletAnswer]:
        """`path` is the kubelet's own: `metrics/cadvisor`. With `tail_bytes` only the end of a file is wanted.

        `seconds` from now is all that it may take until the last chunk. Raises Unreadable (TimedOut), whatever fails.
        """


class Source(Protocol):
    """A cluster or a recording. Every method may raise AccessError (or its subclasses)."""

    parallel: bool
    """Whether several calls may (and should) run at once, from several threads."""

    @property
    def kubelets(self) -> Kubelets | None:
        """None where there are none: in a recording."""

    def origin(self) -> Origin:
        """Where the objects come from; for a cluster this asks for its version."""

    def now(self) -> datetime:
        """The server's own time (Date header of the newest answer), or the newest time that a recording holds."""

    def get(self, resource: Resource[Object], namespace: str | None, name: str) -> Object:
        """One object of `resource.type`. Raises NotFound, Unreadable."""

    def list(
        self,
        resource: Resource[Object],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[Page[Object]]:
        """All objects, a page at a time; namespace None means all namespaces. Each object comes exactly once.

        Raises Unreadable when the list is forbidden or the resource is not served.
        """
