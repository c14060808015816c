"""A name for what files hold: it changes when any of them does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def content_hash(parts: Mapping[str, Path | bytes]) -> str:
    """16 hexadecimal digits over names, content and whether it may be run. A symbolic link counts as where it leads."""
    whole = hashlib.sha256()
    for name, part in sorted(parts.items()):
        whole.update(f"{name}\0{_mode(part)}\0".encode())
        whole.update(_digest(part))
    return whole.hexdigest()[:16]


def _mode(part: Path | bytes) -> int:
    return part.stat().st_mode & 0o777 if isinstance(part, Path) else 0o644


def _digest(part: Path | bytes) -> bytes:
    if isinstance(part, bytes):
        return hashlib.sha256(part).digest()
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
