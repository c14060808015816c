"""What stays out of the bundle."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

CLIENT_FOLDER = "trimmed"
EXCLUDED = [
    *("_pydecimal", "asyncio", "attr", "attrs", "cgi", "curses", "distutils", "doctest", "ftplib", "lib2to3"),
    *("netrc", "packaging", "pdb", "pydoc", "pydoc_data", "readline", "rlcompleter", "setuptools", "sqlite3"),
    *("test", "tkinter", "tomllib", "unittest", "urllib3.contrib.emscripten", "webbrowser", "xml", "xmlrpc"),
    # Only Windows' consoles are reached by it, and where it is inside every start imports it.
    *(() if sys.platform == "win32" else ("ctypes",)),
]
"""Modules, with all below them, that only imports lead to which never run here."""
_UNNEEDED = ("api", "apis", "models", "aio", "__pycache__")


def trim_client(folder: Path) -> Path:
    """Copies the installed Kubernetes client into `folder` without its models and API classes; returns `folder`.

    Its `__init__` files import all there is, and are left empty: the program imports by full names.
    """
    found = importlib.util.find_spec("kubernetes")
    assert found is not None
    assert found.origin is not None
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(Path(found.origin).parent, folder / "kubernetes", ignore=shutil.ignore_patterns(*_UNNEEDED))
    for path in folder.rglob("__init__.py"):
        path.write_text("")
    return folder


def is_needed(script: str) -> bool:
    """Of PyInstaller's runtime hooks only the one by which rules are found: the others import much at every start."""
    return not script.startswith("pyi_rth_") or script == "pyi_rth_pkgutil"
