"""Questions to a source, side by side where it takes several at once, and what it would not answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

from kubectl_memdoctor.cluster.source import NotFound, Source, Unreadable
from kubectl_memdoctor.objects import Object, Resource

Answer = TypeVar("Answer")

QUESTIONS_AT_ONCE = 8
"""Enough for one round trip of everything that one pod needs; few enough for the server's fair queuing."""


class Asked(Generic[Answer]):
    """An answer that is on its way, or is fetched when it is wanted."""

    def __init__(self, ask: Callable[[], Answer], executor: ThreadPoolExecutor | None) -> None:
        self._ask = ask
        self._future: Future[Answer] | None = executor.submit(ask) if executor else None

    def is_here(self) -> bool:
        """Whether `answer` need not wait."""
        return self._future is not None and self._future.done()

    def answer(self) -> Answer:
        """Waits for it. Raises what the question raised."""
        if self._future is None:
            self._future = Future()
            self._future.set_result(self._ask())
        return self._future.result()


class Reading:
    """One run's questions to one source. `unreadable`: resource name -> why it could not be read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.unreadable: dict[str, str] = {}
        self._executor = ThreadPoolExecutor(QUESTIONS_AT_ONCE) if source.parallel else None

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=error is None, cancel_futures=True)

    def start(self, ask: Callable[[], Answer]) -> Asked[Answer]:
        return Asked(ask, self._executor)

    def objects(
        self,
        resource: Resource[Object],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        noted_as: str = "",
        wanted: Callable[[Object], bool] = lambda entry: True,
    ) -> Asked[list[Object]]:
        """All `wanted` objects of a list; none, and noted (under the resource's name or `noted_as`), when it cannot be
        read."""

        def ask() -> list[Object]:
            try:
                pages = self.source.list(
                    resource, namespace, label_selector=label_selector, field_selector=field_selector
                )
                return [entry for page in pages for entry in page.items if wanted(entry)]
            except Unreadable as unreadable:
                self.unreadable[noted_as or resource.name] = unreadable.reason
                return []

        return self.start(ask)

    def object(self, resource: Resource[Object], namespace: str | None, name: str) -> Asked[Object | None]:
        """One object; None when it is gone, or when it cannot be read, which is noted."""

        def ask() -> Object | None:
            try:
                return self.source.get(resource, namespace, name)
            except NotFound:
                return None
            except Unreadable as unreadable:
                self.unreadable[resource.name] = unreadable.reason
                return None

        return self.start(ask)
