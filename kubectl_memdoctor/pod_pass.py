"""All pods of a selection pass by, a page at a time.

Where somebody waits for findings, a cluster is asked for the unwell first: a field selector picks them out before any
of the others is sent. The list that follows holds every pod once more, unwell or not, since between the two a pod may
have changed its phase in either direction. That list counts, and whatever is still to be said is said by the state in
it; what was told of a pod before stays. Asking for the rest only would save little, and miss a pod that was Running at
first and is Pending now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice

from msgspec import Struct, field

from kubectl_memdoctor.cluster.source import NotFound, NotRecorded, Page, Unreadable
from kubectl_memdoctor.context import NO_TRAITS, traits
from kubectl_memdoctor.early_findings import EarlyFindings
from kubectl_memdoctor.objects import NAMESPACES, PODS, Pod
from kubectl_memdoctor.reading import Reading
from kubectl_memdoctor.selection import Selection, identity
from kubectl_memdoctor.survey import Survey

Progress = Callable[[int, int | None], None]
"""Called with the pods looked at so far and, where the server says so, how many are still to come."""

GoOn = Callable[[], None]
"""Called again and again while a page of pods is waited for, in the waiting thread: it raises KeyboardInterrupt where
they need not pass any longer. Signals come to the main thread only, so another one has to be told."""
GO_ON_SECONDS = 0.2

UNWELL = "status.phase!=Running,status.phase!=Succeeded"
"""An API server knows the field, and picks out 500 of 100,000 pods in 0.05 s."""
FIRST_PAGES = 10
"""Of each namespace's unwell pods: where thousands of evicted ones lie about, they pass by again soon enough."""


class PodPass(Struct):
    """One look at all pods of a selection. `missing` has a line for each namespace that does not exist."""

    reading: Reading
    selection: Selection
    survey: Survey
    progress: Progress
    early: EarlyFindings | None = None
    go_on: GoOn | None = None
    missing: list[str] = field(default_factory=list)
    is_interrupted: bool = False
    _first: dict[str, Pod] = field(default_factory=dict)
    """Of the first look, those that did not pass by again yet."""

    def run(self) -> None:
        """Raises AccessError. An interrupt ends it early, once there is anything to tell of."""
        try:
            self._look_first()
            for namespace in self.selection.scopes():
                before = self.survey.pods
                self._look_at(namespace)
                if namespace is not None and self.survey.pods == before:
                    self.missing.extend(unless_it_exists(self.reading, namespace))
        except KeyboardInterrupt:
            self.is_interrupted = True
        self._add_looked_at()
        if self.is_interrupted and not self.survey.pods:
            raise KeyboardInterrupt

    def _look_first(self) -> None:
        if self.early is None:
            return
        for namespace in self.selection.scopes():
            for page in islice(self._pages(namespace, UNWELL), FIRST_PAGES):
                found = [pod for pod in page.items if traits(pod, self.survey.small_below) is not NO_TRAITS]
                self._first.update((identity(pod), pod) for pod in found)
                self.early.see(found)
                self.early.advance()

    def _look_at(self, namespace: str | None) -> None:
        try:
            for page in self._pages(namespace):
                pods = page.at_a_glance() if self.survey.takes_glances else page.items
                kept = [page.items[place] for place, pod in enumerate(pods) if self.survey.shows(pod)]
                self.survey.kept += kept
                if self.early is not None:
                    self._look_again(self.early, page, kept)
                self.progress(self.survey.pods, page.remaining)
        except NotRecorded as missing:
            # Where a quota forbids every pod, events are all that there is to save.
            self.reading.unreadable[PODS.name] = missing.reason

    def _look_again(self, early: EarlyFindings, page: Page[Pod], kept: list[Pod]) -> None:
        if self._first:
            for pod in page.at_a_glance():
                self._first.pop(identity(pod), None)
        early.see(kept)
        early.advance()

    def _add_looked_at(self) -> None:
        """Pods of the first look that the list does not hold: they are deleted since. They count where something was
        told of them; all do where the list ended early."""
        for pod in self._first.values():
            if self.is_interrupted or (self.early is not None and self.early.has_told(pod)):
                self.survey.add(pod)

    def _pages(self, namespace: str | None, *conditions: str) -> Iterator[Page[Pod]]:
        selection = self.selection
        fields = ",".join(filter(None, (selection.field_selector, *conditions)))
        pages = self.reading.source.list(
            PODS, namespace, label_selector=selection.label_selector, field_selector=fields
        )
        return pages if self.go_on is None else _awaited(pages, self.go_on)


def _awaited(pages: Iterator[Page[Pod]], go_on: GoOn) -> Iterator[Page[Pod]]:
    """The pages, fetched in a thread that nobody need wait for."""
    fetching = ThreadPoolExecutor(1)
    try:
        while True:
            go_on()
            asked = fetching.submit(next, pages, None)
            while not wait((asked,), GO_ON_SECONDS).done:
                go_on()
            page = asked.result()
            if page is None:
                return
            yield page
    finally:
        fetching.shutdown(wait=False)


def unless_it_exists(reading: Reading, namespace: str) -> Iterator[str]:
    """The line that says so where there is no such namespace: in a list that looks like one without pods."""
    try:
        reading.source.get(NAMESPACES, None, namespace)
    except NotFound as error:
        yield str(error)
    except Unreadable as unreadable:
        reading.unreadable[NAMESPACES.name] = unreadable.reason
