"""memdoctor on a live cluster: in this process, or as a person runs it, through kubectl."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from dataclasses import dataclass
from pathlib import Path

from cluster.api import Json
from cluster.memdoctor import Shell

from kubectl_memdoctor.cli import main

_ONE_AT_A_TIME = threading.Lock()
"""sys.stdout belongs to the whole process."""


class NoReport(Exception):
    """memdoctor printed something else than a report; says what."""


@dataclass(frozen=True, slots=True)
class Doctor:
    """`kubeconfig` is that of somebody who may read everything."""

    kubeconfig: Path
    shell: Shell

    def pod(self, namespace: str, name: str, *, through_kubectl: bool = False) -> list[Json]:
        """What `kubectl memdoctor pod` finds. Raises NoReport."""
        arguments = ["pod", name, "-n", namespace, "-o", "json"]
        if not through_kubectl:
            return self._in_process(arguments)
        ran = self.shell.memdoctor(*arguments)
        return _findings(ran.out or ran.err)

    def namespace(self, name: str) -> list[Json]:
        """What `kubectl memdoctor ns` finds. Raises NoReport."""
        return self._in_process(["ns", name, "-o", "json"])

    def _in_process(self, arguments: list[str]) -> list[Json]:
        return run_in_process([*arguments, "--kubeconfig", str(self.kubeconfig)])


def run_in_process(arguments: list[str]) -> list[Json]:
    """The findings of the report that `arguments` print. Raises NoReport."""
    out, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with _ONE_AT_A_TIME, contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        main(arguments)
    return _findings(_text(out) or _text(errors))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def _findings(text: str) -> list[Json]:
    try:
        findings: list[Json] = json.loads(text)["findings"]
    except json.JSONDecodeError:
        raise NoReport(text.strip()[-500:]) from None
    return findings
