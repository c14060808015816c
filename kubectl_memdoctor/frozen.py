"""The environment of a frozen program, put back as its user had it.

PyInstaller's bootloader leads the dynamic linker to the bundle's own libraries, and leaves notes to itself. kubectl,
credential plugins and pagers must see neither: they would load libraries of the bundle in place of their own.
https://pyinstaller.org/en/stable/runtime-information.html#ld-library-path-libpath-considerations
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_LINKER = ("LD_LIBRARY_PATH", "LIBPATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")
_NOTES = "_PYI_"
_SAVED = "_ORIG"


def restore_environment() -> None:
    """Changes os.environ, so that every program that is started from now on has the user's own. Does nothing where the
    program is not frozen."""
    folder = getattr(sys, "_MEIPASS", None)
    if folder is None:
        return
    before = restored(os.environ, folder)
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def restored(environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """`environ` without what the bootloader of the bundle in `folder` put there.

    It sets `folder` before the paths that the user had, so what does not begin with it is the user's own.
    """
    before = {name: value for name, value in environ.items() if not name.startswith(_NOTES)}
    for name in _LINKER:
        first, more, own = before.get(name, "").partition(os.pathsep)
        if first != folder:
            continue
        del before[name]
        if more:
            before[name] = own
            if before.get(name + _SAVED) == own:
                del before[name + _SAVED]
    return before
