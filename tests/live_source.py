"""A cluster in memory that is asked as a live one is: pods come in pages, and may change between two lists."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest
from command_line.memory_source import MemorySource

from kubectl_memdoctor.cluster.source import Page
from kubectl_memdoctor.objects import EVENTS, PODS, RESOURCES, Object, Resource
from kubectl_memdoctor.pod_pass import UNWELL

Answer = TypeVar("Answer")
KINDS = {resource.kind for resource in RESOURCES}


def stored(items: Sequence[dict[str, Any]]) -> MemorySource:
    """Without those of kinds that nobody asks for."""
    return MemorySource([item for item in items if item["kind"] in KINDS])


class LiveSource:
    """`later` holds the objects as they are when the pods are listed for the second time; None: as before.
    `interrupted_at` is the page of the second list at which somebody presses Ctrl-C."""

    kubelets = None

    def __init__(
        self,
        before: MemorySource,
        later: MemorySource | None = None,
        *,
        page: int = 1,
        interrupted_at: int | None = None,
    ) -> None:
        self.parallel = True
        self.pod_lists: list[str] = []
        self.event_lists: list[tuple[str | None, str]] = []
        """Namespace and field selector."""
        self.origin, self.now, self.get = before.origin, before.now, before.get
        self._before = before
        self._later = later or before
        self._page = page
        self._interrupted_at = interrupted_at

    def list(
        self,
        resource: Resource[Object],
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Iterator[Page[Object]]:
        whole = resource is PODS and UNWELL not in field_selector
        if resource is PODS:
            self.pod_lists.append(field_selector)
        if resource is EVENTS:
            self.event_lists.append((namespace, field_selector))
        source = self._later if whole else self._before
        pages = source.list(resource, namespace, label_selector=label_selector, field_selector=field_selector)
        found = [entry for page in pages for entry in page.items]
        for number, start in enumerate(range(0, len(found), self._page)):
            if whole and number == self._interrupted_at:
                raise KeyboardInterrupt
            yield Page(tuple(found[start : start + self._page]), len(found) - start)


class AtOnce:
    """In the place of a pool of threads: every answer is there as soon as it was asked for."""

    def __init__(self, threads: int) -> None:
        del threads

    def submit(self, ask: Callable[[], Answer]) -> Future[Answer]:
        return Soon(ask, lambda: True)

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        pass


class Soon(Future[Answer]):
    """An answer that is there when `has_come` says so, or when somebody waits for it."""

    def __init__(self, ask: Callable[[], Answer], has_come: Callable[[], bool]) -> None:
        super().__init__()
        self._ask = ask
        self._has_come = has_come

    def done(self) -> bool:
        if not super().done() and self._has_come():
            self.result()
        return super().done()

    def result(self, timeout: float | None = None) -> Answer:
        if not super().done():
            try:
                self.set_result(self._ask())
            except Exception as error:
                self.set_exception(error)
        return super().result(timeout)


def answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_memdoctor.reading.ThreadPoolExecutor", AtOnce)


def answer_whenever(monkeypatch: pytest.MonkeyPatch, chance: random.Random) -> None:
    """Each answer comes after as many looks at it as chance will have it, if nobody waits for it before."""

    class Whenever(AtOnce):
        def submit(self, ask: Callable[[], Answer]) -> Future[Answer]:
            return Soon(ask, lambda: chance.random() < 0.4)

    monkeypatch.setattr("kubectl_memdoctor.reading.ThreadPoolExecutor", Whenever)
