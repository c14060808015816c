"""What is inside a bundle, as PyInstaller collected it: Python distributions, and the libraries of other languages."""

from __future__ import annotations

import json
import platform
import re
import ssl
import sys
import zlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

COLLECTED = "collected.json"
OWN = "kubectl_memdoctor"
_LIB_DYNLOAD = re.compile(r"python3\.\d+|lib-dynload")


@dataclass(frozen=True, slots=True)
class Collected:
    """Dotted names of modules, and file names of shared libraries, Python's own among them."""

    modules: frozenset[str]
    libraries: frozenset[str]


@dataclass(frozen=True, slots=True)
class Library:
    """A library that is not Python: inside as a file of its own, or linked into the extension modules that need it.

    `licence` is an SPDX expression; its text lies in krew/licences/NAME.txt.
    """

    name: str
    licence: str
    files: tuple[str, ...]
    modules: tuple[str, ...] = ()
    version: str = ""


LIBRARIES = (
    Library("OpenSSL", "Apache-2.0", ("libcrypto", "libssl"), ("_ssl", "_hashlib"), ssl.OPENSSL_VERSION.split()[1]),
    Library("bzip2", "bzip2-1.0.6", ("libbz2",), ("_bz2",)),
    Library("libffi", "MIT", ("libffi",), ("_ctypes",)),
    Library("libstdc++", "GPL-3.0-or-later WITH GCC-exception-3.1", ("libstdc++", "libgcc_s")),
    Library("libuuid", "BSD-3-Clause", ("libuuid",)),
    Library("liblzma", "0BSD", ("liblzma",), ("_lzma",)),
    Library("zlib", "Zlib", ("libz.", "zlib1"), ("zlib",), zlib.ZLIB_RUNTIME_VERSION),
)


def read_collected(work: Path) -> Collected:
    """What krew/bundle.spec wrote down in the work folder: of each file where it goes, where it was, and its kind."""
    (path,) = work.rglob(COLLECTED)
    entries = json.loads(path.read_text(encoding="utf-8"))
    extensions = {_module(entry) for entry, _, kind in entries if kind == "EXTENSION"}
    return Collected(
        frozenset({entry for entry, _, kind in entries if kind.startswith("PYMODULE")} | extensions),
        frozenset(PurePosixPath(entry).name for entry, _, kind in entries if kind == "BINARY"),
    )


def _module(entry: str) -> str:
    """python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so -> _ssl; google/_upb/_message.abi3.so ->
    google._upb._message."""
    path = PurePosixPath(*(part for part in PurePosixPath(entry).parts if not _LIB_DYNLOAD.fullmatch(part)))
    return ".".join((*path.parts[:-1], path.name.split(".")[0]))


def distributions(collected: Collected) -> list[metadata.Distribution]:
    """Those of which a module is inside, by name. Raises LookupError for a module that comes from nowhere known."""
    owners = metadata.packages_distributions()
    found = set()
    for top in sorted(_top_modules(collected) - set(sys.stdlib_module_names) - {OWN}):
        if top not in owners:
            raise LookupError(f"no distribution holds the module {top}, which is inside the bundle")
        found |= set(owners[top])
    return [metadata.distribution(name) for name in sorted(found, key=str.lower)]


def libraries(collected: Collected) -> list[Library]:
    """Raises LookupError for a shared library whose licence nobody has looked up."""
    shared = {name for name in collected.libraries if not _is_python(name)}
    tops = _top_modules(collected)
    known = tuple(prefix for library in LIBRARIES for prefix in library.files)
    unknown = sorted(name for name in shared if not name.startswith(known))
    if unknown:
        raise LookupError(f"enter in krew/contents.py, with a licence: {', '.join(unknown)}")
    return [
        library
        for library in LIBRARIES
        if any(name.startswith(library.files) for name in shared) or tops & set(library.modules)
    ]


def python_version() -> str:
    return platform.python_version()


def _top_modules(collected: Collected) -> set[str]:
    return {name.split(".")[0] for name in collected.modules if not name.startswith("_sysconfigdata")}


def _is_python(name: str) -> bool:
    return name.lower().startswith(("libpython", "python"))
