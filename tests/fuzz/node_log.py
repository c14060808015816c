"""Coverage-guided fuzzing of everything that reads a node's log: `python -m fuzz.node_log [FLAG OF LIBFUZZER...]`.

Whatever the bytes, nothing is raised, nothing hangs (libFuzzer's -timeout), and no uid is made up. It starts from the
logs of tests/cases_logs and tests/cases, and runs until it is stopped or -max_total_time= is over.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kubectl_memdoctor"]):
    from kubectl_memdoctor.evidence.node_evidence import NodeEvidence
    from kubectl_memdoctor.node_logs.files import LogSource
    from kubectl_memdoctor.node_logs.reading import read_node_logs

TESTS = Path(__file__).parent.parent
NOW = datetime(2026, 11, 28, tzinfo=UTC)
MOST_BYTES = 1 << 16
UID = re.compile(r"[0-9a-f-]{32,36}")
"""What can be joined to a pod; damaged ones are kept as they are."""


def read(data: bytes) -> None:
    """Raises AssertionError on a uid that does not stand there."""
    logs = read_node_logs([LogSource("node.log", lambda: iter([data]))], now=NOW)
    text = _plain(data.decode(errors="replace"))
    for uid in filter(UID.fullmatch, _uids(logs.evidence)):
        assert _plain(uid) in text, f"{uid} stands nowhere"


def _uids(evidence: NodeEvidence) -> Iterator[str]:
    yield from (entry.pod_uid for entry in evidence.kills)
    yield from (entry.pod_uid for entry in evidence.sandbox_failures)
    yield from (entry.pod_uid for entry in evidence.allocation_failures)


def _plain(text: str) -> str:
    """Uids are written with dashes, with underscores, or, of static pods, without either."""
    return re.sub(r"[-_]|\\x2d", "", text).lower()


def main() -> None:
    with tempfile.TemporaryDirectory() as seeds:
        for number, path in enumerate([*TESTS.glob("cases_logs/*/*"), *TESTS.glob("cases/*/*.node-log.*")]):
            if path.is_file():
                Path(seeds, f"{number}-{path.name}").write_bytes(path.read_bytes()[:MOST_BYTES])
        atheris.Setup([sys.argv[0], f"-max_len={MOST_BYTES}", "-timeout=20", *sys.argv[1:], seeds], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
