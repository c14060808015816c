"""The file of --output-file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from kubectl_memdoctor.exit_code import CouldNotLook


def write_result(path: Path, text: str) -> None:
    """Appears under its name only when it is whole. Raises CouldNotLook."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def demand_writable(path: Path) -> None:
    """Before a minute is spent on what could not be written then. Raises CouldNotLook."""
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "is a directory")
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(descriptor)
        os.unlink(name)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> CouldNotLook:
    return CouldNotLook(f"error: open {path}: {(error.strerror or 'cannot be written').lower()}")
