"""The program by which kubectl finds the completion: `kubectl_complete-memdoctor` on PATH.

pip makes it itself; krew installs one program only, so there it is this script.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kubectl_memdoctor.completion import COMPLETE
from kubectl_memdoctor.exit_code import CouldNotLook

NAME = "kubectl_complete-memdoctor"
PLUGIN = "kubectl-memdoctor"
_OWN = "# Written by `kubectl memdoctor completion install`.\n"
SCRIPT = f"""\
#!/bin/sh
# kubectl runs this for the TAB key behind `kubectl memdoctor`.
{_OWN}exec {PLUGIN} {COMPLETE} "$@"
"""


def default_folder(path: str, home: Path) -> Path:
    """Where kubectl finds the plugin, if one may write there. `path` is the environment's PATH."""
    plugin = shutil.which(PLUGIN, path=path)
    folder = Path(plugin).absolute().parent if plugin else None
    return folder if folder and os.access(folder, os.W_OK) else home / ".local" / "bin"


def is_own(file: Path) -> bool:
    """Whether an earlier `completion install` wrote it."""
    try:
        return _OWN.encode() in file.read_bytes()
    except OSError:
        return False


def place(folder: Path) -> Path:
    """Writes the script, in place of an earlier one; returns its path. Raises CouldNotLook, and leaves others' files
    alone."""
    file = folder / NAME
    if os.path.lexists(file) and (file.is_symlink() or not is_own(file)):
        raise CouldNotLook(
            f"error: {file} is there already, and is not from `kubectl memdoctor completion install`: it is left alone"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(SCRIPT, encoding="utf-8")
        file.chmod(0o755)
    except OSError as error:
        raise CouldNotLook(
            f"error: {file} cannot be written: {error.strerror}; give another folder with --to"
        ) from None
    return file


def is_on_path(folder: Path, path: str) -> bool:
    return any(entry and Path(entry).absolute() == folder.absolute() for entry in path.split(os.pathsep))
