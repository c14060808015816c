"""What `make dist` left in dist/python."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist" / "python"


def wheel() -> Path:
    return _only("*.whl")


def sdist() -> Path:
    return _only("*.tar.gz")


def _only(pattern: str) -> Path:
    found = sorted(DIST.glob(pattern))
    if len(found) != 1:
        pytest.fail(f"{DIST} holds {len(found)} files like {pattern}: run `make dist`")
    return found[0]
