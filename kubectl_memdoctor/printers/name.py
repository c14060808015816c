"""`-o name`: TYPE/NAME of every object with a finding, each once, as `kubectl get -o name` prints them; of several
clusters with the flag that says which one, as kubectl takes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kubectl_memdoctor.finding import Diagnosis
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.cleaned import cleaned


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    seen = {}
    for finding in cleaned(diagnosis.report.findings):
        entry = finding.involved_object
        flag = f" {shlex.quote(f'--context={finding.context}')}" if finding.context else ""
        seen[finding.context, entry.kind, entry.namespace, entry.name] = f"{entry.kind.lower()}/{entry.name}{flag}"
    yield from seen.values()
