"""The recorded cases and their reports: what the program prints, as tests/test_cases.py holds it to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .pages import ROOT

CASES = ROOT / "tests" / "cases"
GOLDENS = sorted(CASES.glob("*/*.json"))
INCIDENT = CASES / "sandbox-memory-limit-too-small" / "fires-300m-runc.yaml"


def telling_cases() -> list[Path]:
    """One recording for each kind of owner that a rule's findings have: they differ in what is asked and suggested."""
    found: dict[tuple[str, str], Path] = {}
    for golden in GOLDENS:
        for finding in json.loads(golden.read_text())["findings"]:
            owner: Any = finding.get("owner", finding["involvedObject"])
            found.setdefault((finding["rule"], owner["kind"]), golden.with_suffix(".yaml"))
    return sorted(set(found.values()))
