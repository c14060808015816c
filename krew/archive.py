"""One archive of a folder, the same bytes for the same files: what krew unpacks, and what anyone can build again.

krew refuses links and paths that leave the folder, so what a link shows is packed in its place.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

EXECUTABLE_MODE = 0o755
PLAIN_MODE = 0o644
# The smallest archive comes first here: it is built once and loaded often.
_LEVEL = 9


def write_archive(folder: Path, target: Path, epoch: int) -> None:
    """Packs what is in `folder`, sorted, all of it as old as `epoch` (seconds): a .zip, else a .tar.gz.

    Raises ValueError where something is neither a file nor a folder.
    """
    if target.suffix == ".zip":
        _write_zip(folder, target, epoch)
        return
    # Neither the file's name nor a time goes into the gzip header.
    with (
        open(target, "wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, path in _entries(folder):
            _add(tar, name, path, epoch)


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Path in the archive and where it is, a folder before what is in it; a link counts as what it leads to."""
    for path in sorted(folder.iterdir()):
        name = path.name
        if path.is_file():
            yield name, path
        elif path.is_dir():
            yield name, path
            yield from ((f"{name}/{inner}", place) for inner, place in _entries(path))
        else:
            raise ValueError(f"neither a file nor a folder: {path}")


def _mode(path: Path) -> int:
    return EXECUTABLE_MODE if path.is_dir() or os.access(path, os.X_OK) else PLAIN_MODE


def _add(tar: tarfile.TarFile, name: str, path: Path, epoch: int) -> None:
    # Made by hand: tarfile's own reading of a file would write links, owners and times.
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.mode = epoch, _mode(path)
    if path.is_dir():
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
        return
    content = path.read_bytes()
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _write_zip(folder: Path, target: Path, epoch: int) -> None:
    moment = time.gmtime(epoch)[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as packed:
        for name, path in _entries(folder):
            entry = zipfile.ZipInfo(name + "/" * path.is_dir(), moment)
            # Else the system that packs would be written down.
            entry.create_system = 3
            entry.external_attr = _mode(path) << 16
            packed.writestr(entry, b"" if path.is_dir() else path.read_bytes(), zipfile.ZIP_DEFLATED)
