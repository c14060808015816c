"""`-o name`: TYPE/NAME of every object with a finding, each once, as `kubectl get -o name` prints them."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_memdoctor.finding import Diagnosis
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.cleaned import cleaned


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    objects = (finding.involved_object for finding in cleaned(diagnosis.report.findings))
    seen = {(entry.kind, entry.namespace, entry.name): f"{entry.kind.lower()}/{entry.name}" for entry in objects}
    yield from seen.values()
