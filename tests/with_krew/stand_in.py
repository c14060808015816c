"""Archives that look like a release's, with a script for a program: for the platforms that cannot be built here."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

from krew.manifest import LICENCES, PLATFORMS, Platform, manifest_of
from krew.platforms import this_platform

OLDER = "0.0.1"


def archive(folder: Path, platform: Platform, version: str, without: str = "") -> Path:
    """Its program says its version, whatever it is asked; `without` is left out."""
    script = f"#!/bin/sh\necho kubectl-memdoctor v{version}\n"
    inside = {"kubectl-memdoctor/_internal/base_library.zip": "", **dict.fromkeys(LICENCES, "Apache-2.0\n")}
    files = {platform.executable: script, **inside}
    files.pop(without, None)
    path = folder / platform.archive(version)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return path


def release(folder: Path, version: str) -> Path:
    """A folder with all platforms' archives."""
    folder.mkdir(exist_ok=True)
    for platform in PLATFORMS:
        archive(folder, platform, version)
    return folder


def older_manifest(folder: Path, url: str) -> str:
    """Of an older release for this machine, made in `folder`, which is to be served at `url`."""
    platform = Platform(*this_platform())
    return manifest_of({platform: archive(folder, platform, OLDER)}, OLDER, url)
