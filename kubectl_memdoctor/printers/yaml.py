"""`-o yaml`: the report of `-o json`, written as YAML."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import yaml

from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.finding import Diagnosis
from kubectl_memdoctor.printers import Layout


class _Dumper(yaml.SafeDumper):
    """Without anchors: a report repeats short tuples, and nobody wants to follow references."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def lines(diagnosis: Diagnosis, layout: Layout) -> Iterator[str]:
    report = msgspec.to_builtins(diagnosis.report)
    text = _dump(report, readable=True)
    # YAML leaves marks of reading direction as they are; then every letter beyond ASCII is escaped.
    yield text if all(clean(line) == line.strip() for line in text.splitlines()) else _dump(report, readable=False)


def _dump(report: object, *, readable: bool) -> str:
    text: str = yaml.dump(report, Dumper=_Dumper, sort_keys=False, allow_unicode=readable, width=2**31)
    return text.rstrip("\n")
